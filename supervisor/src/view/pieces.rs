//! Puts lines together again that come in pieces: a very long line is one line for all who look at it.
//!
//! A short piece is most likely a prompt, which is not held back: whoever reads it is to answer.

use std::collections::HashMap;

use monday_shared::protocol::run::{Output, Stream};

/// A piece of this size is the beginning of a long line whose rest is under way: what monday-run reads at once.
const LONG_PIECE_BYTES: usize = 64 * 1024;

/// A line that is longer is shown in pieces after all: it cannot be held for ever.
const LONGEST_BYTES: usize = 1024 * 1024;

/// The beginnings of lines, by app and stream.
#[derive(Debug, Default)]
pub(super) struct Pieces(HashMap<(String, Stream), Vec<u8>>);

impl Pieces {
    /// What is to be shown of this output: each of its lines goes to `show` in order.
    pub(super) fn add(&mut self, app: &str, output: &Output, mut show: impl FnMut(&[u8], bool)) {
        let last = output.lines.len().saturating_sub(1);
        for (at, line) in output.lines.iter().enumerate() {
            let open = output.partial && at == last;
            let held = match at {
                // Looked for only where there can be one: nearly all lines are whole.
                0 if !self.0.is_empty() => self.0.remove(&(app.to_owned(), output.stream)),
                _ => None,
            };
            let begun = held.is_some();
            match held {
                None if !(open && line.0.len() >= LONG_PIECE_BYTES) => show(&line.0, open),
                held => {
                    let mut text = held.unwrap_or_default();
                    text.extend_from_slice(&line.0);
                    let goes_on = open && (begun || line.0.len() >= LONG_PIECE_BYTES);
                    if goes_on && text.len() < LONGEST_BYTES {
                        self.0.insert((app.to_owned(), output.stream), text);
                    } else {
                        show(&text, open);
                    }
                }
            }
        }
    }

    /// What is left of an app that writes no more: its monday-run was killed in the middle of a line.
    pub(super) fn end(&mut self, app: &str) -> Vec<Vec<u8>> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let ended = [Stream::Stdout, Stream::Stderr];
        let left = ended.map(|stream| self.0.remove(&(app.to_owned(), stream)));
        left.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use monday_shared::protocol::run::Line;

    use super::*;

    /// A line, or a piece of one, as it was shown.
    #[derive(Debug, PartialEq, Eq)]
    struct Shown {
        text: Vec<u8>,
        open: bool,
    }

    fn output(lines: &[&[u8]], partial: bool) -> Output {
        Output {
            generation: 1,
            stream: Stream::Stdout,
            lines: lines.iter().map(|line| Line(line.to_vec())).collect(),
            partial,
            unterminated: false,
        }
    }

    fn add(pieces: &mut Pieces, app: &str, output: &Output) -> Vec<Shown> {
        let mut all = Vec::new();
        pieces.add(app, output, |text, open| {
            let text = text.to_vec();
            all.push(Shown { text, open });
        });
        all
    }

    #[test]
    fn a_long_line_is_held_until_its_end_and_others_are_not() {
        let mut pieces = Pieces::default();
        let piece = vec![b'x'; LONG_PIECE_BYTES];
        assert!(add(&mut pieces, "api", &output(&[&piece], true)).is_empty());
        assert_eq!(
            add(&mut pieces, "web", &output(&[b"other"], false)).len(),
            1
        );
        assert!(add(&mut pieces, "api", &output(&[&piece], true)).is_empty());
        let shown = add(&mut pieces, "api", &output(&[b"end", b"next"], false));
        assert_eq!(shown[0].text.len(), 2 * LONG_PIECE_BYTES + 3);
        assert_eq!(shown[1].text, b"next");
        assert!(pieces.end("api").is_empty());
    }

    #[test]
    fn a_prompt_is_shown_at_once() {
        let mut pieces = Pieces::default();
        let shown = add(&mut pieces, "api", &output(&[b"name? "], true));
        assert_eq!(
            shown,
            [Shown {
                text: b"name? ".to_vec(),
                open: true
            }]
        );
    }

    #[test]
    fn what_is_held_is_bounded_and_never_lost() {
        let mut pieces = Pieces::default();
        let piece = vec![b'x'; LONG_PIECE_BYTES];
        let mut shown = 0;
        for _ in 0..100 {
            for part in add(&mut pieces, "api", &output(&[&piece], true)) {
                assert!(part.open && part.text.len() <= LONGEST_BYTES + LONG_PIECE_BYTES);
                shown += part.text.len();
            }
        }
        shown += pieces.end("api").concat().len();
        assert_eq!(shown, 100 * LONG_PIECE_BYTES);
    }
}
