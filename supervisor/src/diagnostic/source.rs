//! The texts that diagnostics point into, and where in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which of the [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A stretch of one file: byte offsets, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// In which file.
    pub file: FileId,
    /// Its first byte.
    pub start: u32,
    /// The byte after its last; equal to `start` for a mere place.
    pub end: u32,
}

/// A place as a person counts: from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// One text and its name.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// What it holds.
    pub text: Arc<str>,
    /// The byte at which each line begins; never empty.
    line_starts: Vec<u32>,
}

impl SourceFile {
    /// A text under the name that diagnostics give it.
    ///
    /// The caller bounds the text: past 4 GiB, offsets stay at the end of what they can count.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let after_breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let line_starts = std::iter::once(0)
            .chain(after_breaks.map(|(at, _)| offset(at + 1)))
            .collect();
        Self {
            path: path.into(),
            text,
            line_starts,
        }
    }

    /// The place of a byte. One past the end is the end.
    #[must_use]
    pub fn position(&self, byte: u32) -> Position {
        let line = self
            .line_starts
            .partition_point(|&start| start <= byte)
            .max(1);
        let start = self.line_starts[line - 1] as usize;
        let before = self
            .text
            .get(start..byte as usize)
            .unwrap_or_else(|| &self.text[start..]);
        Position {
            line,
            column: before.chars().count() + 1,
        }
    }

    /// The byte at which a line begins, lines counted from 1.
    #[must_use]
    pub fn line_start(&self, line: usize) -> u32 {
        let last = self.line_starts.len() - 1;
        self.line_starts[line.saturating_sub(1).min(last)]
    }

    /// How many lines there are.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.line_starts.len()
    }

    /// The text of some lines, counted from 1, the last included.
    #[must_use]
    pub fn lines(&self, first: usize, last: usize) -> &str {
        let start = self.line_start(first) as usize;
        let end = match self.line_starts.get(last) {
            Some(&next) => next as usize,
            None => self.text.len(),
        };
        self.text.get(start..end).unwrap_or_default()
    }
}

/// A byte offset as [`Span`] counts.
#[must_use]
pub fn offset(byte: usize) -> u32 {
    u32::try_from(byte).unwrap_or(u32::MAX)
}

/// Every text that was read, in the order in which it was read.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Takes a text in.
    pub fn add(&mut self, file: SourceFile) -> FileId {
        self.files.push(file);
        FileId(offset(self.files.len() - 1))
    }

    /// The text that a span points into.
    #[must_use]
    pub fn file(&self, id: FileId) -> &SourceFile {
        // An id comes from `add` of these very sources; of others, it is a mistake that shows at once.
        &self.files[id.0 as usize]
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files
            .iter()
            .enumerate()
            .map(|(at, file)| (FileId(offset(at)), file))
    }

    /// The characters of a span.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        let text = &self.file(span.file).text;
        text.get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// The path of the file that a span points into.
    #[must_use]
    pub fn path(&self, span: Span) -> &Path {
        &self.file(span.file).path
    }

    /// Where a span begins.
    #[must_use]
    pub fn start(&self, span: Span) -> Position {
        self.file(span.file).position(span.start)
    }

    /// Where a span ends.
    #[must_use]
    pub fn end(&self, span: Span) -> Position {
        self.file(span.file).position(span.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let file = SourceFile::new("monday.yaml", "a: 1\nnäme: x\n");
        let at = |byte| {
            let Position { line, column } = file.position(byte);
            (line, column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(5), (2, 1));
        // "ä" is two bytes and one column.
        assert_eq!(at(11), (2, 6));
        assert_eq!(at(14), (3, 1));
        assert_eq!(at(999), (3, 1));
        assert_eq!(file.lines(2, 2), "näme: x\n");
        assert_eq!(file.lines(1, 9), "a: 1\nnäme: x\n");
    }

    #[test]
    fn an_empty_text_has_one_line() {
        let file = SourceFile::new("monday.yaml", "");
        assert_eq!(file.line_count(), 1);
        assert_eq!(file.position(0), Position { line: 1, column: 1 });
        assert_eq!(file.lines(1, 1), "");
    }
}
