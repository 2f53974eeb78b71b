//! The command's output for people: byte for byte without a name, and with `name | ` before each line with one.

use std::io::Write as _;

use monday_shared::life::report::Format;
use monday_shared::name_colour::style_of;
use monday_shared::protocol::run::{Event, Output, Phase, Stream};

/// Shows output. Everything else that happens is for the log.
#[derive(Debug)]
pub(crate) struct Text {
    /// What stands before each line.
    prefix: Vec<u8>,
    /// Each byte is shown as it was written, and none is added.
    verbatim: bool,
    /// The stream whose last line has no end yet.
    open: Option<Stream>,
}

impl Text {
    /// Shows output as it is, or each line after that name.
    pub(crate) fn new(name: Option<&str>, colour: bool) -> Self {
        let mut prefix = Vec::new();
        if let Some(name) = name {
            let style = style_of(name);
            // Writing into memory does not fail.
            let _ = if colour {
                write!(prefix, "{style}{name} |{style:#} ")
            } else {
                write!(prefix, "{name} | ")
            };
        }
        Self {
            prefix,
            verbatim: name.is_none(),
            open: None,
        }
    }

    /// Shows whole lines, without a name.
    pub(crate) fn for_file() -> Self {
        Self {
            prefix: Vec::new(),
            verbatim: false,
            open: None,
        }
    }

    fn output(&mut self, output: &Output, bytes: &mut Vec<u8>) {
        let mut continues = self.open == Some(output.stream);
        if !continues {
            self.close(bytes);
        }
        for (at, line) in output.lines.iter().enumerate() {
            let is_last = at + 1 == output.lines.len();
            if !continues {
                bytes.extend_from_slice(&self.prefix);
            }
            bytes.extend_from_slice(&line.0);
            continues = false;
            if is_last && output.partial {
                self.open = Some(output.stream);
                return;
            }
            if !(self.verbatim && is_last && output.unterminated) {
                bytes.push(b'\n');
            }
        }
        self.open = None;
    }

    /// Ends a line that another one is to follow.
    fn close(&mut self, bytes: &mut Vec<u8>) {
        if self.open.take().is_some() && !self.verbatim {
            bytes.push(b'\n');
        }
    }
}

impl Format<Event> for Text {
    fn event(&mut self, event: &Event, bytes: &mut Vec<u8>) {
        match event {
            Event::Output(output) => self.output(output, bytes),
            // Whatever follows is the output of another process.
            Event::State(state) if state.phase == Phase::Running => self.close(bytes),
            Event::State(_) | Event::Ready { .. } => {}
        }
    }

    fn lagged(&mut self, dropped: u64, bytes: &mut Vec<u8>) {
        self.close(bytes);
        let _ = writeln!(bytes, "({dropped} lines were lost here)");
    }
}

#[cfg(test)]
mod tests {
    use monday_shared::protocol::run::Line;

    use super::*;

    #[derive(Clone, Copy)]
    enum End {
        Whole,
        Piece,
        Unterminated,
    }

    fn output(stream: Stream, lines: &[&str], end: End) -> Event {
        Event::Output(Output {
            generation: 1,
            stream,
            lines: lines
                .iter()
                .map(|line| Line(line.as_bytes().to_vec()))
                .collect(),
            partial: matches!(end, End::Piece),
            unterminated: matches!(end, End::Unterminated),
        })
    }

    fn shown(name: Option<&str>, events: &[Event]) -> String {
        let mut text = Text::new(name, false);
        let mut bytes = Vec::new();
        for event in events {
            text.event(event, &mut bytes);
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_name_stands_before_each_line_once() {
        let events = [
            output(Stream::Stdout, &["one", "", "name? "], End::Piece),
            output(Stream::Stdout, &["joe", "two"], End::Whole),
        ];
        assert_eq!(
            shown(Some("api"), &events),
            "api | one\napi | \napi | name? joe\napi | two\n"
        );
    }

    #[test]
    fn two_streams_never_share_a_line_that_has_a_name() {
        let events = [
            output(Stream::Stdout, &["name? "], End::Piece),
            output(Stream::Stderr, &["oops"], End::Whole),
            output(Stream::Stdout, &["joe"], End::Whole),
        ];
        assert_eq!(
            shown(Some("api"), &events),
            "api | name? \napi | oops\napi | joe\n"
        );
    }

    #[test]
    fn without_a_name_everything_is_as_it_was_written() {
        let events = [
            output(Stream::Stdout, &["one", "name? "], End::Piece),
            output(Stream::Stdout, &["", "last"], End::Unterminated),
        ];
        assert_eq!(shown(None, &events), "one\nname? \nlast");
        assert_eq!(shown(Some("x"), &events), "x | one\nx | name? \nx | last\n");
    }

    #[test]
    fn a_colour_is_put_around_the_name_only() {
        let mut text = Text::new(Some("api"), true);
        let mut bytes = Vec::new();
        text.event(&output(Stream::Stdout, &["one"], End::Whole), &mut bytes);
        let shown = String::from_utf8(bytes).unwrap();
        assert!(
            shown.starts_with("\u{1b}[") && shown.ends_with("\u{1b}[0m one\n"),
            "{shown:?}"
        );
    }
}
