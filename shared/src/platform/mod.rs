//! What differs from one operating system to the next, behind one face.

pub mod inherited;
pub mod private_hosts;
pub mod process_tree;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub use linux::{
    Acting, SignalSource, act_as, become_subreaper, block_signals, connections_to, die_with_parent,
    holder_of_port, note_open_files, peer_state, restore_open_files, stop_pacing, unacknowledged,
    unblock_signals, used,
};
#[cfg(not(target_os = "linux"))]
pub use other::{
    Acting, SignalSource, act_as, become_subreaper, block_signals, connections_to, die_with_parent,
    holder_of_port, note_open_files, peer_state, restore_open_files, stop_pacing, unacknowledged,
    unblock_signals, used,
};

use std::time::Duration;

use nix::sys::signal::Signal;

/// The signals that ask an executable to end.
pub const ENDING_SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// What a process has used of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Resident memory in bytes.
    pub memory: u64,
    /// Processor time since it was started.
    pub cpu: Duration,
}

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caught {
    /// Which.
    pub signal: Signal,
    /// Whether the terminal sent it to the whole foreground group: then our children have got it already.
    pub from_terminal: bool,
}

/// What is known of a peer that has sent the end of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// Somebody has the socket open and may read from it.
    Open,
    /// Nobody has: whatever is sent to it is lost.
    Closed,
    /// There is no such socket here: it is on another machine or in another network namespace, or it has vanished.
    Missing,
    /// The system does not say.
    Unknown,
}
