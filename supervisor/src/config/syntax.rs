//! What the YAML parser complains about, in words that say what to do.

use super::events::SyntaxError;
use crate::diagnostic::source::offset;
use crate::diagnostic::{Diagnostic, SourceFile, Span};

/// Words of the parser's complaint, what it means, and what to do. The first that fits is taken.
const KNOWN: [(&str, &str, &str); 21] = [
    (
        "mapping values are not allowed",
        "a `:` is not expected here",
        "put the value in quotes if it contains `: `; else look for a `:` that is missing behind a key above, and check the \
         indentation",
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
        "expected ',' or ']'",
        "a list that began with `[` goes on here without a `,` and is not closed with `]`",
        "a text with `,`, `[`, `]`, `{`, `}` or `: ` in it needs quotes",
    ),
    (
        "expected ',' or '}'",
        "a map that began with `{` goes on here without a `,` and is not closed with `}`",
        "a text with `,`, `[`, `]`, `{`, `}` or `: ` in it needs quotes",
    ),
    (
        "illegal placement of ':'",
        "a `:` is not expected in a list that began with `[`",
        "close the list with `]` above, or put a text that contains `:` in quotes",
    ),
    (
        "only valid inside a block",
        "a `-` is not expected in a list that began with `[`",
        "close the list with `]` above, or write all of it with `-`, a line for each item",
    ),
    (
        "misplaced bracket",
        "there is nothing that this bracket closes",
        "put the text in quotes if the bracket is part of it",
    ),
    (
        "while scanning a quoted scalar, found unexpected",
        "the quote that is opened here is never closed",
        "close it, or take it away",
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
        "unprintable character",
        "there is a control character",
        "remove it, or write it as an escape in double quotes, such as `\"\\t\"`",
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
        "directive",
        "a line cannot begin with `%` here",
        "put the text in quotes",
    ),
    (
        "expected comment or line break",
        "text cannot follow `|` or `>` on the same line",
        "begin the text on the next line, indented",
    ),
    (
        "the handle wasn't declared",
        "this is a tag that nobody declared",
        "put the text in quotes if it begins with `!`",
    ),
    (
        "recursion limit",
        "brackets are nested too deep",
        "a configuration needs less than ten levels",
    ),
    (
        "indentation",
        "the indentation of this line does not fit",
        "it has to be the same as that of its neighbours, in spaces",
    ),
];

/// How git begins the lines of a conflict.
const CONFLICT: &str = "<<<<<<< ";

/// What is wrong, and what to do. `open_quote` is where a text begins that goes on strangely.
pub(super) fn explain(
    error: &SyntaxError,
    open_quote: Option<usize>,
    source: &SourceFile,
) -> Diagnostic {
    let at = |start: usize, end: usize| Span {
        file: error.span.file,
        start: offset(start),
        end: offset(end),
    };
    if let Some(conflict) = conflict(source) {
        return Diagnostic::error("conflict", "git left a conflict in this file")
            .at(at(conflict, conflict + CONFLICT.len() - 1), "it begins here")
            .help("keep one of the two sides, and remove the lines with `<<<<<<<`, `=======` and `>>>>>>>`");
    }
    if let Some(tab) = tab_in_indentation(error, source) {
        return Diagnostic::error("tab", "a tab is used for indentation")
            .at(at(tab, tab + 1), "this is a tab")
            .help("YAML allows only spaces here: replace every tab by two spaces");
    }
    if let Some(quote) = open_quote.filter(|&quote| offset(quote) < error.span.start) {
        return Diagnostic::error(
            "syntax",
            "this is not YAML: a quote seems to be never closed",
        )
        .at(at(quote, quote + 1), "opened here")
        .also(error.span, "here it cannot go on")
        .help("close it on its own line, or take it away");
    }
    let known = KNOWN
        .iter()
        .find(|(words, _, _)| error.info.contains(words));
    let (meaning, help) = known.map_or((error.info.as_str(), None), |(_, meaning, help)| {
        (*meaning, Some(*help))
    });
    let problem =
        Diagnostic::error("syntax", format!("this is not YAML: {meaning}")).at(error.span, "here");
    help.into_iter().fold(problem, Diagnostic::help)
}

/// Where a conflict of git begins.
fn conflict(source: &SourceFile) -> Option<usize> {
    let text = &*source.text;
    if text.starts_with(CONFLICT) {
        return Some(0);
    }
    text.find(&format!("\n{CONFLICT}")).map(|at| at + 1)
}

/// How many lines a text may go on before the tab that the parser complains about at its start.
const LINES_TO_THE_TAB: usize = 100;

/// The tab that the parser stumbled over. It may notice it a line late, or tell the start of the text that goes on there.
fn tab_in_indentation(error: &SyntaxError, source: &SourceFile) -> Option<usize> {
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
        Some(source.line_start(line) as usize + indentation.find('\t')?)
    })
}
