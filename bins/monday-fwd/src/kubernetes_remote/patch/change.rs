//! One field that a session changes: what it was and what it became.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where in a Deployment a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Base {
    /// `metadata`.
    Metadata,
    /// `spec`.
    Spec,
    /// `spec.template`.
    Template,
    /// `spec.template.spec`.
    Pod,
    /// The replaced container.
    Container,
}

/// A field that is changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Where its path begins.
    base: Base,
    /// Keys from there on. A key of a list is the `name` of its element.
    path: Vec<String>,
    /// What it was; nothing: it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<Value>,
    /// What it became; nothing: it is taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<Value>,
}

impl Change {
    /// Changes a field, and returns what is needed to change it back; nothing if it is that already. Where a parent of it
    /// is not there, the change is that of the parent.
    pub(crate) fn make(
        deployment: &mut Value,
        container: &str,
        base: Base,
        path: &[&str],
        set: Option<Value>,
    ) -> Option<Self> {
        let root = base_of(deployment, base, container)?;
        let mut there = root;
        let (mut depth, mut set) = (0, set);
        for (place, key) in path.iter().enumerate() {
            depth = place + 1;
            if depth == path.len() {
                break;
            }
            if element(there, key).is_none() {
                set = set.map(|value| wrapped(&path[depth..], value));
                break;
            }
            there = element_mut(there, key)?;
        }
        let key = path.get(depth.checked_sub(1)?)?;
        let was = element(there, key).cloned();
        if was == set {
            return None;
        }
        put(there, key, set.clone());
        Some(Self {
            base,
            path: path[..depth].iter().map(|&key| key.to_owned()).collect(),
            was,
            set,
        })
    }

    /// Takes the change back, if the field is still what it was changed to; whether it was.
    pub(crate) fn undo(&self, deployment: &mut Value, container: &str) -> bool {
        let Some((last, parents)) = self.path.split_last() else {
            return false;
        };
        let mut there = base_of(deployment, self.base, container);
        for key in parents {
            there = there.and_then(|there| element_mut(there, key));
        }
        // Whoever removed the parent has removed what we had put there.
        let Some(there) = there else { return false };
        let same = element(there, last) == self.set.as_ref();
        if same {
            put(there, last, self.was.clone());
        }
        same
    }

    /// Is the field of the object what it was changed to?
    pub(crate) fn holds(&self, deployment: &Value, container: &str) -> bool {
        self.clone().undo(&mut deployment.clone(), container)
    }

    /// Is it the one by which traffic comes here: the image of the container, or the selector of the service?
    pub(crate) fn is_what_matters(&self) -> bool {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        matches!(
            (self.base, path.as_slice()),
            (Base::Container, ["image"]) | (Base::Spec, ["selector"])
        )
    }

    /// Notes what became of the field where the server has stored something else, as admission webhooks make it.
    pub(crate) fn note(&mut self, deployment: &mut Value, container: &str) {
        // What begins empty is filled by the changes after it, and the metadata by the marks.
        if self.base == Base::Metadata || self.set == Some(Value::Array(Vec::new())) {
            return;
        }
        let mut there = base_of(deployment, self.base, container).map(|there| &*there);
        for key in &self.path {
            there = there.and_then(|there| element(there, key));
        }
        self.set = there.cloned();
    }
}

/// What holds a value at the end of this path.
fn wrapped(path: &[&str], value: Value) -> Value {
    path.iter().rev().fold(value, |value, &key| {
        let mut map = Map::new();
        map.insert(key.to_owned(), value);
        Value::Object(map)
    })
}

fn base_of<'a>(deployment: &'a mut Value, base: Base, container: &str) -> Option<&'a mut Value> {
    let pointer = match base {
        Base::Metadata => "/metadata",
        Base::Spec => "/spec",
        Base::Template => "/spec/template",
        Base::Pod => "/spec/template/spec",
        Base::Container => {
            let containers = deployment.pointer_mut("/spec/template/spec/containers")?;
            return element_mut(containers, container);
        }
    };
    deployment.pointer_mut(pointer)
}

fn is_named(value: &Value, name: &str) -> bool {
    value.get("name").and_then(Value::as_str) == Some(name)
}

fn element<'a>(there: &'a Value, key: &str) -> Option<&'a Value> {
    match there {
        Value::Object(map) => map.get(key),
        Value::Array(list) => list.iter().find(|value| is_named(value, key)),
        _ => None,
    }
}

fn element_mut<'a>(there: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match there {
        Value::Object(map) => map.get_mut(key),
        Value::Array(list) => list.iter_mut().find(|value| is_named(value, key)),
        _ => None,
    }
}

/// Puts a value into its place, at the end where it is new in a list, or takes it out.
fn put(there: &mut Value, key: &str, value: Option<Value>) {
    match (there, value) {
        (Value::Object(map), Some(value)) => drop(map.insert(key.to_owned(), value)),
        (Value::Object(map), None) => drop(map.remove(key)),
        (Value::Array(list), value) => {
            let place = list.iter().position(|value| is_named(value, key));
            match (place, value) {
                (Some(place), Some(value)) => list[place] = value,
                (Some(place), None) => drop(list.remove(place)),
                (None, Some(value)) => list.push(value),
                (None, None) => {}
            }
        }
        _ => {}
    }
}
