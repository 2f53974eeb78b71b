//! What there is, for clients that ask before they act.

use serde_json::{Value, json};

use super::resource::{ALL, Resource};

/// The answer to one of the paths of discovery.
pub(super) fn answer(path: &str) -> Option<Value> {
    match path {
        // The real one's numbers would do as well; kubectl wants to have some.
        "/version" => Some(json!({
            "major": "1", "minor": "34", "gitVersion": "v1.34.4", "gitCommit": "none",
            "gitTreeState": "clean", "buildDate": "2020-01-01T00:00:00Z", "goVersion": "go1.24",
            "compiler": "gc", "platform": "linux/amd64",
        })),
        "/api" => Some(json!({
            "kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        })),
        "/apis" => {
            let version = json!({"groupVersion": "apps/v1", "version": "v1"});
            Some(json!({
                "kind": "APIGroupList", "apiVersion": "v1",
                "groups": [{"name": "apps", "versions": [version], "preferredVersion": version}],
            }))
        }
        "/api/v1" => Some(resources("v1")),
        "/apis/apps/v1" => Some(resources("apps/v1")),
        _ => None,
    }
}

fn resources(version: &str) -> Value {
    let mut list: Vec<Value> = ALL
        .iter()
        .filter(|resource| resource.version == version)
        .map(entry)
        .collect();
    if version == "v1" {
        list.push(json!({
            "name": "pods/portforward", "singularName": "", "namespaced": true,
            "kind": "PodPortForwardOptions", "verbs": ["create", "get"],
        }));
    }
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": list,
    })
}

fn entry(resource: &Resource) -> Value {
    json!({
        "name": resource.plural, "singularName": resource.singular,
        "namespaced": resource.namespaced, "kind": resource.kind, "shortNames": [resource.short],
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    })
}
