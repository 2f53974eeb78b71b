//! Cuts a byte stream into lines of bounded length.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use crate::protocol::MAX_LINE_BYTES;

/// What the stream held next.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A line, without its line feed (and without a carriage return before it).
    Line(Vec<u8>),
    /// A line over [`MAX_LINE_BYTES`]. It was skipped up to its line feed; what follows can be read again.
    TooLong,
    /// The stream ended in the middle of a line: what there was of it.
    Partial(Vec<u8>),
    /// The stream ended.
    End,
}

/// Reads [`Frame`]s. Dropping the future of [`next`](Self::next) loses nothing: the next call goes on.
#[derive(Debug)]
pub struct LineReader<R> {
    reader: R,
    line: Vec<u8>,
    too_long: bool,
}

impl<R: AsyncBufRead + Unpin> LineReader<R> {
    /// Reads from the beginning of a line.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            line: Vec::new(),
            too_long: false,
        }
    }

    /// The next line.
    ///
    /// # Errors
    /// What the stream itself says.
    pub async fn next(&mut self) -> io::Result<Frame> {
        loop {
            let available = self.reader.fill_buf().await?;
            if available.is_empty() {
                return Ok(self.at_end());
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let piece = &available[..end.unwrap_or(available.len())];
            if self.line.len() + piece.len() > MAX_LINE_BYTES {
                self.too_long = true;
                self.line = Vec::new();
            } else if !self.too_long {
                self.line.extend_from_slice(piece);
            }
            let used = piece.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(self.finished());
            }
        }
    }

    fn finished(&mut self) -> Frame {
        if std::mem::take(&mut self.too_long) {
            return Frame::TooLong;
        }
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Frame::Line(line)
    }

    fn at_end(&mut self) -> Frame {
        if std::mem::take(&mut self.too_long) {
            return Frame::TooLong;
        }
        if self.line.is_empty() {
            return Frame::End;
        }
        Frame::Partial(std::mem::take(&mut self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::BufReader;

    async fn frames(bytes: &[u8]) -> Vec<Frame> {
        // A buffer of seven bytes makes every line arrive in pieces.
        let mut reader = LineReader::new(BufReader::with_capacity(7, bytes));
        let mut frames = Vec::new();
        loop {
            match reader.next().await.unwrap() {
                Frame::End => return frames,
                frame => frames.push(frame),
            }
        }
    }

    #[tokio::test]
    async fn lines_end_at_the_line_feed_and_lose_a_carriage_return() {
        assert_eq!(
            frames(b"{\"id\":1}\r\n\nsecond line\n").await,
            [
                Frame::Line(b"{\"id\":1}".to_vec()),
                Frame::Line(Vec::new()),
                Frame::Line(b"second line".to_vec())
            ]
        );
    }

    #[tokio::test]
    async fn half_a_line_at_the_end_is_told_from_a_whole_one() {
        assert_eq!(
            frames(b"one\ntw").await,
            [Frame::Line(b"one".to_vec()), Frame::Partial(b"tw".to_vec())]
        );
    }

    #[tokio::test]
    async fn an_over_long_line_is_skipped_and_the_next_one_is_read() {
        let mut bytes = vec![b'x'; MAX_LINE_BYTES + 1];
        bytes.extend_from_slice(b"\nnext\n");
        assert_eq!(
            frames(&bytes).await,
            [Frame::TooLong, Frame::Line(b"next".to_vec())]
        );
        let exact = [vec![b'x'; MAX_LINE_BYTES], b"\n".to_vec()].concat();
        assert_eq!(
            frames(&exact).await,
            [Frame::Line(vec![b'x'; MAX_LINE_BYTES])]
        );
    }
}
