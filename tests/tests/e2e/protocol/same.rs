//! Whether something real is what was shown.

use std::collections::BTreeSet;

use serde_json::Value;

/// Numbers that the machine chooses. Those within texts are compared as "a number".
const CHOSEN: [&str; 8] = [
    "pid",
    "seq",
    "port",
    "dropped",
    "open_files_limit",
    "inotify_limit",
    "inotify_watches",
    "seed",
];

/// Compares what was shown with what is real.
pub(super) fn same(at: &str, shown: &Value, real: &Value) -> Result<(), String> {
    match (shown, real) {
        (Value::Object(shown), Value::Object(real)) => {
            let names = |object: &serde_json::Map<String, Value>| -> BTreeSet<String> {
                object.keys().cloned().collect()
            };
            if names(shown) != names(real) {
                return Err(format!(
                    "{at} has the members {:?}, shown are {:?}",
                    names(real),
                    names(shown)
                ));
            }
            shown
                .iter()
                .try_for_each(|(name, value)| same(name, value, &real[name]))
        }
        // They are told in the order in which they were started, all at once.
        (Value::Array(shown), Value::Array(real)) if at == "sidecars" => {
            let fits = |one: &Value| real.iter().any(|other| same(at, one, other).is_ok());
            match shown.iter().find(|one| !fits(one)) {
                Some(missing) => Err(format!("{missing} is not among {real:?}")),
                None if shown.len() == real.len() => Ok(()),
                None => Err(format!("there are {} of `{at}`", real.len())),
            }
        }
        (Value::Array(shown), Value::Array(real)) if shown.len() == real.len() => shown
            .iter()
            .zip(real)
            .try_for_each(|(shown, real)| same(at, shown, real)),
        (Value::Number(_), Value::Number(_)) if CHOSEN.contains(&at) => Ok(()),
        // As long as it took.
        (Value::String(_), Value::String(_)) if at == "lasted" => Ok(()),
        // A text that is not for programs, and too long to be shown.
        (Value::String(shown), Value::String(_)) if at == "message" && shown == "…" => Ok(()),
        (Value::String(shown), Value::String(real)) if unnumbered(shown) == unnumbered(real) => {
            Ok(())
        }
        (shown, real) if shown == real => Ok(()),
        (shown, real) => Err(format!("`{at}` is {real}, shown is {shown}")),
    }
}

/// A text with every number in it replaced by `0`.
fn unnumbered(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('0') => {}
            '0'..='9' => out.push('0'),
            other => out.push(other),
        }
    }
    out
}
