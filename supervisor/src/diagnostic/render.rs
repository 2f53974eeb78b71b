//! A report as a person reads it: as rustc shows its own, with an excerpt of the file.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Label, Report, Severity, SourceFile, Sources, Span};

/// Lines shown around a label: one, so that a key is seen with the one above it, and a report of many problems stays short.
const CONTEXT_LINES: usize = 1;

/// A line longer than this is generated; an excerpt of it would fill the screen, so only its position is told.
const LONGEST_LINE_BYTES: usize = 4096;

/// How to render.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// With colours (ANSI escapes).
    pub colour: bool,
    /// The width of the terminal, in columns.
    pub width: usize,
}

impl Style {
    /// Without colours, for a file or a pipe.
    #[must_use]
    pub const fn plain() -> Self {
        Self {
            colour: false,
            width: 140,
        }
    }

    /// With colours, for a terminal.
    #[must_use]
    pub const fn coloured() -> Self {
        Self {
            colour: true,
            width: 140,
        }
    }
}

/// Every problem of a report, a blank line after each.
#[must_use]
pub fn report(report: &Report, style: Style) -> String {
    let renderer = if style.colour {
        Renderer::styled().hyperlink(false)
    } else {
        Renderer::plain()
    }
    .term_width(style.width);
    let mut text = String::new();
    for diagnostic in &report.diagnostics {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{}\n", one(diagnostic, &report.sources, &renderer));
    }
    text
}

fn one(diagnostic: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code);
    let mut group = Group::with_title(title);
    for excerpt in excerpts(diagnostic, sources) {
        group = excerpt.add_to(group);
    }
    let help = diagnostic
        .help
        .iter()
        .map(|text| Level::HELP.message(annotate_snippets::normalize_untrusted_str(text)));
    renderer.render(&[group.elements(help)])
}

/// The labels of one file that are near enough to be shown as one piece of it.
struct Excerpt<'a> {
    source: &'a SourceFile,
    labels: Vec<(&'a Label, AnnotationKind)>,
}

/// One excerpt per file, the one with the primary label first.
fn excerpts<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Vec<Excerpt<'a>> {
    let primary = diagnostic
        .primary
        .iter()
        .map(|label| (label, AnnotationKind::Primary));
    let secondary = diagnostic
        .secondary
        .iter()
        .map(|label| (label, AnnotationKind::Context));
    let mut files = Vec::new();
    let mut excerpts: Vec<Excerpt> = Vec::new();
    for (label, kind) in primary.chain(secondary) {
        if let Some(at) = files.iter().position(|&file| file == label.span.file) {
            excerpts[at].labels.push((label, kind));
        } else {
            files.push(label.span.file);
            excerpts.push(Excerpt {
                source: sources.file(label.span.file),
                labels: vec![(label, kind)],
            });
        }
    }
    excerpts
}

impl<'a> Excerpt<'a> {
    fn add_to(self, group: Group<'a>) -> Group<'a> {
        let path = self.source.path.display().to_string();
        let lines = self
            .labels
            .iter()
            .map(|(label, _)| self.source.position(label.span.start).line);
        let first = lines.clone().min().unwrap_or(1);
        let last = lines.max().unwrap_or(1);
        let from = first.saturating_sub(CONTEXT_LINES).max(1);
        let window = self.source.lines(from, last);
        if window.lines().any(|line| line.len() > LONGEST_LINE_BYTES) {
            return self.without_text(path, group);
        }
        let base = self.source.line_start(from) as usize;
        let snippet = Snippet::source(window)
            .path(path)
            .line_start(from)
            .annotations(self.labels.into_iter().map(|(label, kind)| {
                kind.span(marked(window, base, label.span))
                    .label((!label.text.is_empty()).then_some(label.text.as_str()))
            }));
        group.element(snippet)
    }

    fn without_text(&self, path: String, mut group: Group<'a>) -> Group<'a> {
        for (label, _) in &self.labels {
            let position = self.source.position(label.span.start);
            let origin = Origin::path(path.clone())
                .line(position.line)
                .char_column(position.column);
            group = group.element(origin);
        }
        group
    }
}

/// The bytes of a window that a span marks: at least one character where there is one, and nothing past its first line.
/// What is wrong with a whole map or list is seen where it begins.
fn marked(window: &str, base: usize, span: Span) -> Range<usize> {
    let limit = window.len();
    let start = (span.start as usize).saturating_sub(base).min(limit);
    let rest = &window[start..];
    let first_line = rest.find(['\n', '\r']).unwrap_or(rest.len());
    let end = (span.end as usize)
        .saturating_sub(base)
        .clamp(start, start + first_line);
    let one = rest
        .chars()
        .next()
        .filter(|_| first_line > 0)
        .map_or(0, char::len_utf8);
    start..end.max(start + one)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn sample(text: &str, start: u32, end: u32) -> Report {
        let mut sources = Sources::default();
        let file = sources.add(SourceFile::new("monday.yaml", text));
        let span = Span { file, start, end };
        let problem = Diagnostic::error("bad-value", "`b` is wrong")
            .at(span, "here")
            .help("write `b: 2`");
        Report::new(Arc::new(sources), vec![problem])
    }

    #[test]
    fn an_error_shows_where_what_and_how_as_rustc_does() {
        let text = sample("a: 1\nb: oops\n", 8, 12).render(Style::plain());
        assert_eq!(
            text,
            "\
error[bad-value]: `b` is wrong
 --> monday.yaml:2:4
  |
2 | b: oops
  |    ^^^^ here
  |
  = help: write `b: 2`

"
        );
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        let report = sample("a: 1\nb: oops\n", 8, 12);
        assert!(report.render(Style::coloured()).contains('\u{1b}'));
        assert!(!report.render(Style::plain()).contains('\u{1b}'));
    }

    #[test]
    fn escape_sequences_of_a_file_do_not_reach_the_terminal() {
        let text = sample("a: 1\nb: \u{1b}[31moops\n", 8, 12).render(Style::coloured());
        assert!(!text.contains("\u{1b}[31m"), "{text}");
    }

    #[test]
    fn a_span_at_the_very_end_or_over_everything_is_rendered() {
        for (start, end) in [(13, 13), (0, 13), (500, 900), (12, 13)] {
            let text = sample("a: 1\nb: oops\n", start, end).render(Style::plain());
            assert!(text.contains("--> monday.yaml:"), "{text}");
        }
        let text = sample("", 0, 0).render(Style::plain());
        assert!(text.contains("monday.yaml:1:1"), "{text}");
    }

    #[test]
    fn an_endless_line_is_named_but_not_printed() {
        let long = format!("a: {}\n", "x".repeat(100_000));
        let text = sample(&long, 3, 9).render(Style::plain());
        assert!(text.contains("monday.yaml:1:4"), "{text}");
        assert!(text.len() < 1000);
    }
}
