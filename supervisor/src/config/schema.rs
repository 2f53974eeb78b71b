//! The JSON schema of the files, from the types of the model.

use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::model::Config;
use super::tree::Segment;

/// What the schema is called.
const TITLE: &str = "A configuration of monday";

/// The schema of a whole configuration.
#[must_use]
pub fn of_config() -> Value {
    // Draft 7 is what the YAML language server, and so most editors, know best.
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>();
    Closed.transform(&mut schema);
    let mut schema = Value::from(schema);
    schema["title"] = TITLE.into();
    // `no` is the word, and for YAML 1.1 a boolean, as `false` and `off` are.
    let words = schema["definitions"]["RestartPolicy"].take();
    schema["definitions"]["RestartPolicy"] = json!({
        "description": words["description"],
        "anyOf": [
            words,
            { "enum": [false, "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", "never", "on_failure"] },
        ],
    });
    // At the top level these declare shared parts.
    schema["properties"]["<"] = json!(true);
    schema["properties"]["anchors"] = json!(true);
    schema
}

/// Lets an editor mark a key that is not known, but none that is the user's own.
#[derive(Clone)]
struct Closed;

impl Transform for Closed {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(object) = schema.as_object_mut()
            && object.contains_key("properties")
        {
            object.insert("patternProperties".to_owned(), json!({ "^x-": true }));
            object.insert("additionalProperties".to_owned(), false.into());
        }
    }
}

/// The parts of a schema that describe what is at the end of a path: several where a value may have several forms.
pub(super) fn at<'a>(root: &'a Value, path: &[Segment]) -> Vec<&'a Value> {
    let mut here = forms(root, &[root]);
    for segment in path {
        let inner: Vec<&Value> = here
            .iter()
            .filter_map(|form| match segment {
                Segment::Key(key) => form["properties"]
                    .get(key)
                    .or_else(|| form.get("additionalProperties")),
                Segment::Item(_) => form.get("items"),
            })
            .collect();
        here = forms(root, &inner);
    }
    here
}

/// The keys that these parts of a schema know, each with the part that describes its value.
pub(super) fn properties<'a>(root: &'a Value, parts: &[&'a Value]) -> Vec<(&'a str, &'a Value)> {
    forms(root, parts)
        .into_iter()
        .filter_map(|form| form["properties"].as_object())
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
        .collect()
}

/// Parts of a schema with references followed and alternatives side by side.
fn forms<'a>(root: &'a Value, parts: &[&'a Value]) -> Vec<&'a Value> {
    let mut forms = Vec::new();
    let mut open: Vec<&Value> = parts.to_vec();
    while let Some(part) = open.pop() {
        if let Some(target) = part["$ref"].as_str() {
            open.extend(
                target
                    .strip_prefix('#')
                    .and_then(|pointer| root.pointer(pointer)),
            );
        }
        for alternatives in ["anyOf", "oneOf", "allOf"] {
            open.extend(part[alternatives].as_array().into_iter().flatten());
        }
        open.extend(
            ["then", "else"]
                .into_iter()
                .filter_map(|branch| part.get(branch)),
        );
        forms.push(part);
    }
    forms
}
