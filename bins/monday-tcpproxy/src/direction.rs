//! One direction of a relayed connection: from a source socket to a sink socket.
//!
//! A direction starts with the thread's scratch buffer: read, write, own nothing. When two reads in a row were large
//! it moves bulk data, and where the system can, it does so through a borrowed pipe: fill the pipe when it is empty,
//! then drain it fully, then fill again. The pipe goes back to its pool as soon as the source has nothing to read.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use monday_shared::protocol::fault::FaultEnding;

use crate::pipe_pool::{CopyPath, Lent, PipePool};
use crate::scratch;
use crate::socket::Socket;

/// A read of at least this many bytes is a large one. Half of the largest segment on loopback.
const LARGE_READ_BYTES: usize = 32 * 1024;

/// This many large reads in a row make a bulk transfer: one alone is just a large message.
const LARGE_READS_OF_BULK: u8 = 2;

/// This many small fills in a row end a bulk transfer.
const SMALL_FILLS_OF_TRICKLE: u8 = 4;

/// How much a direction moves before it lets other connections of its thread have a turn: what takes some 0.3 ms.
pub(crate) const TURN_BYTES: usize = 1024 * 1024;

/// How a direction ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The source said that it has nothing more; all of it is written and the sink has been told.
    Complete,
    /// The source failed, usually because its peer reset the connection.
    SourceFailed(io::Error),
    /// The sink failed, usually because its peer is gone; some bytes of the source were not delivered.
    SinkFailed(io::Error),
    /// A fault ended it.
    Fault {
        /// How the connection is to end.
        ending: FaultEnding,
        /// What was written is to arrive before that.
        deliver: bool,
    },
}

impl End {
    /// Whether the peer of the sink has reset the connection.
    pub(crate) fn is_reset_of_sink(&self) -> bool {
        matches!(self, Self::SinkFailed(error) if error.kind() == io::ErrorKind::ConnectionReset)
    }
}

/// What was read and not yet written.
#[derive(Debug)]
enum Held {
    Nothing,
    Bytes { bytes: Box<[u8]>, written: usize },
    Pipe { pipe: Lent, len: usize },
}

/// The state of one direction. While nothing is on its way it owns nothing.
#[derive(Debug)]
pub(crate) struct Direction {
    held: Held,
    at_end: bool,
    bulk: bool,
    /// Large reads in a row, or, in a bulk transfer, small ones.
    streak: u8,
    /// How often bytes were read, and how many of them were written.
    pub(crate) moves: u32,
    pub(crate) written: u64,
}

/// What all directions of a kind use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means<'a> {
    pub(crate) pipes: &'a Arc<PipePool>,
    /// Counts the bytes that were written to the sink.
    pub(crate) relayed: &'a AtomicU64,
}

/// What one read brought.
enum Read {
    /// This many bytes.
    Some(usize),
    /// The end of the stream.
    End,
    /// There is nothing to read now.
    Nothing,
    /// Nothing that matters: read again.
    Again,
}

impl Direction {
    pub(crate) fn new(pipes: &PipePool) -> Self {
        Self {
            held: Held::Nothing,
            at_end: false,
            bulk: pipes.path() == CopyPath::Splice,
            streak: 0,
            moves: 0,
            written: 0,
        }
    }

