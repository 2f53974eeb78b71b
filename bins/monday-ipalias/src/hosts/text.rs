//! Lines of a text file, as bytes: nothing is decoded, and every line keeps the ending that it has.

use std::ops::Range;

/// How a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A line feed.
    Lf,
    /// Carriage return and line feed.
    CrLf,
}

impl Ending {
    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// One line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Which one it is, counted from 1.
    pub number: usize,
    /// Where it stands, its ending included.
    pub span: Range<usize>,
    /// What it says, without its ending.
    pub content: &'a [u8],
    /// How it ends; nothing for a last line without an end.
    pub ending: Option<Ending>,
}

/// The lines of a file, in order.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .scan((0, 0), |(number, start), whole| {
            *number += 1;
            let span = *start..*start + whole.len();
            *start = span.end;
            let (content, ending) = if let Some(content) = whole.strip_suffix(b"\r\n") {
                (content, Some(Ending::CrLf))
            } else if let Some(content) = whole.strip_suffix(b"\n") {
                (content, Some(Ending::Lf))
            } else {
                (whole, None)
            };
            Some(Line {
                number: *number,
                span,
                content,
                ending,
            })
        })
}

/// The ending that most lines have; a line feed if none has the majority.
#[must_use]
pub fn dominant_ending(bytes: &[u8]) -> Ending {
    let (mut lf, mut crlf) = (0_usize, 0_usize);
    for line in lines(bytes) {
        match line.ending {
            Some(Ending::Lf) => lf += 1,
            Some(Ending::CrLf) => crlf += 1,
            None => {}
        }
    }
    if crlf > lf { Ending::CrLf } else { Ending::Lf }
}

/// The words of a line before its comment, as a resolver reads them (hosts(5)).
pub fn words(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let before_comment = content
        .split(|byte| *byte == b'#')
        .next()
        .unwrap_or(content);
    before_comment
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_keeps_its_ending_and_its_place() {
        let bytes = b"a\nb\r\n\nc\rd";
        let found: Vec<(&[u8], Option<Ending>)> = lines(bytes)
            .map(|line| (line.content, line.ending))
            .collect();
        assert_eq!(
            found,
            [
                (b"a".as_slice(), Some(Ending::Lf)),
                (b"b", Some(Ending::CrLf)),
                (b"", Some(Ending::Lf)),
                (b"c\rd", None),
            ]
        );
        let joined: Vec<u8> = lines(bytes)
            .flat_map(|line| bytes[line.span].to_vec())
            .collect();
        assert_eq!(joined, bytes);
        assert_eq!(lines(b"").count(), 0);
    }

    #[test]
    fn the_ending_of_most_lines_is_taken_for_new_ones() {
        assert_eq!(dominant_ending(b"a\r\nb\r\nc\n"), Ending::CrLf);
        assert_eq!(dominant_ending(b"a\r\nb\n"), Ending::Lf);
        assert_eq!(dominant_ending(b""), Ending::Lf);
    }

    #[test]
    fn words_end_at_the_comment() {
        let found: Vec<&[u8]> = words(b" 127.0.0.1\tlocalhost  my#host x").collect();
        assert_eq!(found, [b"127.0.0.1".as_slice(), b"localhost", b"my"]);
        assert_eq!(words(b"# 1.2.3.4 x").count(), 0);
    }
}
