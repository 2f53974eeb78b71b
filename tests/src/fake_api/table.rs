//! Tables, which kubectl asks for when it prints for people.

use serde_json::{Value, json};

/// These objects as a `Table` of that revision.
pub(super) fn of(objects: &[Value], revision: u64) -> Value {
    let column = |name: &str| {
        json!({
            "name": name, "type": "string", "format": "", "description": name, "priority": 0,
        })
    };
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            json!({
                "cells": [object["metadata"]["name"], state(object)],
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": object["metadata"],
                },
            })
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": revision.to_string()},
        "columnDefinitions": [column("Name"), column("Status")],
        "rows": rows,
    })
}

fn state(object: &Value) -> &str {
    if object["metadata"]["deletionTimestamp"].is_string() {
        "Terminating"
    } else {
        object["status"]["phase"].as_str().unwrap_or("")
    }
}
