//! Label and field selectors, as they come in a query.

use serde_json::Value;

/// What an object has to have.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Label>,
    fields: Vec<(String, String, bool)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Label {
    Is(String, Vec<String>),
    IsNot(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Selector {
    pub(super) fn parse(labels: &str, fields: &str) -> Self {
        Self {
            labels: split(labels).into_iter().map(label).collect(),
            fields: fields
                .split(',')
                .filter_map(|field| {
                    if let Some((path, value)) = field.split_once("!=") {
                        return Some((path.to_owned(), value.to_owned(), false));
                    }
                    let (path, value) = field.split_once('=')?;
                    let value = value.trim_start_matches('=');
                    Some((path.to_owned(), value.to_owned(), true))
                })
                .collect(),
        }
    }

    pub(super) fn fits(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let is = |name: &str, values: &[String]| {
            labels[name]
                .as_str()
                .is_some_and(|label| values.iter().any(|value| value == label))
        };
        self.labels.iter().all(|wanted| match wanted {
            Label::Is(name, values) => is(name, values),
            Label::IsNot(name, values) => !is(name, values),
            Label::Exists(name) => labels[name].is_string(),
            Label::Absent(name) => !labels[name].is_string(),
        }) && self.fields.iter().all(|(path, value, equal)| {
            let found = path.split('.').fold(object, |at, part| &at[part]);
            (found.as_str().unwrap_or_default() == value) == *equal
        })
    }
}

/// At the commas that are not in parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (place, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn label(text: &str) -> Label {
    let text = text.trim();
    let list = |values: &str| {
        let values = values.trim().trim_start_matches('(').trim_end_matches(')');
        values
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect()
    };
    let one = |value: &str| vec![value.trim_start_matches('=').trim().to_owned()];
    let name = |name: &str| name.trim().to_owned();
    if let Some((key, values)) = text.split_once(" notin ") {
        Label::IsNot(name(key), list(values))
    } else if let Some((key, values)) = text.split_once(" in ") {
        Label::Is(name(key), list(values))
    } else if let Some((key, value)) = text.split_once("!=") {
        Label::IsNot(name(key), one(value))
    } else if let Some((key, value)) = text.split_once('=') {
        Label::Is(name(key), one(value))
    } else if let Some(key) = text.strip_prefix('!') {
        Label::Absent(name(key))
    } else {
        Label::Exists(name(text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_a_label_selector_is_understood() {
        let object = json!({"metadata": {"name": "a", "labels": {"app": "web", "tier": "front"}}});
        let fits = |labels: &str| Selector::parse(labels, "").fits(&object);
        for good in [
            "",
            "app=web",
            "app==web,tier",
            "app in (api, web),tier!=back",
            "tier notin (back,middle)",
            "!gone",
        ] {
            assert!(fits(good), "{good}");
        }
        for bad in [
            "app=api",
            "!app",
            "gone",
            "app notin (web)",
            "tier in (back)",
            "app!=web",
        ] {
            assert!(!fits(bad), "{bad}");
        }
        assert!(Selector::parse("", "metadata.name=a").fits(&object));
        assert!(!Selector::parse("", "metadata.name!=a").fits(&object));
    }
}
