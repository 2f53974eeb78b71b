//! One end of a relayed connection: a non-blocking stream socket, seen as the relay needs it.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use nix::errno::Errno;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::platform::Pipe;
use crate::scratch;

/// How many full scratch buffers [`Socket::discard`] throws away at most, so that a peer that never
/// stops sending cannot keep it.
const MOST_DISCARDED_READS: usize = 16;

/// A connected stream socket.
#[derive(Debug)]
pub(crate) struct Socket(TcpStream);

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self(stream)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Socket {
    /// Waits until a read may have something. At most one task can wait for this.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(cx)
    }

    /// Waits until a write may be taken. At most one task can wait for this.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(cx)
    }

    /// Waits until the connection has failed, as it does when the peer resets it. It reads nothing.
    pub(crate) async fn failed(&self) {
        // An error of the runtime means that nothing will be heard of this socket any more.
        let _ = self.0.ready(Interest::ERROR).await;
    }

    /// Reads what there is; 0 is the end.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.unless_partial(Interest::READABLE, buffer.len(), || {
            Ok(nix::unistd::read(&self.0, buffer)?)
        })
    }

    /// Writes as much as is taken.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_partial(Interest::WRITABLE, bytes.len(), || {
            SockRef::from(&self.0).send(bytes)
        })
    }

    /// Moves what there is into an empty pipe; 0 is the end.
    pub(crate) fn try_fill(&self, pipe: &Pipe) -> io::Result<usize> {
        self.0.try_io(Interest::READABLE, || pipe.fill_from(self))
    }

    /// Moves bytes out of a pipe that holds `held` of them.
    pub(crate) fn try_drain(&self, pipe: &Pipe, held: usize) -> io::Result<usize> {
        self.0
            .try_io(Interest::WRITABLE, || pipe.drain_into(self, held))
    }

    /// Tells the peer that nothing more will come.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(&self.0).shutdown(Shutdown::Write)
    }

    /// Ends the connection so that the peer sees a reset and does not mistake what it has for the whole.
    pub(crate) fn reset(self) {
        if let Err(error) = self.0.set_zero_linger() {
            tracing::debug!(%error, "a connection that should be reset is closed instead");
        }
    }

    /// The stream itself.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.0
    }

    /// Throws away what has arrived. Returns whether more may come.
    pub(crate) fn discard(&self) -> bool {
        scratch::with(|buffer| {
            for _ in 0..MOST_DISCARDED_READS {
                match nix::unistd::read(&self.0, buffer) {
                    Ok(0) => return false,
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(error) => return error == Errno::EAGAIN,
                }
            }
            true
        })
    }

    /// Runs a read or write, and takes one that did less than it was asked to as a sign that there is no more to do.
    ///
    /// That saves the call that would only return "would block", a quarter of all calls of a ping-pong. It is sound
    /// because readiness is edge-triggered: whatever comes after the short read or write raises an event of its own,
    /// and the end of the stream is remembered by the runtime apart from readiness.
    fn unless_partial(
        &self,
        interest: Interest,
        wanted: usize,
        operation: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut partial = None;
        let done = self.0.try_io(interest, || {
            let done = operation()?;
            if done > 0 && done < wanted {
                partial = Some(done);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(done)
        });
        partial.map_or(done, Ok)
    }
}
