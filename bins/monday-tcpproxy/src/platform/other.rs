//! Systems without splice(2): there are no pipes, every byte goes through the scratch buffer.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::PeerState;

/// A pipe that cannot exist.
#[derive(Debug)]
pub(crate) struct Pipe(Infallible);

impl Pipe {
    /// # Errors
    /// Always: there is no splice(2) here.
    pub(crate) fn open(_capacity_bytes: usize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn fill_from(&self, _socket: impl AsFd) -> io::Result<usize> {
        match self.0 {}
    }

    pub(crate) fn drain_into(&self, _socket: impl AsFd, _held: usize) -> io::Result<usize> {
        match self.0 {}
    }
}

/// The defaults of these systems do not pace.
pub(crate) fn stop_pacing(_socket: impl AsFd) {}

/// These systems are not asked.
pub(crate) fn peer_state(_own: SocketAddr, _peer: SocketAddr) -> PeerState {
    PeerState::Unknown
}

/// These systems are not asked.
pub(crate) fn unacknowledged(_own: SocketAddr, _peer: SocketAddr) -> Option<u32> {
    None
}
