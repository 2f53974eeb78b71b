//! Operating systems other than Linux: what POSIX gives.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, setegid, seteuid};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::{Caught, PeerState, Used};
use crate::holder::Holder;
use crate::identity::Identity;

/// Nothing to do here: [`SignalSource`] installs handlers.
///
/// # Errors
/// Never.
pub fn block_signals() -> io::Result<()> {
    Ok(())
}

/// Nothing to do here, since nothing was blocked.
pub fn unblock_signals(_command: &mut Command) {}

/// Not known here: there is no `/proc`.
#[must_use]
pub fn used(_pid: u32) -> Option<Used> {
    None
}

/// Not known here; whoever asks takes it for none.
#[must_use]
pub fn connections_to(_ip: IpAddr) -> usize {
    0
}

/// The ending signals, as they come.
#[derive(Debug)]
pub struct SignalSource {
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
}

impl SignalSource {
    /// Begins to listen. Needs a runtime.
    ///
    /// # Errors
    /// What sigaction(2) says.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal. Dropping the future loses none.
    ///
    /// # Errors
    /// Never.
    pub async fn next(&mut self) -> io::Result<Caught> {
        let signal = tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hangup.recv() => Signal::SIGHUP,
        };
        Ok(Caught {
            signal,
            // An interrupt comes from the keyboard far more often than from kill(1).
            from_terminal: signal == Signal::SIGINT,
        })
    }
}

/// There is no such thing here; descendants that escape their group go to launchd or init.
///
/// # Errors
/// Never.
pub fn become_subreaper() -> io::Result<()> {
    Ok(())
}

/// Nothing is raised here.
pub fn note_open_files() {}

/// Nothing was raised here.
pub fn restore_open_files(_command: &mut Command) {}

/// There is no such thing here; the lifeline does the work.
pub fn die_with_parent(_command: &mut Command, _signal: Signal) {}

/// Not known here without the help of other programs.
#[must_use]
pub fn holder_of_port(_ip: IpAddr, _port: u16) -> Option<Holder> {
    None
}

/// There are no ids of a thread's own here: whoever acts as somebody else acts alone.
static ACTING: Mutex<()> = Mutex::new(());

/// This process acts as somebody else until this is dropped.
#[derive(Debug)]
pub struct Acting {
    before: Identity,
    /// Nothing if nothing has to change.
    _alone: Option<MutexGuard<'static, ()>>,
}

/// Makes this process act as that user; other threads that want the like wait.
///
/// # Errors
/// What seteuid(2) and setegid(2) say.
pub fn act_as(user: Identity) -> io::Result<Acting> {
    if user == Identity::own() {
        return Ok(Acting {
            before: user,
            _alone: None,
        });
    }
    let alone = ACTING.lock().unwrap_or_else(PoisonError::into_inner);
    // If the second call fails, dropping this undoes the first.
    let acting = Acting {
        before: Identity::own(),
        _alone: Some(alone),
    };
    setegid(Gid::from_raw(user.gid))?;
    seteuid(Uid::from_raw(user.uid))?;
    Ok(acting)
}

impl Drop for Acting {
    fn drop(&mut self) {
        // The saved ids allow it.
        let _ = seteuid(Uid::from_raw(self.before.uid));
        let _ = setegid(Gid::from_raw(self.before.gid));
    }
}

/// The defaults of these systems do not pace.
pub fn stop_pacing(_socket: impl AsFd) {}

/// These systems are not asked.
#[must_use]
pub fn peer_state(_own: SocketAddr, _peer: SocketAddr) -> PeerState {
    PeerState::Unknown
}

/// These systems are not asked.
#[must_use]
pub fn unacknowledged(_own: SocketAddr, _peer: SocketAddr) -> Option<u32> {
    None
}
