//! What differs between platforms: moving bytes from socket to socket inside the kernel, how TCP is tuned, and what the
//! kernel knows about the other end of a connection.

/// What is known of a peer that has sent the end of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerState {
    /// Somebody has the socket open and may read from it.
    Open,
    /// Nobody has: whatever is sent to it is lost.
    Closed,
    /// There is no such socket here: it is on another machine or in another network namespace, or it has vanished.
    Missing,
    /// The system does not say.
    Unknown,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::{Pipe, peer_state, stop_pacing, unacknowledged};

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod other;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use other::{Pipe, peer_state, stop_pacing, unacknowledged};
