//! The difference of two JSON documents as a JSON Patch (RFC 6902).

use serde_json::{Value, json};

/// Operations that make `new` of `old`. Lists of the same length are gone through; others are replaced as a whole, so
/// that a patch has to be guarded with what it was made from ([`test()`]).
pub(crate) fn difference(old: &Value, new: &Value) -> Vec<Value> {
    let mut operations = Vec::new();
    compare("", old, new, &mut operations);
    operations
}

/// The operation that lets a patch fail unless there is that value at that place.
pub(crate) fn test(path: &str, value: &Value) -> Value {
    json!({"op": "test", "path": path, "value": value})
}

/// A part of a path (RFC 6901).
pub(crate) fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

fn compare(path: &str, old: &Value, new: &Value, operations: &mut Vec<Value>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                let path = format!("{path}/{}", escaped(key));
                match after.get(key) {
                    Some(now) => compare(&path, value, now, operations),
                    None => operations.push(json!({"op": "remove", "path": path})),
                }
            }
            for (key, value) in after {
                if !before.contains_key(key) {
                    let path = format!("{path}/{}", escaped(key));
                    operations.push(json!({"op": "add", "path": path, "value": value}));
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (place, (before, after)) in before.iter().zip(after).enumerate() {
                compare(&format!("{path}/{place}"), before, after, operations);
            }
        }
        _ => operations.push(json!({"op": "replace", "path": path, "value": new})),
    }
}
