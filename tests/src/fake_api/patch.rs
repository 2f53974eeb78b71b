//! The three kinds of patches, told apart by their content type.

use serde_json::Value;

/// Why a patch was not applied.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatchError {
    /// It is no patch of its kind.
    #[error("{0}")]
    Malformed(String),
    /// A test failed, or a path is not there.
    #[error("{0}")]
    Invalid(String),
    /// It is of no kind that there is.
    #[error("the content type {0} is not supported")]
    UnknownKind(String),
}

/// Applies a patch to an object.
pub(super) fn apply(object: &mut Value, kind: &str, body: &[u8]) -> Result<(), PatchError> {
    let malformed = |error: serde_json::Error| PatchError::Malformed(error.to_string());
    match kind {
        "application/json-patch+json" => {
            let patch: json_patch::Patch = serde_json::from_slice(body).map_err(malformed)?;
            json_patch::patch(object, &patch)
                .map_err(|error| PatchError::Invalid(error.to_string()))
        }
        "application/merge-patch+json" => {
            let patch = serde_json::from_slice(body).map_err(malformed)?;
            json_patch::merge(object, &patch);
            Ok(())
        }
        "application/strategic-merge-patch+json" => {
            let patch = serde_json::from_slice(body).map_err(malformed)?;
            strategic(object, &patch);
            Ok(())
        }
        other => Err(PatchError::UnknownKind(other.to_owned())),
    }
}

/// As a merge patch, but lists of things with names are merged by their names (containers, volumes, environment; ports
/// go by `containerPort`). Directives such as `$patch` are not known here.
fn strategic(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        object.clone_from(patch);
        return;
    };
    if !object.is_object() {
        *object = Value::Object(serde_json::Map::new());
    }
    for (name, wanted) in fields {
        let found = &mut object[name];
        match wanted {
            Value::Null => {
                if let Some(fields) = object.as_object_mut() {
                    fields.remove(name);
                }
            }
            Value::Array(items) if found.is_array() => merge_list(found, items),
            _ => strategic(found, wanted),
        }
    }
}

fn merge_list(found: &mut Value, items: &[Value]) {
    let key = ["containerPort", "name"]
        .into_iter()
        .find(|key| items.iter().all(|item| !item[*key].is_null()));
    let (Some(key), Some(list)) = (key, found.as_array_mut()) else {
        *found = Value::Array(items.to_vec());
        return;
    };
    for item in items {
        match list.iter_mut().find(|old| old[key] == item[key]) {
            Some(old) => strategic(old, item),
            None => list.push(item.clone()),
        }
    }
}
