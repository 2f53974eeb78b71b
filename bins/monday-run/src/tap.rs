//! Looks for a line in what the command writes.

use monday_shared::protocol::run::{Line, Output};
use regex::bytes::Regex;
use tokio_util::sync::CancellationToken;

/// So much of a line that has come in pieces is remembered; its earlier bytes are not part of a match any more. No line that
/// says that something is ready is that long.
const REMEMBERED_BYTES: usize = 64 * 1024;

/// Looks for a line in one stream. A clone that has seen nothing is for another stream.
#[derive(Clone, Debug)]
pub(crate) struct Tap {
    pattern: Regex,
    matched: CancellationToken,
    begun: Begun,
}

/// What has come of a line that has not ended.
#[derive(Clone, Debug, Default)]
struct Begun {
    bytes: Vec<u8>,
    /// Whether there was more before it, which was forgotten. One byte of that is kept, so that no match begins there.
    is_cut: bool,
}

impl Tap {
    pub(crate) fn new(pattern: Regex, matched: CancellationToken) -> Self {
        Self {
            pattern,
            matched,
            begun: Begun::default(),
        }
    }

    /// Looks at what has come. A line that goes on is looked at as far as it is: it may be a prompt.
    pub(crate) fn look_at(&mut self, output: &Output) {
        if self.matched.is_cancelled() {
            return;
        }
        let Some((last, whole)) = output.lines.split_last() else {
            return;
        };
        let is_found =
            whole.iter().any(|line| self.finds(line, false)) || self.finds(last, output.partial);
        if is_found {
            self.matched.cancel();
            self.begun = Begun::default();
        }
    }

    fn finds(&mut self, line: &Line, goes_on: bool) -> bool {
        if self.begun.bytes.is_empty() && !goes_on {
            return self.pattern.is_match(&line.0);
        }
        self.begun.bytes.extend_from_slice(&line.0);
        let from = usize::from(self.begun.is_cut);
        let is_found = self.pattern.is_match_at(&self.begun.bytes, from);
        if goes_on {
            self.begun.cut();
        } else {
            self.begun = Begun::default();
        }
        is_found
    }
}

impl Begun {
    fn cut(&mut self) {
        if let Some(more @ 1..) = self.bytes.len().checked_sub(REMEMBERED_BYTES) {
            self.bytes.drain(..more);
            self.is_cut = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use monday_shared::protocol::run::Stream;

    use super::*;

    /// Whether the pattern is found in these batches: their lines, and whether the last goes on.
    fn is_found(pattern: &str, batches: &[(&[&str], bool)]) -> bool {
        let matched = CancellationToken::new();
        let mut tap = Tap::new(Regex::new(pattern).unwrap(), matched.clone());
        for &(lines, partial) in batches {
            tap.look_at(&Output {
                generation: 1,
                stream: Stream::Stdout,
                lines: lines
                    .iter()
                    .map(|line| Line(line.as_bytes().to_vec()))
                    .collect(),
                partial,
                unterminated: false,
            });
        }
        matched.is_cancelled()
    }

    #[test]
    fn a_line_that_comes_in_pieces_is_one_line() {
        let pieces: &[(&[&str], bool)] = &[(&["Server "], true), (&["ready", "next"], false)];
        assert!(is_found("Server ready$", pieces));
        assert!(is_found("^next$", pieces));
        assert!(!is_found("^ready", pieces), "a line does not begin there");
        assert!(!is_found("readynext", pieces));
        let lines: &[(&[&str], bool)] = &[(&["Server "], false), (&["ready"], false)];
        assert!(!is_found("Server ready", lines));
    }

    #[test]
    fn a_prompt_is_found_before_its_line_ends() {
        assert!(is_found("name\\? $", &[(&["name? "], true)]));
    }

    #[test]
    fn of_a_line_without_end_the_last_part_is_remembered() {
        let piece = "x".repeat(REMEMBERED_BYTES);
        let start: (&[&str], bool) = (&[&piece, &piece, "first"], true);
        let ended: (&[&str], bool) = (&[" ready"], false);
        assert!(is_found("first ready", &[start, ended]));
        let more: (&[&str], bool) = (&[&piece], true);
        let batches = [
            more,
            more,
            (&["Server "] as &[&str], true),
            (&["ready"], false),
        ];
        assert!(is_found("Server ready", &batches));
        assert!(
            !is_found("^x+Server ready", &batches),
            "its beginning was forgotten"
        );
        assert!(!is_found("^x", &[(&["y"], true), more, more]));
    }
}
