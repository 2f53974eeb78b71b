//! The YAML events of one file, with byte positions.
//!
//! The parser forgets anchors at the end of a file and stops at an alias that it does not know; our anchors go on from
//! file to file. So an alias and an anchor are told by name here, known or not, and [`super::anchors`] decides.

use std::borrow::Cow;
use std::ops::Range;

use saphyr_parser::{
    Event as Raw, Marker, Parser, ScalarStyle, ScanError, Span as RawSpan, StrInput, Tag,
};

use super::lenient::Lenient;
use crate::diagnostic::source::offset;
use crate::diagnostic::{FileId, SourceFile, Span};

/// What the parser says where it meets an alias that it knows no anchor for. It has taken the alias by then and goes on
/// behind it when asked for the next event; a test holds it to that.
const UNKNOWN_ANCHOR: &str = "found unknown anchor";

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A document begins.
    DocumentStart,
    /// A document ends.
    DocumentEnd,
    /// A scalar.
    Scalar {
        /// Its text, quotes and escapes resolved.
        text: Cow<'a, str>,
        /// Whether it is written without quotes.
        plain: bool,
        /// What is before it.
        properties: Properties,
    },
    /// A list begins.
    ListStart(Properties),
    /// A list ends.
    ListEnd,
    /// A map begins.
    MapStart(Properties),
    /// A map ends.
    MapEnd,
    /// `*name`.
    Alias(String),
}

/// What may stand before a value.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    /// The name of its anchor, and where that is written.
    pub(super) anchor: Option<(String, Span)>,
    /// Its tag, such as `!!str`.
    pub(super) tag: Option<String>,
}

/// The text is not YAML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    /// What the parser says.
    pub(super) info: String,
    /// Where in the file.
    pub(super) span: Span,
    /// Where in the text that was read.
    pub(super) byte: usize,
}

/// The events of one file, one after the other.
pub(super) struct Events<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: FileId,
    lenient: &'a Lenient<'a>,
    cursor: Cursor,
    /// The end of what can be seen of the file: what is behind it is shown there.
    end: usize,
}

/// Bytes of the text that is read; [`Lenient::original`] leads from there to the file.
type Bytes = Range<usize>;

impl<'a> Events<'a> {
    pub(super) fn new(file: FileId, lenient: &'a Lenient<'a>) -> Self {
        Self {
            parser: Parser::new_from_str(&lenient.source().text),
            file,
            lenient,
            cursor: Cursor::default(),
            end: lenient.file().trim_end().len(),
        }
    }

    /// The next event and where it is; nothing at the end. After an error there is nothing more to ask for.
    pub(super) fn next(&mut self) -> Option<Result<(Event<'a>, Span), SyntaxError>> {
        loop {
            let (raw, span) = match self.parser.next_event()? {
                Ok(event) => event,
                Err(error) => return Some(self.recover(&error)),
            };
            let bytes = self.bytes(span);
            let (event, bytes) = match raw {
                Raw::Nothing | Raw::StreamStart => continue,
                Raw::StreamEnd => return None,
                Raw::DocumentStart(_) => (Event::DocumentStart, bytes),
                Raw::DocumentEnd => (Event::DocumentEnd, bytes),
                Raw::Alias(_) => (Event::Alias(name(&self.text()[bytes.start..])), bytes),
                Raw::SequenceEnd => (Event::ListEnd, bytes),
                Raw::MappingEnd => (Event::MapEnd, bytes),
                Raw::SequenceStart(anchor, tag) => {
                    let (properties, bytes) = self.properties(bytes, anchor, tag.as_deref());
                    (Event::ListStart(properties), bytes)
                }
                Raw::MappingStart(anchor, tag) => {
                    let (properties, bytes) = self.properties(bytes, anchor, tag.as_deref());
                    (Event::MapStart(properties), bytes)
                }
                Raw::Scalar(text, style, anchor, tag) => {
                    let (properties, bytes) = self.properties(bytes, anchor, tag.as_deref());
                    let bytes = self.on_the_dash(self.without_what_follows(bytes, style));
                    let event = Event::Scalar {
                        text,
                        plain: style == ScalarStyle::Plain,
                        properties,
                    };
                    (event, bytes)
                }
            };
            return Some(Ok((event, self.span(&bytes))));
        }
    }

    /// An alias to an anchor of an earlier file, or of none, is an alias; anything else is an error.
    fn recover(&mut self, error: &ScanError) -> Result<(Event<'a>, Span), SyntaxError> {
        let start = self.byte(*error.marker());
        let rest = &self.text()[start..];
        if error.info().contains(UNKNOWN_ANCHOR) && rest.starts_with('*') {
            let name = name(rest);
            let end = start + 1 + name.len();
            return Ok((Event::Alias(name), self.span(&(start..end))));
        }
        // Without a line end at the end of the file the parser counts the end to the start of its last line.
        let start = if error.marker().index() >= self.text().chars().count() {
            self.text().len()
        } else {
            start
        };
        Err(SyntaxError {
            info: error.info().to_owned(),
            span: self.before_the_end(self.span(&(start..start))),
            byte: start,
        })
    }

