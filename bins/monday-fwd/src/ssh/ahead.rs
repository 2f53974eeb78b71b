//! Reads ahead of what is asked for.
//!
//! The protocol's task asks for each packet in two pieces, its length and the rest. Asked of the system as it is, that
//! is two calls for each packet, of which there are many in one segment or in a stream at full rate.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::transport::Stream;

/// How much is read at once: little as long as little comes, so that a stream that idles holds nothing.
const READ_BYTES: (usize, usize) = (8 * 1024, 256 * 1024);

/// A stream, and what was read of it and not asked for yet.
#[derive(Debug)]
pub(super) struct Ahead<S> {
    stream: S,
    read: BytesMut,
    /// How much is read the next time.
    size: usize,
}

impl<S: Stream> Ahead<S> {
    /// Of a stream of which nothing was read.
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            size: READ_BYTES.0,
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (least, most) = READ_BYTES;
        self.read.reserve(self.size);
        let filled = poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read);
        if filled.is_pending() {
            // Nothing is held while there is nothing.
            self.read = BytesMut::new();
            self.size = least;
        }
        if ready!(filled)? >= self.size {
            self.size = (self.size * 4).min(most);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncRead for Ahead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            ready!(self.poll_fill(cx))?;
        }
        // Nothing was read: it is the end, and nothing says so here.
        let len = self.read.len().min(buffer.remaining());
        buffer.put_slice(&self.read[..len]);
        self.read.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Ahead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn pieces_of_any_size_are_the_same_bytes_to_the_end() {
        let (mut far, near) = tokio::io::duplex(READ_BYTES.1);
        let sent: Vec<u8> = (0..2_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let expected = sent.clone();
        let sender = tokio::spawn(async move {
            far.write_all(&sent).await.unwrap();
        });
        let mut ahead = Ahead::new(near);
        let mut got = Vec::new();
        for size in [1, 4, 32_772, 5, 300_000].into_iter().cycle() {
            let mut piece = vec![0; size.min(expected.len() - got.len())];
            ahead.read_exact(&mut piece).await.unwrap();
            got.extend(piece);
            if got.len() == expected.len() {
                break;
            }
        }
        sender.await.unwrap();
        assert!(got == expected);
        assert_eq!(ahead.read(&mut [0; 10]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_idles_holds_nothing() {
        let (mut far, near) = tokio::io::duplex(64);
        let mut ahead = Ahead::new(near);
        far.write_all(b"abc").await.unwrap();
        let mut piece = [0; 3];
        ahead.read_exact(&mut piece).await.unwrap();
        assert_eq!(&piece, b"abc");
        let nothing = std::future::poll_fn(|cx| {
            Poll::Ready(
                Pin::new(&mut ahead)
                    .poll_read(cx, &mut ReadBuf::new(&mut piece))
                    .is_pending(),
            )
        });
        assert!(nothing.await);
        assert_eq!(ahead.read.capacity(), 0);
    }
}
