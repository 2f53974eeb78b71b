//! Writing a configuration as YAML that is read as itself.

use std::fmt::Write as _;

use serde_yaml::Value;

use super::model::Config;

/// What YAML 1.1, and with it the writer, takes for line ends and YAML 1.2 does not.
const OLD_LINE_ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// The configuration as YAML.
///
/// # Errors
/// Those of serde: a value that YAML cannot hold.
pub fn to_yaml(config: &Config) -> Result<String, serde_yaml::Error> {
    let mut value = serde_yaml::to_value(config)?;
    let mut texts = Vec::new();
    collect(&mut value, &mut texts, None);
    if texts.is_empty() {
        return serde_yaml::to_string(&value);
    }
    // Such texts are written as escapes, which the writer cannot be told to do: it gets a mark in their place.
    let plain = serde_yaml::to_string(&value)?;
    let mark = (0..=u32::MAX)
        .map(|at| format!("monday-text-{at}-"))
        .find(|mark| !plain.contains(mark.as_str()));
    let mark = mark.unwrap_or_default();
    collect(&mut value, &mut Vec::new(), Some(&mark));
    Ok(unmarked(&serde_yaml::to_string(&value)?, &mark, &texts))
}

/// Puts each text, escaped, where its mark is.
fn unmarked(marked: &str, mark: &str, texts: &[String]) -> String {
    let mut pieces = marked.split(mark);
    let mut written = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at(digits);
        let text = number.parse().ok().and_then(|at: usize| texts.get(at));
        written.push_str(&escaped(text.map_or("", String::as_str)));
        written.push_str(rest);
    }
    written
}

/// Collects the texts with a character of [`OLD_LINE_ENDS`], in order; with a mark, puts that in their place.
fn collect(value: &mut Value, texts: &mut Vec<String>, mark: Option<&str>) {
    match value {
        Value::String(text) if text.contains(OLD_LINE_ENDS) => {
            let at = texts.len();
            texts.push(text.clone());
            if let Some(mark) = mark {
                *text = format!("{mark}{at}");
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(|item| collect(item, texts, mark)),
        Value::Mapping(map) => {
            let entries = std::mem::take(map);
            for (mut key, mut value) in entries {
                collect(&mut key, texts, mark);
                collect(&mut value, texts, mark);
                map.insert(key, value);
            }
        }
        _ => {}
    }
}

/// A text in double quotes. The escapes are those of JSON, which YAML 1.2 knows as well.
fn escaped(text: &str) -> String {
    let mut escaped = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            _ if c.is_control() || OLD_LINE_ENDS.contains(&c) => {
                // Writing into a string cannot fail; all of these have four hexadecimal digits.
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            _ => escaped.push(c),
        }
    }
    escaped.push('"');
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::model::{List, Project};
    use super::*;

    #[test]
    fn old_line_ends_are_written_as_escapes() {
        let project = |name: &str| Project {
            name: Some(name.into()),
            ..Project::default()
        };
        let config = Config {
            projects: List(vec![
                project("a\u{2028}\"b\\"),
                project("monday-text-0-0"),
                project("\u{85}"),
            ]),
            ..Config::default()
        };
        let yaml = to_yaml(&config).unwrap();
        assert_eq!(
            yaml,
            "projects:\n- name: \"a\\u2028\\\"b\\\\\"\n- name: monday-text-0-0\n- name: \"\\u0085\"\n"
        );
    }
}