    /// The anchor and tag before a value, and where the value itself is.
    fn properties(&self, bytes: Bytes, anchor: usize, tag: Option<&Tag>) -> (Properties, Bytes) {
        let mut properties = Properties {
            anchor: None,
            tag: tag.map(|tag| {
                if tag.is_yaml_core_schema() {
                    format!("!!{}", tag.suffix)
                } else {
                    tag.to_string()
                }
            }),
        };
        if anchor == 0 && tag.is_none() {
            return (properties, bytes);
        }
        // At most one of each, in any order, with blanks, comments and line ends between them.
        let text = self.text();
        let mut rest = &text[bytes.start..];
        loop {
            rest = skip_space(rest);
            if rest.starts_with('&') && properties.anchor.is_none() {
                let anchor = name(rest);
                let start = text.len() - rest.len();
                let end = start + 1 + anchor.len();
                rest = &text[end..];
                properties.anchor = Some((anchor, self.span(&(start..end))));
            } else if rest.starts_with('!') {
                rest = &rest[rest.find(char::is_whitespace).unwrap_or(rest.len())..];
            } else {
                break;
            }
        }
        let start = text.len() - rest.len();
        // An empty value has nothing behind its anchor: then the anchor is what can be shown.
        let start = if start < bytes.end {
            start
        } else {
            bytes.start
        };
        (properties, start..bytes.end)
    }

    /// An item that is nothing is shown at its dash: there is nothing else to see of it.
    fn on_the_dash(&self, bytes: Bytes) -> Bytes {
        if bytes.is_empty() && self.text()[..bytes.start].ends_with('-') {
            return bytes.start - 1..bytes.end;
        }
        bytes
    }

    /// The parser counts blanks and a comment behind a closing quote to the scalar.
    fn without_what_follows(&self, bytes: Bytes, style: ScalarStyle) -> Bytes {
        let mut chars = self.text()[bytes.clone()].char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            let next_is_quote = chars.peek().is_some_and(|&(_, next)| next == '\'');
            match (style, c) {
                (ScalarStyle::SingleQuoted, '\'') if next_is_quote => drop(chars.next()),
                (ScalarStyle::DoubleQuoted, '\\') => drop(chars.next()),
                (ScalarStyle::SingleQuoted, '\'') | (ScalarStyle::DoubleQuoted, '"') => {
                    return bytes.start..bytes.start + at + 1;
                }
                (ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, _) => {}
                _ => break,
            }
        }
        bytes
    }

    fn text(&self) -> &'a str {
        &self.lenient.source().text
    }

    fn bytes(&mut self, raw: RawSpan) -> Bytes {
        let start = self.byte(raw.start);
        let end = self.byte(raw.end).max(start);
        start..end
    }

    fn byte(&mut self, marker: Marker) -> usize {
        let source = self.lenient.source();
        self.cursor.seek(source, marker.line(), marker.col())
    }

    fn span(&self, bytes: &Bytes) -> Span {
        let start = self.lenient.original(bytes.start).min(self.end);
        let end = self.lenient.original(bytes.end).min(self.end);
        Span {
            file: self.file,
            start: offset(start),
            end: offset(end.max(start)),
        }
    }

    /// The last character, where a span is at the end.
    fn before_the_end(&self, span: Span) -> Span {
        if span.start < offset(self.end) {
            return span;
        }
        let last = self.lenient.file()[..self.end].char_indices().next_back();
        Span {
            start: offset(last.map_or(0, |(at, _)| at)),
            end: offset(self.end),
            ..span
        }
    }
}

/// The name after `&` or `*`: up to a blank, a line end or, as it may stand in a flow collection, one of its signs.
fn name(text: &str) -> String {
    name_at_start(&text[1.min(text.len())..]).to_owned()
}

/// The name of an anchor that a text begins with.
pub(super) fn name_at_start(text: &str) -> &str {
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}' | '\u{feff}');
    &text[..text.find(ends).unwrap_or(text.len())]
}

fn skip_space(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        let Some(comment) = text.strip_prefix('#') else {
            return text;
        };
        text = comment.split_once('\n').map_or("", |(_, rest)| rest);
    }
}

/// Turns the parser's lines and columns into bytes. It remembers where it was, so that one endless line costs no more
/// than many short ones.
#[derive(Default)]
struct Cursor {
    line: usize,
    column: usize,
    byte: usize,
}

