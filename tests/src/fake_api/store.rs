//! The objects, their revisions, and what happened to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::resource::Resource;
use super::selector::Selector;

/// Which object.
pub(super) type Key = (Resource, String, String);

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) revision: u64,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub(super) verb: &'static str,
    pub(super) resource: Resource,
    pub(super) object: Value,
}

/// One rising revision for all of them, as etcd has it.
#[derive(Debug, Default)]
pub(super) struct Store {
    revision: u64,
    objects: BTreeMap<Key, Value>,
    changes: Vec<Change>,
    /// Changes up to here are forgotten.
    forgotten: u64,
}

impl Store {
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<&Value> {
        self.objects
            .get(&(resource, namespace.to_owned(), name.to_owned()))
    }

    /// Those of a namespace (of all: "") that the selector fits.
    pub(super) fn list(
        &self,
        resource: Resource,
        namespace: &str,
        selector: &Selector,
    ) -> Vec<Value> {
        self.objects
            .iter()
            .filter(|((of, within, _), object)| {
                *of == resource
                    && (namespace.is_empty() || within == namespace)
                    && selector.fits(object)
            })
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// What happened since a revision; `None`: that is forgotten.
    pub(super) fn since(&self, revision: u64) -> Option<Vec<Change>> {
        (revision >= self.forgotten).then(|| {
            self.changes
                .iter()
                .filter(|change| change.revision > revision)
                .cloned()
                .collect()
        })
    }

    pub(super) fn forget(&mut self) {
        self.revision += 1;
        self.forgotten = self.revision;
        self.changes.clear();
    }

    /// Creates or replaces an object and returns it as it is stored; nothing if its kind is not known.
    pub(super) fn put(&mut self, mut object: Value) -> Option<Value> {
        let resource = Resource::of_object(&object)?;
        let name = object["metadata"]["name"].as_str()?.to_owned();
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        self.revision += 1;
        let key = (resource, namespace, name);
        let before = self.objects.get(&key);
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(self.revision.to_string());
        let (uid, created, generation) = match before {
            Some(before) => (
                before["metadata"]["uid"].clone(),
                before["metadata"]["creationTimestamp"].clone(),
                before["metadata"]["generation"].as_u64().unwrap_or(1),
            ),
            None => (
                json!(format!("00000000-0000-0000-0000-{:012}", self.revision)),
                json!("2020-01-01T00:00:00Z"),
                0,
            ),
        };
        metadata["uid"] = uid;
        metadata["creationTimestamp"] = created;
        // It counts what was asked for, not what came of it.
        let same = before.is_some_and(|before| before["spec"] == object["spec"]);
        object["metadata"]["generation"] = json!(if same { generation } else { generation + 1 });
        let verb = if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        self.note(verb, resource, object.clone());
        self.objects.insert(key, object.clone());
        Some(object)
    }

    pub(super) fn delete(
        &mut self,
        resource: Resource,
        namespace: &str,
        name: &str,
    ) -> Option<Value> {
        let key = (resource, namespace.to_owned(), name.to_owned());
        let mut object = self.objects.remove(&key)?;
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.note("DELETED", resource, object.clone());
        Some(object)
    }

    fn note(&mut self, verb: &'static str, resource: Resource, object: Value) {
        self.changes.push(Change {
            revision: self.revision,
            verb,
            resource,
            object,
        });
    }
}