    /// Gives up what it has read and not written, and says whether it has read the end of the stream as well: somebody
    /// else goes on with it.
    pub(crate) fn hand_over(&mut self) -> (Vec<u8>, bool) {
        let held = match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Nothing => Vec::new(),
            Held::Bytes { bytes, written } => bytes[written..].to_vec(),
            Held::Pipe { pipe, len } => {
                let bytes = pipe.pipe().empty(len);
                pipe.give_back();
                bytes
            }
        };
        (held, std::mem::take(&mut self.at_end))
    }

    /// Moves bytes until there is nothing to do, or until it is others' turn. What the other direction has heard of the
    /// source being reset is told once by the kernel, which then shows an end: it is none.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &Socket,
        sink: &Socket,
        means: Means<'_>,
        source_was_reset: bool,
    ) -> Poll<End> {
        let mut moved = 0;
        loop {
            match self.write_held(sink, means.relayed) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match sink.poll_writable(cx) {
                        Poll::Ready(Ok(())) => continue,
                        Poll::Ready(Err(error)) => return Poll::Ready(End::SinkFailed(error)),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Poll::Ready(End::SinkFailed(error)),
            }
            if self.at_end && source_was_reset {
                return Poll::Ready(End::SourceFailed(io::ErrorKind::ConnectionReset.into()));
            }
            if self.at_end {
                return Poll::Ready(match sink.shutdown_write() {
                    Ok(()) => End::Complete,
                    Err(error) => End::SinkFailed(error),
                });
            }
            if moved >= TURN_BYTES {
                yield_turn(cx);
                return Poll::Pending;
            }
            match self.read(source, sink, means) {
                Ok(Read::Some(len)) => {
                    moved += len;
                    self.moves = self.moves.wrapping_add(1);
                }
                Ok(Read::Again) => {}
                Ok(Read::End) => self.at_end = true,
                Ok(Read::Nothing) => match source.poll_readable(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(End::SourceFailed(error)),
                    Poll::Pending => return Poll::Pending,
                },
                Err(end) => return Poll::Ready(end),
            }
        }
    }

    /// Writes what is held until nothing is.
    fn write_held(&mut self, sink: &Socket, relayed: &AtomicU64) -> io::Result<()> {
        loop {
            let (written, left) = match &mut self.held {
                Held::Nothing => return Ok(()),
                Held::Bytes { bytes, written } => {
                    let now = sink.try_write(&bytes[*written..])?;
                    *written += now;
                    (now, bytes.len() - *written)
                }
                Held::Pipe { pipe, len } => {
                    let now = sink.try_drain(pipe.pipe(), *len)?;
                    *len = len.saturating_sub(now);
                    (now, *len)
                }
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.written += written as u64;
            count(relayed, written);
            if left == 0
                && let Held::Pipe { pipe, .. } = std::mem::replace(&mut self.held, Held::Nothing)
            {
                pipe.give_back();
            }
        }
    }

    /// Reads once, into a pipe or through the scratch buffer.
    fn read(&mut self, source: &Socket, sink: &Socket, means: Means<'_>) -> Result<Read, End> {
        if self.bulk
            && let Some(pipe) = means.pipes.take()
        {
            return self.fill(pipe, source, means);
        }
        scratch::with(|buffer| self.copy(buffer, source, sink, means))
    }

    fn fill(&mut self, pipe: Lent, source: &Socket, means: Means<'_>) -> Result<Read, End> {
        match source.try_fill(pipe.pipe()) {
            Ok(0) => {
                pipe.give_back();
                Ok(Read::End)
            }
            Ok(len) => {
                self.held = Held::Pipe { pipe, len };
                self.note_fill(len, means.pipes.path());
                Ok(Read::Some(len))
            }
            Err(error) => {
                pipe.give_back();
                match error.kind() {
                    io::ErrorKind::WouldBlock => Ok(Read::Nothing),
                    io::ErrorKind::Interrupted => Ok(Read::Again),
                    // What splice(2) says about files that it does not know how to splice.
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => {
                        tracing::warn!(%error, "this system cannot splice sockets, copying instead");
                        means.pipes.give_up();
                        Ok(Read::Again)
                    }
                    _ => Err(End::SourceFailed(error)),
                }
            }
        }
    }

    fn copy(
        &mut self,
        buffer: &mut [u8],
        source: &Socket,
        sink: &Socket,
        means: Means<'_>,
    ) -> Result<Read, End> {
        let len = match source.try_read(buffer) {
            Ok(0) => return Ok(Read::End),
            Ok(len) => len,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::WouldBlock => Ok(Read::Nothing),
                    io::ErrorKind::Interrupted => Ok(Read::Again),
                    _ => Err(End::SourceFailed(error)),
                };
            }
        };
        self.note_read(len, means.pipes.path());
        let mut written = 0;
        while written < len {
            match sink.try_write(&buffer[written..len]) {
                Ok(now) => written += now,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.written += written as u64;
                    count(means.relayed, written);
                    return Err(End::SinkFailed(error));
                }
            }
        }
        self.written += written as u64;
        count(means.relayed, written);
        if written < len {
            self.held = Held::Bytes {
                bytes: buffer[written..len].into(),
                written: 0,
            };
        }
        Ok(Read::Some(len))
    }
}

/// What the sizes of reads and fills say about the transfer.
impl Direction {
    fn note_read(&mut self, len: usize, path: CopyPath) {
        if len < LARGE_READ_BYTES {
            self.bulk = path == CopyPath::Splice;
            self.streak = 0;
            return;
        }
        self.streak = self.streak.saturating_add(1);
        if self.streak >= LARGE_READS_OF_BULK {
            self.bulk = true;
            self.streak = 0;
        }
    }

    fn note_fill(&mut self, len: usize, path: CopyPath) {
        if len >= LARGE_READ_BYTES {
            self.streak = 0;
            return;
        }
        self.streak = self.streak.saturating_add(1);
        if self.streak >= SMALL_FILLS_OF_TRICKLE {
            self.bulk = path == CopyPath::Splice;
            self.streak = 0;
        }
    }
}

/// Has the task polled again after everything else that is ready, and after the runtime has looked for what became ready
/// meanwhile. Waking it at once would let a few busy connections keep the runtime from looking.
pub(crate) fn yield_turn(cx: &mut Context<'_>) {
    // The first poll hands the waker over; nothing is left to wait for.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

pub(crate) fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(bytes as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direction(path: CopyPath) -> Direction {
        Direction::new(&PipePool::new(path))
    }

    #[test]
    fn one_large_read_is_a_message_and_two_in_a_row_are_a_bulk_transfer() {
        let mut direction = direction(CopyPath::Auto);
        for (len, bulk) in [
            (LARGE_READ_BYTES, false),
            (1, false),
            (LARGE_READ_BYTES, false),
            (LARGE_READ_BYTES, true),
            (LARGE_READ_BYTES, true),
            (1, false),
        ] {
            direction.note_read(len, CopyPath::Auto);
            assert_eq!(direction.bulk, bulk);
        }
    }

    #[test]
    fn a_bulk_transfer_ends_when_its_fills_stay_small() {
        let mut direction = direction(CopyPath::Auto);
        direction.bulk = true;
        for (len, bulk) in [
            (1, true),
            (1, true),
            (1, true),
            (LARGE_READ_BYTES, true),
            (1, true),
            (1, true),
            (1, true),
            (1, false),
        ] {
            direction.note_fill(len, CopyPath::Auto);
            assert_eq!(direction.bulk, bulk);
        }
    }

    #[test]
    fn whoever_wants_only_pipes_never_leaves_them() {
        let mut direction = direction(CopyPath::Splice);
        for _ in 0..10 {
            direction.note_fill(1, CopyPath::Splice);
            direction.note_read(1, CopyPath::Splice);
            assert!(direction.bulk);
        }
    }

    #[test]
    fn an_idle_direction_is_small_and_owns_nothing() {
        assert!(size_of::<Direction>() <= 64);
    }
}
