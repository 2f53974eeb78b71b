//! The kinds of objects that it has.

use serde_json::Value;

/// A kind of objects. All of them are in namespaces but the namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Resource {
    /// In paths.
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) singular: &'static str,
    pub(super) short: &'static str,
    /// As in `apiVersion`.
    pub(super) version: &'static str,
    pub(super) namespaced: bool,
}

const fn resource(
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    singular: &'static str,
    short: &'static str,
) -> Resource {
    Resource {
        plural,
        kind,
        singular,
        short,
        version,
        namespaced: true,
    }
}

/// All of them.
pub(super) const ALL: [Resource; 6] = [
    resource("v1", "pods", "Pod", "pod", "po"),
    resource("v1", "services", "Service", "service", "svc"),
    resource(
        "apps/v1",
        "deployments",
        "Deployment",
        "deployment",
        "deploy",
    ),
    resource(
        "apps/v1",
        "statefulsets",
        "StatefulSet",
        "statefulset",
        "sts",
    ),
    resource("apps/v1", "replicasets", "ReplicaSet", "replicaset", "rs"),
    Resource {
        namespaced: false,
        ..resource("v1", "namespaces", "Namespace", "namespace", "ns")
    },
];

impl Resource {
    /// The one with this plural.
    pub(super) fn named(plural: &str) -> Self {
        Self::of_path("v1", plural)
            .or_else(|| Self::of_path("apps/v1", plural))
            .unwrap_or_else(|| panic!("there are no {plural}"))
    }

    pub(super) fn of_path(version: &str, plural: &str) -> Option<Self> {
        ALL.into_iter()
            .find(|resource| resource.version == version && resource.plural == plural)
    }

    pub(super) fn of_object(object: &Value) -> Option<Self> {
        ALL.into_iter().find(|resource| {
            object["apiVersion"] == resource.version && object["kind"] == resource.kind
        })
    }
}
