//! Lines that were written, numbered without end, of which the last ones are kept: a place in the log stays the same
//! place while new lines come.

use std::collections::VecDeque;
use std::sync::Arc;

use monday_shared::protocol::run::Stream;

/// How many lines of one log are kept.
const MOST: usize = 5_000;

/// How far back the beginning of a line is looked for whose rest has come.
const NEWEST: usize = 64;

/// A line as it is kept; two logs that show it share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Who wrote it.
    pub(super) label: Arc<str>,
    /// The text.
    pub(super) text: Arc<str>,
    /// On which stream.
    pub(super) stream: Stream,
    /// It is only a piece: the rest follows.
    pub(super) open: bool,
}

/// The last lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    lines: VecDeque<Entry>,
    /// How many lines were dropped: the number of the first one that is kept.
    first: u64,
}

impl Log {
    pub(super) fn push(&mut self, entry: Entry) {
        self.lines.push_back(entry);
        if self.lines.len() > MOST {
            self.lines.pop_front();
            self.first += 1;
        }
    }

    /// The last line from the same source and stream, if it is among the newest.
    pub(super) fn last_of(&mut self, like: &Entry) -> Option<&mut Entry> {
        self.lines
            .iter_mut()
            .rev()
            .take(NEWEST)
            .find(|entry| entry.label == like.label && entry.stream == like.stream)
    }

    /// The number of the first line that is kept.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next line will have.
    pub(super) fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    /// The lines from one number up to another.
    pub(super) fn range(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let skip = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let begin = from.max(self.first);
        let count = usize::try_from(to.saturating_sub(begin)).unwrap_or(usize::MAX);
        self.lines
            .iter()
            .skip(skip)
            .take(count)
            .enumerate()
            .map(move |(at, entry)| (begin + at as u64, entry))
    }

    /// The nearest line before (or after) that number whose text contains the words; both in lower case.
    pub(super) fn find(&self, words: &str, from: u64, backwards: bool) -> Option<u64> {
        let is_hit = |(_, entry): &(u64, &Entry)| contains(&entry.text, words);
        if backwards {
            let before: Vec<_> = self.range(self.first, from).collect();
            before
                .into_iter()
                .rev()
                .find(is_hit)
                .map(|(number, _)| number)
        } else {
            self.range(from + 1, self.end())
                .find(is_hit)
                .map(|(number, _)| number)
        }
    }
}

/// Whether the text contains the words, whatever their case.
pub(super) fn contains(text: &str, words: &str) -> bool {
    !words.is_empty() && super::ansi::plain(text).to_lowercase().contains(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: u64) -> Log {
        let mut log = Log::default();
        for number in 0..lines {
            log.push(Entry {
                label: "api".into(),
                text: format!("line {number}").into(),
                stream: Stream::Stdout,
                open: false,
            });
        }
        log
    }

    #[test]
    fn a_number_stays_with_its_line() {
        let log = log(MOST as u64 + 10);
        assert_eq!((log.first(), log.end()), (10, MOST as u64 + 10));
        let seen: Vec<_> = log
            .range(5, 12)
            .map(|(n, e)| (n, e.text.to_string()))
            .collect();
        assert_eq!(
            seen,
            [(10, "line 10".to_owned()), (11, "line 11".to_owned())]
        );
    }

    #[test]
    fn words_are_found_in_both_directions() {
        let log = log(30);
        assert_eq!(log.find("ne 1", 15, true), Some(14));
        assert_eq!(log.find("ne 1", 15, false), Some(16));
        assert_eq!(log.find("ne 1", 19, false), None);
        assert_eq!(log.find("", 3, true), None);
    }
}
