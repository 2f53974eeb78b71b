//! `CONFIG.md`: its examples are sound, and together they show every key that there is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::config::schema;

const REFERENCE: &str = include_str!("../../../CONFIG.md");

/// The YAML blocks as whole configurations.
fn examples() -> Vec<String> {
    let blocks = REFERENCE.split("```yaml\n").skip(1);
    let texts = blocks.map(|block| block.split("```").next().unwrap());
    texts
        .map(|text| {
            if !text.starts_with("name:") {
                return text.to_owned();
            }
            let list = if text.contains("\nvalues:") {
                "forward"
            } else {
                "local"
            };
            let item = text.trim_end().replace('\n', "\n        ");
            format!("projects:\n  - name: p\n    {list}:\n      - {item}\n")
        })
        .collect()
}

/// Every way from the root to a key, list items not told apart.
fn ways(value: &serde_yaml::Value, way: &str, found: &mut BTreeSet<String>) {
    match value {
        serde_yaml::Value::Sequence(items) => items.iter().for_each(|item| ways(item, way, found)),
        serde_yaml::Value::Mapping(map) => {
            for (key, value) in map {
                let way = format!("{way}.{}", key.as_str().unwrap_or_default());
                ways(value, &way, found);
                found.insert(way);
            }
        }
        _ => {}
    }
}

/// Every way from the root to a key that the schema knows.
fn known_ways(root: &Value, part: &Value, way: &str, found: &mut BTreeSet<String>) {
    if let Some(target) = part["$ref"].as_str() {
        known_ways(root, root.pointer(&target[1..]).unwrap(), way, found);
    }
    for alternatives in ["anyOf", "oneOf", "allOf"] {
        for alternative in part[alternatives].as_array().into_iter().flatten() {
            known_ways(root, alternative, way, found);
        }
    }
    for inner in ["items", "then", "else", "additionalProperties"] {
        if part[inner].is_object() {
            let way = if inner == "additionalProperties" {
                format!("{way}.*")
            } else {
                way.to_owned()
            };
            known_ways(root, &part[inner], &way, found);
        }
    }
    for (key, inner) in part["properties"].as_object().into_iter().flatten() {
        let way = format!("{way}.{key}");
        known_ways(root, inner, &way, found);
        found.insert(way);
    }
}

/// Whether a way is the one that the schema knows; `*` stands for any key.
fn fits(shown: &str, known: &str) -> bool {
    let (shown, known) = (shown.split('.'), known.split('.'));
    shown.clone().count() == known.clone().count()
        && shown
            .zip(known)
            .all(|(shown, known)| known == "*" || shown == known)
}

#[test]
fn every_example_of_the_reference_is_sound() {
    let examples = examples();
    assert!(examples.len() > 10);
    for text in examples {
        sound(&text);
    }
}

#[test]
fn the_reference_shows_every_key_of_the_schema() {
    let mut shown = BTreeSet::new();
    for text in examples() {
        let machine = Fake::new().file("/here/monday.yaml", &text);
        let loaded = load_in(&Search::new(), &machine).unwrap();
        for name in loaded.names() {
            // The aliases are resolved there, and `build.type` and the like are as they were written.
            let effective = serde_yaml::to_value(loaded.effective(name).unwrap()).unwrap();
            ways(&effective, "", &mut shown);
        }
        if !text.contains("[*") {
            ways(&serde_yaml::from_str(&text).unwrap(), "", &mut shown);
        }
    }
    let schema = schema::of_config();
    let mut known = BTreeSet::new();
    known_ways(&schema, &schema, "", &mut known);
    // Apps and forwards of the top level have the keys of those of a project, and are shown there.
    let is_shown = |way: &str| shown.iter().any(|shown| fits(shown, way));
    let everywhere = |way: &str| is_shown(way) || is_shown(&format!(".projects{way}"));
    let missing: Vec<&String> = known
        .iter()
        .filter(|way| !everywhere(way) && !matches!(way.as_str(), ".<" | ".anchors"))
        .collect();
    assert!(
        missing.is_empty(),
        "CONFIG.md shows no example of {missing:#?}"
    );
    // And each is explained in a table: a word in backquotes.
    for way in &known {
        let key = way.rsplit('.').next().unwrap();
        let explained = ["`", "."].iter().any(|before| {
            ["`", ".", "]`"]
                .iter()
                .any(|after| REFERENCE.contains(&format!("{before}{key}{after}")))
        });
        assert!(explained, "CONFIG.md does not explain `{key}`");
    }
}
