//! Whether every block of a template ends, and nothing else does: the library takes the end of the text for an `end`, and
//! an `end` too many for the end of the text.

/// A block that was opened.
struct Block<'a> {
    /// `if`, `range`, …
    word: &'a str,
    /// Where, in bytes.
    at: usize,
    has_else: bool,
}

/// What is wrong, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unbalanced {
    pub(super) at: usize,
    pub(super) message: String,
}

/// Checks the blocks of a template. What else may be wrong with it is not looked at.
pub(super) fn check(template: &str) -> Result<(), Unbalanced> {
    let mut open: Vec<Block> = Vec::new();
    let mut rest = 0;
    while let Some(found) = template[rest..].find("{{") {
        let at = rest + found;
        let inside = &template[at + 2..];
        let Some(length) = action_length(inside) else {
            // The library says that it is never closed.
            return Ok(());
        };
        let (word, next) = first_words(&inside[..length]);
        rest = at + 2 + length;
        match word {
            "if" | "range" | "with" | "define" | "block" => open.push(Block {
                word,
                at,
                has_else: false,
            }),
            "else" => {
                let block = open.last_mut().filter(|block| {
                    matches!(block.word, "if" | "range" | "with") && !block.has_else
                });
                let Some(block) = block else {
                    return Err(wrong(
                        at,
                        "there is no `if`, `range` or `with` for this `else`",
                    ));
                };
                // `else if` goes on with the same block.
                block.has_else = !matches!(next, "if" | "with");
            }
            "end" if open.pop().is_none() => {
                return Err(wrong(at, "there is nothing that this `end` ends"));
            }
            _ => {}
        }
    }
    match open.last() {
        Some(block) => Err(wrong(
            block.at,
            format!("this `{}` has no `end`", block.word),
        )),
        None => Ok(()),
    }
}

fn wrong(at: usize, message: impl Into<String>) -> Unbalanced {
    Unbalanced {
        at,
        message: message.into(),
    }
}

/// How long an action is, its `}}` not included.
fn action_length(inside: &str) -> Option<usize> {
    let start = inside.trim_start_matches('-').trim_start();
    if start.starts_with("/*") {
        let from = inside.len() - start.len();
        let end = from + start.find("*/")? + 2;
        return Some(end + inside[end..].find("}}")?);
    }
    let bytes = inside.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at = match bytes[at] {
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            b'`' => at + 2 + inside[at + 1..].find('`')?,
            quote @ (b'"' | b'\'') => end_of_quoted(bytes, at, quote)?,
            _ => at + 1,
        };
    }
    None
}

/// The byte behind a text in quotes, which has to end on its line.
fn end_of_quoted(bytes: &[u8], mut at: usize, quote: u8) -> Option<usize> {
    at += 1;
    loop {
        match *bytes.get(at)? {
            b'\\' => at += 2,
            b'\n' => return None,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The first two words of an action, where it begins with words.
fn first_words(action: &str) -> (&str, &str) {
    let word = |text: &str| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        text.find(|c| !is_part(c)).unwrap_or(text.len())
    };
    let action = action.strip_prefix('-').unwrap_or(action).trim_start();
    let (first, rest) = action.split_at(word(action));
    let rest = rest.trim_start();
    (first, &rest[..word(rest)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_end_are_sound() {
        for template in [
            "{{ if .A }}a{{ else if .B }}b{{ else }}c{{ end }}",
            "{{- range $i, $a := .Applications -}}{{ with $a }}x{{ end }}{{- end -}}",
            "{{ define \"x\" }}{{ end }}{{ template \"x\" }}{{ block \"y\" . }}{{ end }}",
            "{{/* if */}}{{- /* }} */ -}}{{ \"{{ if }}\" }}{{ `{{ end }}` }}{{ '}' }}",
            "{{ .end }}{{ ender }}} {{ \"a\\\"}}\" }}",
            "{{ never closed",
        ] {
            assert_eq!(check(template), Ok(()), "{template}");
        }
    }

    #[test]
    fn a_block_without_end_and_an_end_without_block_are_found() {
        for (template, at, part) in [
            ("x {{ range .Applications }}", 2, "`range` has no `end`"),
            ("{{ if .A }}{{ if .B }}{{ end }}", 0, "`if` has no `end`"),
            ("a{{ end }}", 1, "nothing that this `end` ends"),
            ("{{ else }}", 0, "for this `else`"),
            (
                "{{ if .A }}{{ else }}{{ else }}{{ end }}",
                21,
                "for this `else`",
            ),
        ] {
            let found = check(template).unwrap_err();
            assert_eq!(found.at, at, "{template}");
            assert!(found.message.contains(part), "{template} {found:?}");
        }
    }
}