impl Cursor {
    /// The byte of a character; lines count from 1, columns from 0, both as the parser counts.
    fn seek(&mut self, source: &SourceFile, line: usize, column: usize) -> usize {
        if line != self.line {
            *self = Self {
                line,
                column: 0,
                byte: source.line_start(line) as usize,
            };
            // A byte order mark is no column.
            if line <= 1 && source.text.starts_with('\u{feff}') {
                self.byte = '\u{feff}'.len_utf8();
            }
        }
        let text = &*source.text;
        if column >= self.column {
            let ahead = text[self.byte..].chars().take(column - self.column);
            for c in ahead {
                self.byte += c.len_utf8();
                self.column += 1;
            }
        } else {
            let behind = text[..self.byte].chars().rev().take(self.column - column);
            for c in behind {
                self.byte -= c.len_utf8();
                self.column -= 1;
            }
        }
        self.byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;

    /// Hands over every event, and the text at its place.
    fn each(text: &str, mut take: impl FnMut(Event, &str)) -> Result<(), SyntaxError> {
        let mut sources = Sources::default();
        let file = sources.add(SourceFile::new("monday.yaml", text));
        let lenient = Lenient::new(sources.file(file));
        let mut events = Events::new(file, &lenient);
        while let Some(event) = events.next() {
            let (event, span) = event?;
            take(event, sources.text(span));
        }
        Ok(())
    }

    fn scalars(text: &str) -> Vec<(String, String)> {
        let mut scalars = Vec::new();
        each(text, |event, shown| match event {
            Event::Scalar { text, .. } => scalars.push((text.into_owned(), shown.to_owned())),
            Event::Alias(name) => scalars.push((format!("*{name}"), shown.to_owned())),
            _ => {}
        })
        .unwrap();
        scalars
    }

    #[test]
    fn a_scalar_is_where_it_is_written() {
        let found = scalars("# größe ä\nnäme: 'wért'   # ö\nports: [1:2, \"ü\"] # ä\nlast: x");
        let expected = [
            ("näme", "näme"),
            ("wért", "'wért'"),
            ("ports", "ports"),
            ("1:2", "1:2"),
            ("ü", "\"ü\""),
            ("last", "last"),
            ("x", "x"),
        ];
        assert_eq!(
            found,
            expected.map(|(text, shown)| (text.to_owned(), shown.to_owned()))
        );
    }

    #[test]
    fn windows_line_ends_and_a_byte_order_mark_shift_nothing() {
        let found = scalars("\u{feff}a: 1\r\nb: 'two'\r\n");
        assert_eq!(found.last().unwrap().1, "'two'");
        assert_eq!(found[0], ("a".to_owned(), "a".to_owned()));
    }

    #[test]
    fn an_anchor_has_its_name_and_is_not_part_of_the_value() {
        let mut anchors = Vec::new();
        let text =
            "<: &one !!str 8005\nb: !t &two\n  # said\n  x: 1\nc: &three\nd: [&four {}, &five [] ]";
        each(text, |event, shown| {
            if let Event::Scalar { properties, .. }
            | Event::ListStart(properties)
            | Event::MapStart(properties) = event
                && let Some((name, _)) = properties.anchor
            {
                anchors.push((name, shown.to_owned()));
            }
        })
        .unwrap();
        let anchors: Vec<(&str, &str)> = anchors
            .iter()
            .map(|(name, shown)| (name.as_str(), shown.as_str()))
            .collect();
        assert_eq!(anchors[0], ("one", "8005"));
        assert_eq!(anchors[1].0, "two");
        assert_eq!(
            anchors[2..],
            [("three", "&three"), ("four", "{"), ("five", "[")]
        );
    }

    #[test]
    fn an_alias_to_an_anchor_of_another_file_is_an_alias_wherever_it_stands() {
        let text = "a: *one\nb:\n  - *two\n  - x: *thr-ee\n    <<: [*four, *five]\nc: {d: *six, e: [*seven]}\n*eight : f\n";
        let found = scalars(text);
        let aliases: Vec<&str> = found
            .iter()
            .map(|(text, _)| text.as_str())
            .filter(|text| text.starts_with('*'))
            .collect();
        assert_eq!(
            aliases,
            [
                "*one", "*two", "*thr-ee", "*four", "*five", "*six", "*seven", "*eight"
            ]
        );
        assert!(
            found
                .iter()
                .all(|(text, shown)| !text.starts_with('*') || text == shown)
        );
        assert_eq!(found.last().unwrap().0, "f");
    }

    #[test]
    fn an_error_has_its_place() {
        let error = each("a: 1\nb: [1, 2\nc: 3\n", |_, _| {}).unwrap_err();
        assert!(error.span.start >= 5, "{error:?}");
    }

    #[test]
    fn an_endless_line_is_read_in_linear_time() {
        let text = format!("a: [{}]", "ä, ".repeat(200_000));
        assert_eq!(scalars(&text).len(), 200_001);
    }
}
