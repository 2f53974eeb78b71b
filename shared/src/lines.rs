//! Cuts output into lines, whatever it is: nothing is lost, nothing is waited for too long, no line grows without end.

use crate::protocol::run::Line;

/// A line longer than this is passed on in pieces. With what one read brings, a batch is then below 128 KiB, and below
/// the 1 MiB of a message even if every byte of it has to be written as `\u0000`.
const PIECE_BYTES: usize = 64 * 1024;

/// Lines that came together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The lines, in order.
    pub lines: Vec<Line>,
    /// How the last one ends.
    pub last: Last,
}

/// How the last line of a batch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// With a line feed.
    Whole,
    /// Not yet: its rest follows as the first line of the next batch.
    Piece,
    /// The stream ended without a line feed.
    Unterminated,
}

/// Cuts one stream.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    /// Whether a beginning of that line was passed on already.
    continues: bool,
}

impl Splitter {
    /// Takes what was read, and returns what can be passed on at once.
    pub fn push(&mut self, chunk: &[u8]) -> Option<Batch> {
        let Some(end) = memchr::memrchr(b'\n', chunk) else {
            self.rest.extend_from_slice(chunk);
            return self.long_piece();
        };
        let (whole, rest) = chunk.split_at(end);
        let mut lines = Vec::with_capacity(memchr::memchr_iter(b'\n', whole).count() + 2);
        let mut start = 0;
        for at in memchr::memchr_iter(b'\n', whole).chain([whole.len()]) {
            let line = &whole[start..at];
            if start == 0 {
                let mut first = std::mem::take(&mut self.rest);
                first.extend_from_slice(line);
                lines.push(Line(first));
            } else {
                lines.push(Line(line.to_vec()));
            }
            start = at + 1;
        }
        self.continues = false;
        self.rest.extend_from_slice(&rest[1..]);
        Some(Batch {
            lines,
            last: Last::Whole,
        })
    }

    /// Whether something waits for the end of its line.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Passes on what waits: nothing came for a while, and it may be a prompt.
    pub fn flush(&mut self) -> Option<Batch> {
        self.waits().then(|| self.piece(Last::Piece))
    }

    /// The stream ended: the last line, if it had no end.
    pub fn end(&mut self) -> Option<Batch> {
        (self.waits() || self.continues).then(|| self.piece(Last::Unterminated))
    }

    fn long_piece(&mut self) -> Option<Batch> {
        (self.rest.len() >= PIECE_BYTES).then(|| self.piece(Last::Piece))
    }

    fn piece(&mut self, last: Last) -> Batch {
        self.continues = last == Last::Piece;
        Batch {
            lines: vec![Line(std::mem::take(&mut self.rest))],
            last,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(batch: Option<Batch>) -> (Vec<String>, Last) {
        let batch = batch.unwrap();
        let lines = batch
            .lines
            .iter()
            .map(|line| line.text().into_owned())
            .collect();
        (lines, batch.last)
    }

    #[test]
    fn a_line_waits_for_its_end() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push(b"he"), None);
        assert!(splitter.waits());
        let (lines, last) = texts(splitter.push(b"llo\n\nwor"));
        assert_eq!(
            (lines, last),
            (vec!["hello".into(), String::new()], Last::Whole)
        );
        assert_eq!(
            texts(splitter.end()),
            (vec!["wor".into()], Last::Unterminated)
        );
        assert_eq!(splitter.end(), None);
    }

    #[test]
    fn a_prompt_is_passed_on_as_a_piece_and_its_line_goes_on() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push(b"name? "), None);
        assert_eq!(
            texts(splitter.flush()),
            (vec!["name? ".into()], Last::Piece)
        );
        assert_eq!(splitter.flush(), None);
        let (lines, last) = texts(splitter.push(b"\nok\n"));
        assert_eq!(
            (lines, last),
            (vec![String::new(), "ok".into()], Last::Whole)
        );
        assert_eq!(splitter.end(), None);
    }

    #[test]
    fn a_piece_without_an_end_is_ended_when_the_stream_ends() {
        let mut splitter = Splitter::default();
        splitter.push(b"name? ");
        splitter.flush();
        assert_eq!(
            texts(splitter.end()),
            (vec![String::new()], Last::Unterminated)
        );
    }

    #[test]
    fn a_line_without_end_is_passed_on_in_pieces_of_bounded_size() {
        let mut splitter = Splitter::default();
        let mut bytes = 0;
        for _ in 0..100 {
            for line in splitter
                .push(&vec![b'x'; 60_000])
                .into_iter()
                .flat_map(|b| b.lines)
            {
                assert!(line.0.len() < 2 * PIECE_BYTES);
                bytes += line.0.len();
            }
        }
        bytes += splitter.end().map_or(0, |batch| batch.lines[0].0.len());
        assert_eq!(bytes, 6_000_000);
    }

    proptest! {
        #[test]
        fn every_byte_comes_out_again_in_order(
            chunks in prop::collection::vec((prop::collection::vec(prop::sample::select(vec![b'\n', b'a', 0xff, 0]), 0..20), any::<bool>()), 0..20)
        ) {
            let mut splitter = Splitter::default();
            let mut batches = Vec::new();
            let mut sent = Vec::new();
            for (chunk, flush) in chunks {
                sent.extend_from_slice(&chunk);
                batches.extend(splitter.push(&chunk));
                if flush {
                    batches.extend(splitter.flush());
                }
            }
            batches.extend(splitter.end());
            let mut received = Vec::new();
            for batch in batches {
                prop_assert!(!batch.lines.is_empty());
                let count = batch.lines.len();
                for (at, line) in batch.lines.iter().enumerate() {
                    prop_assert!(!line.0.contains(&b'\n'));
                    received.extend_from_slice(&line.0);
                    if at + 1 < count || batch.last == Last::Whole {
                        received.push(b'\n');
                    }
                }
            }
            prop_assert_eq!(received, sent);
        }
    }
}
