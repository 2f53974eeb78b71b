//! The near end of a forwarded connection: a TCP or Unix stream on this machine.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use monday_shared::dial::Stream;
use monday_shared::half_closed::{self, Watch};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// How often a Unix peer that has ended its stream is looked at again: its going away raises no event for a reader.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A connected stream. All of its methods take `&self`, so that both directions can be served at once.
#[derive(Debug)]
pub(crate) enum Local {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl From<TcpStream> for Local {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<Stream> for Local {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Tcp(stream) => Self::Tcp(stream),
            Stream::Unix(stream) => Self::Unix(stream),
        }
    }
}

impl From<UnixStream> for Local {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl Local {
    /// Appends what there is to the buffer, as far as that has room, and returns how much; 0 is the end.
    ///
    /// # Errors
    /// What read(2) says.
    pub(crate) async fn read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        loop {
            // The read is tried first: whoever asks usually knows that there is something, or finds it a moment later.
            match self.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            self.readable().await?;
        }
    }

    /// Waits until a read may have something.
    ///
    /// # Errors
    /// What the runtime says.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    /// Appends what there is now.
    ///
    /// # Errors
    /// What read(2) says, and `WouldBlock` if there is nothing.
    pub(crate) fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read_buf(buffer),
            Self::Unix(stream) => stream.try_read_buf(buffer),
        }
    }

    /// Writes as much as is taken.
    ///
    /// # Errors
    /// What writev(2) says.
    pub(crate) async fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            let done = match self {
                Self::Tcp(stream) => stream.try_write_vectored(pieces),
                Self::Unix(stream) => stream.try_write_vectored(pieces),
            };
            match done {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            match self {
                Self::Tcp(stream) => stream.writable().await?,
                Self::Unix(stream) => stream.writable().await?,
            }
        }
    }

    /// Tells the peer that nothing more will come.
    pub(crate) fn shutdown_write(&self) {
        let done = match self {
            Self::Tcp(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
            Self::Unix(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
        };
        if let Err(error) = done {
            // The peer is gone, which whoever reads hears as well.
            tracing::debug!(%error, "the end of a stream cannot be told");
        }
    }

    /// Waits until the connection has failed, as it does when the peer resets it. It reads nothing.
    pub(crate) async fn failed(&self) {
        // An error of the runtime means that nothing will be heard of this socket any more.
        let _ = match self {
            Self::Tcp(stream) => stream.ready(Interest::ERROR).await,
            Self::Unix(stream) => stream.ready(Interest::ERROR).await,
        };
    }

    /// Waits until a peer that has ended its stream is gone for good, so that nobody reads what is sent to it.
    ///
    /// `moved` says whether there were bytes for it since it was asked last; `quiet`, if given, is how long a peer of
    /// which nothing can be known may be without one.
    pub(crate) async fn gone(&self, mut moved: impl FnMut() -> bool, quiet: Option<Duration>) {
        match self {
            Self::Tcp(stream) => {
                let mut watch = Watch::of(stream);
                if let Some(quiet) = quiet {
                    watch = watch.quiet_at_most(quiet);
                }
                std::future::poll_fn(|cx: &mut Context<'_>| -> Poll<()> {
                    watch.poll_gone(cx, stream, moved())
                })
                .await;
            }
            Self::Unix(stream) => {
                while !is_hung_up(stream) {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    /// Whether the peer of a Unix socket has closed it for good; of TCP this is not known.
    pub(crate) fn has_hung_up(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::Unix(stream) => is_hung_up(stream),
        }
    }

    /// Ends the connection so that the peer sees a reset and does not mistake what it has for the whole.
    pub(crate) fn reset(self) {
        match self {
            Self::Tcp(stream) => {
                if let Err(error) = stream.set_zero_linger() {
                    tracing::debug!(%error, "a connection that should be reset is closed instead");
                }
            }
            // There is no reset: a Unix peer sees the end, and an error when it writes.
            Self::Unix(_) => {}
        }
    }

    /// Ends the connection once the peer's system has all that was written to it.
    pub(crate) async fn settle(self) {
        if let Self::Tcp(stream) = &self {
            half_closed::settle(stream, || self.discard()).await;
        }
    }

    /// Throws away what has arrived. Returns whether more may come.
    fn discard(&self) -> bool {
        /// Reads at most so often, so that a peer that never stops sending cannot keep us.
        const MOST_READS: usize = 64;
        let mut buffer = BytesMut::with_capacity(16 * 1024);
        for _ in 0..MOST_READS {
            buffer.clear();
            match self.try_read(&mut buffer) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// Who is at the other end, as far as that has a name.
    pub(crate) fn peer(&self) -> String {
        match self {
            Self::Tcp(stream) => stream.peer_addr().map_or_else(
                |_| "a client that is gone".to_owned(),
                |peer| peer.to_string(),
            ),
            Self::Unix(stream) => match stream.peer_cred().ok().and_then(|peer| peer.pid()) {
                Some(pid) => format!("pid {pid}"),
                None => "a local process".to_owned(),
            },
        }
    }
}

/// Whether the peer of a Unix socket has closed it; one that has only ended its stream has not.
fn is_hung_up(stream: &UnixStream) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    let mut asked = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    let polled = poll(&mut asked, PollTimeout::ZERO);
    polled.is_err()
        || asked[0]
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_unix_peer_that_closed_is_told_from_one_that_only_sends_nothing_more() {
        let (own, peer) = UnixStream::pair().unwrap();
        SockRef::from(&peer).shutdown(Shutdown::Write).unwrap();
        own.readable().await.unwrap();
        assert_eq!(own.try_read(&mut [0]).unwrap(), 0);
        assert!(!is_hung_up(&own));
        drop(peer);
        assert!(is_hung_up(&own));
        Local::from(own).gone(|| false, None).await;
    }

    #[tokio::test]
    async fn what_is_read_is_appended() {
        let (own, peer) = UnixStream::pair().unwrap();
        let own = Local::from(own);
        peer.try_write(b"world").unwrap();
        let mut buffer = BytesMut::with_capacity(64);
        buffer.extend_from_slice(b"hello ");
        assert_eq!(own.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(&buffer[..], b"hello world");
        drop(peer);
        assert_eq!(own.read(&mut buffer).await.unwrap(), 0);
    }
}
