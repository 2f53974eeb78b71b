//! Takes back what a session has changed.

use serde_json::Value;

use super::change::Change;
use super::json_patch::{difference, escaped, test};
use super::marks::{self, Marks, SESSION};

/// An object as it is without a session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Restored {
    pub(crate) object: Value,
    /// Somebody else has put another image in meanwhile.
    pub(crate) deployed_meanwhile: bool,
}

/// Why it cannot be said how an object was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the annotation that says how it was cannot be understood")]
pub(crate) struct Damaged;

/// An object as it was before the session, with what others have changed meanwhile.
///
/// # Errors
/// [`Damaged`]
pub(crate) fn restored(current: &Value, marks: &Marks) -> Result<Restored, Damaged> {
    let original = marks.original.as_ref().ok_or(Damaged)?;
    let mut object = current.clone();
    marks::remove(&mut object);
    let mut deployed_meanwhile = false;
    // The last change first: one may be within another.
    for change in original.changes.iter().rev() {
        let was_ours = change.undo(&mut object, &original.container);
        deployed_meanwhile |= !was_ours && change.is_what_matters();
    }
    Ok(Restored {
        object,
        deployed_meanwhile,
    })
}

/// Has somebody else put another image in, or switched the service elsewhere?
pub(crate) fn is_deployed_over(current: &Value, marks: &Marks) -> bool {
    let Some(original) = &marks.original else {
        return false;
    };
    let mut images = original
        .changes
        .iter()
        .filter(|change| change.is_what_matters());
    images.any(|change: &Change| !change.holds(current, &original.container))
}

/// Where the annotation is damaged: the template of the Deployment's newest `ReplicaSet` that is not ours.
pub(crate) fn from_replica_set(current: &Value, replica_set: &Value) -> Value {
    /// What the Deployment's controller adds.
    const ADDED: &str = "pod-template-hash";
    let mut object = current.clone();
    if let Some(template) = replica_set.pointer("/spec/template") {
        let mut template = template.clone();
        if let Some(labels) = template
            .pointer_mut("/metadata/labels")
            .and_then(Value::as_object_mut)
        {
            labels.remove(ADDED);
        }
        object["spec"]["template"] = template;
    }
    marks::remove(&mut object);
    object
}

/// A patch from the object as it was read to another: it fails if the object has changed since.
pub(crate) fn guarded(current: &Value, wanted: &Value) -> Vec<Value> {
    let mut operations: Vec<Value> = ["/metadata/uid", "/metadata/resourceVersion"]
        .iter()
        .filter_map(|path| Some(test(path, current.pointer(path)?)))
        .collect();
    operations.extend(difference(current, wanted));
    operations
}

/// The patch that undoes a session at any later time, as long as nobody has rearranged the containers: for people. It
/// removes what the session wrote, that is to be written beside it, as well.
pub(crate) fn by_hand(before: &Value, during: &Value, container: &str) -> Vec<Value> {
    let mut operations = Vec::new();
    let containers = during.pointer("/spec/template/spec/containers");
    let containers = containers.and_then(Value::as_array).into_iter().flatten();
    for (place, it) in containers.enumerate() {
        let (name, image) = (it.get("name"), it.get("image"));
        if let (Some(name), Some(image)) = (name, image)
            && name == container
        {
            let path = format!("/spec/template/spec/containers/{place}");
            operations.push(test(&format!("{path}/name"), name));
            operations.push(test(&format!("{path}/image"), image));
        }
    }
    operations.extend(difference(during, before));
    for (map, key) in marks::ALL {
        let path = format!("/metadata/{map}/{}", escaped(key));
        operations.push(serde_json::json!({"op": "remove", "path": path}));
    }
    operations
}

/// Does the object have this session?
pub(crate) fn has_session(object: &Value, id: &str) -> bool {
    marks::read(object).is_some_and(|marks| marks.holder.id == id)
        || object
            .pointer("/spec/template/metadata/labels")
            .and_then(|labels| labels.get(SESSION))
            .is_some_and(|label| label == id)
}
