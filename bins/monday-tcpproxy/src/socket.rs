//! One end of a relayed connection: a non-blocking stream socket, seen as the relay needs it.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use monday_shared::dial::Stream;
use monday_shared::platform;
use nix::errno::Errno;
use socket2::SockRef;
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

use crate::platform::Pipe;
use crate::scratch;

/// How many full scratch buffers [`Socket::discard`] throws away at most, so that a peer that never
/// stops sending cannot keep it.
const MOST_DISCARDED_READS: usize = 16;

/// A connected stream socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket on its way from one thread to another.
#[derive(Debug)]
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Somebody with an address.
    Ip(SocketAddr),
    /// A process of this machine, as far as it is known.
    Process(Option<i32>),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Process(Some(pid)) => write!(f, "pid {pid}"),
            Self::Process(None) => f.write_str("a process of this machine"),
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl From<Stream> for Socket {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Tcp(stream) => Self::Tcp(stream),
            Stream::Unix(stream) => Self::Unix(stream),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// What both kinds do, each by its own method of the runtime.
macro_rules! on_either {
    ($socket:expr, $stream:ident => $what:expr) => {
        match $socket {
            Socket::Tcp($stream) => $what,
            Socket::Unix($stream) => $what,
        }
    };
}

impl Socket {
    /// Takes the socket away from the runtime of this thread.
    ///
    /// # Errors
    /// The runtime does not let go of it.
    pub(crate) fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            Self::Tcp(stream) => Detached::Tcp(stream.into_std()?),
            Self::Unix(stream) => Detached::Unix(stream.into_std()?),
        })
    }

    /// Waits until a read may have something. At most one task can wait for this.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_read_ready(cx))
    }

    /// Waits until a write may be taken. At most one task can wait for this.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_write_ready(cx))
    }

    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        on_either!(self, stream => stream.ready(interest).await)
    }

    fn try_io<R>(
        &self,
        interest: Interest,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        on_either!(self, stream => stream.try_io(interest, operation))
    }

    /// Waits until the connection has failed, as it does when the peer resets it. It reads nothing.
    pub(crate) async fn failed(&self) {
        // An error of the runtime means that nothing will be heard of this socket any more.
        let _ = self.ready(Interest::ERROR).await;
    }

    /// Reads what there is; 0 is the end.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.unless_partial(Interest::READABLE, buffer.len(), || {
            Ok(nix::unistd::read(self, buffer)?)
        })
    }

    /// Writes as much as is taken.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_partial(Interest::WRITABLE, bytes.len(), || {
            SockRef::from(self).send(bytes)
        })
    }

    /// Moves what there is into an empty pipe; 0 is the end.
    pub(crate) fn try_fill(&self, pipe: &Pipe) -> io::Result<usize> {
        self.try_io(Interest::READABLE, || pipe.fill_from(self))
    }

    /// Moves bytes out of a pipe that holds `held` of them.
    pub(crate) fn try_drain(&self, pipe: &Pipe, held: usize) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, || pipe.drain_into(self, held))
    }

    /// Tells the peer that nothing more will come.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(self).shutdown(Shutdown::Write)
    }

    /// Ends the connection so that the peer sees a reset and does not mistake what it has for the whole. Unix-domain
    /// sockets know no reset: there it is a close, which the peer notices as one if it had sent what nobody read.
    pub(crate) fn reset(self) {
        if let Self::Tcp(stream) = &self
            && let Err(error) = stream.set_zero_linger()
        {
            tracing::debug!(%error, "a connection that should be reset is closed instead");
        }
    }

    /// How much of what was written the peer's system does not have yet. `None`: all, or it is not known.
    pub(crate) fn unacknowledged(&self) -> Option<u32> {
        match self {
            Self::Tcp(stream) => {
                platform::unacknowledged(stream.local_addr().ok()?, stream.peer_addr().ok()?)
            }
            Self::Unix(_) => None,
        }
    }

    /// Throws away what has arrived. Returns whether more may come.
    pub(crate) fn discard(&self) -> bool {
        scratch::with(|buffer| {
            for _ in 0..MOST_DISCARDED_READS {
                match nix::unistd::read(self, buffer) {
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
    ///
    /// A read from a Unix-domain socket may be short although more is there: it ends where one sender's bytes do.
    fn unless_partial(
        &self,
        interest: Interest,
        wanted: usize,
        operation: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut partial = None;
        let is_tcp = matches!(self, Self::Tcp(_));
        let done = self.try_io(interest, || {
            let done = operation()?;
            if is_tcp && done > 0 && done < wanted {
                partial = Some(done);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(done)
        });
        partial.map_or(done, Ok)
    }
}

impl Detached {
    /// Gives it to the runtime of this thread.
    ///
    /// # Errors
    /// The runtime does not take it.
    pub(crate) fn attach(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Socket::Unix(UnixStream::from_std(stream)?),
        })
    }
}
