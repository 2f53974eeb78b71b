//! One SPDY connection to a pod: it reads, writes, answers PINGs and knows whether it is healthy.
//!
//! A session is owned by whoever uses it; there is no task behind it. So a byte is copied twice at most on its way
//! (out of and into TLS), and a reader that is slow slows down its own session and nothing else.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::{self, FLAG_FIN};
use super::header::HeaderWriter;
use super::parser::{Frame, Nonsense, Parser};

/// What a session runs on: TLS, or a websocket in it.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// How much is read at once. A record of TLS has 16 KiB, so this is eight of them, handed to the client in one call.
const INPUT_BYTES: usize = 128 * 1024;

/// How much of a client's bytes one frame carries: with its header four records of TLS, which is also as much as the
/// TLS library buffers.
pub(crate) const DATA_BYTES: usize = 64 * 1024 - frame::HEADER_BYTES;

/// The server hands PINGs to its five workers in turn (`moby/spdystream`, `FRAME_WORKERS`): so many answers say that
/// none of them is stuck.
const WORKERS: u32 = 5;

/// Ids of streams have 31 bits. A session that has used up most of them is not used again.
const LAST_STREAM: u32 = 0x7fff_0000;

/// How much of what the far end says about a failure is kept.
const REASON_BYTES: usize = 4096;

