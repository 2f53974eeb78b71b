//! What the YAML parser complains about, in words that say what to do.

use super::events::SyntaxError;
use crate::diagnostic::{Diagnostic, SourceFile, Span};

/// Words of the parser's complaint, what it means, and what to do. The first that fits is taken.
const KNOWN: [(&str, &str, &str); 14] = [
    (
        "mapping values are not allowed",
        "a `:` is not expected here",
        "put the value in quotes if it contains `: `; else check the indentation of this line and the one above",
    ),
    (
        "did not find expected key",
        "a key was expected here",
        "keys of one map begin in the same column: check the indentation of this line and the ones above",
    ),
    (
        "simple key expect",
        "a `:` is missing after this key",
        "write `key: value`, with a blank after the colon",
    ),
    (
        "':' must be followed by",
        "a blank is missing after the `:`",
        "write `key: value`, or put the text in quotes",
    ),
    (
        "did not find expected ',' or ']'",
        "a list that began with `[` goes on here without a `,` and is not closed with `]`",
        "a text with `,`, `[`, `]`, `{`, `}` or `: ` in it needs quotes",
    ),
    (
        "did not find expected ',' or '}'",
        "a map that began with `{` goes on here without a `,` and is not closed with `}`",
        "a text with `,`, `[`, `]`, `{`, `}` or `: ` in it needs quotes",
    ),
    (
        "while scanning a quoted scalar, found unexpected",
        "a quote that was opened before is never closed",
        "look for the text that begins with this kind of quote, and close it",
    ),
    (
        "trailing content after double-quoted",
        "there is more text after the closing quote",
        "write a quote inside the text as `\\\"`, or put the whole in single quotes",
    ),
    (
        "unknown escape character",
        "this `\\` begins an escape that YAML does not know",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    (
        "unexpected character",
        "a text cannot begin with this character",
        "put the text in quotes",
    ),
    (
        "block sequence entries are not allowed",
        "a `-` is not expected here",
        "begin the list on a line of its own, every `-` in the same column",
    ),
    (
        "while scanning an anchor or alias",
        "a name is missing after `&` or `*`",
        "put the text in quotes if it is no anchor and no alias: `\"*\"`",
    ),
    (
        "while scanning a directive",
        "a line cannot begin with `%` here",
        "put the text in quotes",
    ),
    (
        "indentation",
        "the indentation of this line does not fit",
        "it has to be the same as that of its neighbours, in spaces",
    ),
];

/// What is wrong, and what to do.
pub(super) fn explain(error: &SyntaxError, source: &SourceFile) -> Diagnostic {
    if let Some(tab) = tab_in_indentation(error, source) {
        return Diagnostic::error("tab", "a tab is used for indentation")
            .at(tab, "this is a tab")
            .help("YAML allows only spaces here: replace every tab by two spaces");
    }
    let known = KNOWN
        .iter()
        .find(|(words, _, _)| error.info.contains(words));
    match known {
        Some((_, meaning, help)) => {
            Diagnostic::error("syntax", format!("this is not YAML: {meaning}"))
                .at(error.span, "here")
                .help(*help)
        }
        None => Diagnostic::error("syntax", format!("this is not YAML: {}", error.info))
            .at(error.span, "here"),
    }
}

/// How many lines a text may go on before the tab that the parser complains about at its start.
const LINES_TO_THE_TAB: usize = 100;

/// The tab that the parser stumbled over. It may notice it a line late, or tell the start of the text that goes on there.
fn tab_in_indentation(error: &SyntaxError, source: &SourceFile) -> Option<Span> {
    let line = source.position(error.span.start).line;
    let ahead = if error.info.contains("tab") {
        LINES_TO_THE_TAB
    } else {
        0
    };
    let last = (line + ahead).min(source.line_count());
    let mut lines = (line..=last).chain([line.saturating_sub(1).max(1)]);
    lines.find_map(|line| {
        let text = source.lines(line, line);
        let indentation = &text[..text.len() - text.trim_start_matches([' ', '\t']).len()];
        let at =
            source.line_start(line) + crate::diagnostic::source::offset(indentation.find('\t')?);
        Some(Span {
            file: error.span.file,
            start: at,
            end: at + 1,
        })
    })
}