/// Why a session is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The connection broke.
    #[error("the connection to the API server broke: {0}")]
    Io(#[from] io::Error),
    /// The connection was closed.
    #[error("the API server closed the connection")]
    Closed,
    /// The server sent what makes no sense.
    #[error("the API server sent {0}")]
    Nonsense(#[from] Nonsense),
    /// The server does not answer.
    #[error("no answer in {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// The pod was deleted, and nothing came or went any more.
    #[error("the pod is gone, and not a byte went either way for {} s", .0.as_secs_f32())]
    PodGone(Duration),
}

/// One connection's two streams.
#[derive(Debug)]
pub(crate) struct Pair {
    error: u32,
    data: u32,
    /// Our direction of the data stream is open.
    pub(crate) sending: bool,
    /// The server accepted the data stream. Before that it has dialled nothing.
    pub(crate) replied: bool,
    /// The pod sends nothing more.
    pub(crate) data_ended: bool,
    /// The far end says nothing more about what went wrong.
    pub(crate) error_ended: bool,
    /// What the far end said about a failure.
    reason: Vec<u8>,
}

impl Pair {
    /// What the far end said about a failure, if anything.
    pub(crate) fn reason(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.reason);
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// The PINGs of the last proof.
#[derive(Debug, Default)]
struct Pings {
    /// The id of the next one. Ours are odd.
    next: u32,
    /// Which of the last [`WORKERS`] were answered, a bit each.
    answered: u32,
}

impl Pings {
    fn note(&mut self, id: u32) {
        let first = self.next.wrapping_sub(2 * WORKERS);
        let place = id.wrapping_sub(first) / 2;
        if place < WORKERS {
            self.answered |= 1 << place;
        }
    }

    fn all_answered(&self) -> bool {
        self.answered.count_ones() >= WORKERS
    }
}

/// A session.
pub(crate) struct Session {
    io: Box<dyn Transport>,
    parser: Parser,
    input: Box<[u8]>,
    /// Where in the input there are bytes for the client. It is read on only when there are none.
    pieces: VecDeque<Range<usize>>,
    /// A frame with what the client said last, read straight into its place.
    upload: Box<[u8]>,
    /// What of it is not written yet.
    uploading: Range<usize>,
    /// Other frames, which go out after it.
    output: Vec<u8>,
    /// How much of the output is written.
    written: usize,
    flushed: bool,
    headers: HeaderWriter,
    next_stream: u32,
    pings: Pings,
    pair: Option<Pair>,
    /// The server wants no further streams.
    leaving: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("next_stream", &self.next_stream)
            .field("pair", &self.pair)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A session over a connection that the server has just agreed to speak SPDY on.
    pub(crate) fn new(io: Box<dyn Transport>) -> Self {
        Self {
            io,
            parser: Parser::default(),
            input: vec![0; INPUT_BYTES].into_boxed_slice(),
            pieces: VecDeque::new(),
            // The system gives memory when it is first used, so that an idle session costs little.
            upload: vec![0; frame::HEADER_BYTES + DATA_BYTES].into_boxed_slice(),
            uploading: 0..0,
            output: Vec::new(),
            written: 0,
            flushed: true,
            headers: HeaderWriter::default(),
            next_stream: 1,
            pings: Pings {
                next: 1,
                answered: 0,
            },
            pair: None,
            leaving: false,
        }
    }

    /// May it be used for another pair?
    pub(crate) fn is_reusable(&self) -> bool {
        !self.leaving && self.next_stream < LAST_STREAM
    }

    /// Begins a pair for a port of the pod. Nothing is written yet: [`Session::send`] what the client has said so far,
    /// so that all of it goes out in one piece.
    pub(crate) fn open(&mut self, port: u16) {
        let error = self.next_stream;
        let data = error + 2;
        self.next_stream += 4;
        let (port, request) = (port.to_string(), (error / 4).to_string());
        let mut syn = |stream, kind| {
            frame::syn_stream(
                &mut self.output,
                &mut self.headers,
                stream,
                &[
                    ("streamtype", kind),
                    ("port", &port),
                    ("requestid", &request),
                ],
            );
        };
        // The order of kubectl. Nobody waits for a reply in between.
        syn(error, "error");
        syn(data, "data");
        self.output.extend(frame::data(error, FLAG_FIN, 0));
        self.pieces.clear();
        self.pair = Some(Pair {
            error,
            data,
            sending: true,
            replied: false,
            data_ended: false,
            error_ended: false,
            reason: Vec::new(),
        });
    }

    /// The pair that is open.
    pub(crate) fn pair(&self) -> Option<&Pair> {
        self.pair.as_ref()
    }

    /// Queues bytes of the client.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if let Some(pair) = self.pair.as_ref().filter(|pair| pair.sending) {
            for chunk in bytes.chunks(DATA_BYTES) {
                self.output.extend(frame::data(pair.data, 0, chunk.len()));
                self.output.extend_from_slice(chunk);
            }
        }
    }

    /// Reads what the client says straight into a frame. Only while there is nothing to send ([`Session::poll_send`]), or
    /// nothing but the opening of the pair. Returns the bytes, none for the end of the client's stream.
    pub(crate) fn poll_read_from<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut R,
    ) -> Poll<io::Result<&[u8]>> {
        let Some(pair) = &self.pair else {
            return Poll::Pending;
        };
        let (header, payload) = self.upload.split_at_mut(frame::HEADER_BYTES);
        let mut room = ReadBuf::new(payload);
        ready!(Pin::new(client).poll_read(cx, &mut room))?;
        let length = room.filled().len();
        if length == 0 {
            return Poll::Ready(Ok(&[]));
        }
        header.copy_from_slice(&frame::data(pair.data, 0, length));
        let end = frame::HEADER_BYTES + length;
        if self.output.is_empty() {
            self.uploading = 0..end;
        } else {
            self.output.extend_from_slice(&self.upload[..end]);
        }
        Poll::Ready(Ok(&self.upload[frame::HEADER_BYTES..end]))
    }

    /// Tells the pod that the client sends nothing more; whether that was news.
    pub(crate) fn finish(&mut self) -> bool {
        let Some(pair) = self.pair.as_mut().filter(|pair| pair.sending) else {
            return false;
        };
        pair.sending = false;
        self.output.extend(frame::data(pair.data, FLAG_FIN, 0));
        true
    }

    /// Gives up what is left of the pair. What was sent before still reaches the pod.
    pub(crate) fn give_up(&mut self) {
        self.pieces.clear();
        let Some(pair) = self.pair.take() else {
            return;
        };
        if !pair.data_ended || pair.sending {
            frame::reset(&mut self.output, pair.data);
        }
        if !pair.error_ended {
            frame::reset(&mut self.output, pair.error);
        }
    }

    /// Is there anything from the pod that the client has not taken?
    pub(crate) fn has_pieces(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Hands bytes of the pod to the client: how many it took.
    pub(crate) fn poll_write_to<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut W,
    ) -> Poll<io::Result<usize>> {
        /// More than fit into an input of frames as the server makes them.
        const SLICES: usize = 16;
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(&self.input[piece.clone()]);
            count += 1;
        }
        let written = ready!(Pin::new(client).poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let mut left = written;
        while let Some(piece) = self.pieces.front_mut() {
            let taken = left.min(piece.len());
            piece.start += taken;
            left -= taken;
            if piece.start < piece.end {
                break;
            }
            self.pieces.pop_front();
        }
        Poll::Ready(Ok(written))
    }

    /// Reads on, as much as there is and fits. Only when the client has taken everything.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionError>> {
        let mut room = ReadBuf::new(&mut self.input);
        let mut broke = None;
        while room.remaining() > 0 {
            let before = room.filled().len();
            match Pin::new(&mut self.io).poll_read(cx, &mut room) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if room.filled().len() > before => {}
                Poll::Ready(Ok(())) => {
                    broke = Some(SessionError::Closed);
                    break;
                }
                Poll::Ready(Err(error)) => {
                    broke = Some(error.into());
                    break;
                }
            }
        }
        let length = room.filled().len();
        if length > 0 {
            // What came before the end still counts; the end will be met again.
            return Poll::Ready(self.take_in(length));
        }
        broke.map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
    }

    /// Understands so many bytes of input.
    fn take_in(&mut self, length: usize) -> Result<(), SessionError> {
        let mut at = 0;
        while let Some(frame) = self.parser.next(&self.input[..length], &mut at)? {
            match frame {
                Frame::Data { stream, at } => match &mut self.pair {
                    Some(pair) if stream == pair.data && !pair.data_ended => {
                        self.pieces.push_back(at);
                    }
                    Some(pair) if stream == pair.error => {
                        let room = REASON_BYTES.saturating_sub(pair.reason.len());
                        let kept = &self.input[at];
                        pair.reason.extend_from_slice(&kept[..kept.len().min(room)]);
                    }
                    // Late bytes of a pair that was given up.
                    _ => {}
                },
                Frame::Reply { stream } => {
                    if let Some(pair) = self.pair.as_mut().filter(|pair| pair.data == stream) {
                        pair.replied = true;
                    }
                }
                Frame::End { stream } | Frame::Reset { stream } => {
                    if let Some(pair) = &mut self.pair {
                        pair.data_ended |= stream == pair.data;
                        pair.error_ended |= stream == pair.error;
                    }
                }
                Frame::Ping { id } if id % 2 == 1 => self.pings.note(id),
                Frame::Ping { id } => {
                    // A question. One who asks and never reads is not answered for ever.
                    if self.output.len() < INPUT_BYTES {
                        frame::ping(&mut self.output, id);
                    }
                }
                Frame::GoAway => self.leaving = true,
                Frame::Open { stream } => return Err(Nonsense::ServerStream(stream).into()),
            }
        }
        Ok(())
    }

    /// Writes what is to be sent. Ready when nothing is left.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionError>> {
        while !Range::is_empty(&self.uploading) || self.written < self.output.len() {
            let is_upload = !Range::is_empty(&self.uploading);
            let rest = if is_upload {
                &self.upload[self.uploading.clone()]
            } else {
                &self.output[self.written..]
            };
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(SessionError::Closed));
            }
            if is_upload {
                self.uploading.start += written;
            } else {
                self.written += written;
            }
            self.flushed = false;
        }
        self.output.clear();
        self.written = 0;
        if !self.flushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Proves that no worker of the server is stuck, and that the connection is there at all: gives up what is left of a
    /// pair and asks each worker for an answer. It ends once all have answered.
    ///
    /// # Errors
    /// The session is over.
    pub(crate) async fn prove(&mut self) -> Result<(), SessionError> {
        self.give_up();
        self.pings.answered = 0;
        for _ in 0..WORKERS {
            frame::ping(&mut self.output, self.pings.next);
            self.pings.next = self.pings.next.wrapping_add(2);
        }
        poll_fn(|cx| {
            loop {
                let sent = self.poll_send(cx)?;
                if self.pings.all_answered() && sent.is_ready() {
                    return Poll::Ready(Ok(()));
                }
                ready!(self.poll_receive(cx))?;
            }
        })
        .await
    }

    /// Is an unused session still there, as far as can be seen without asking the server?
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match self.poll_receive(&mut cx) {
                Poll::Pending => return self.is_reusable(),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return false,
            }
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
