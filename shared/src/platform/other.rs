//! Operating systems other than Linux: what POSIX gives.

use std::io;
use std::net::IpAddr;
use std::process::Command;

use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::Caught;
use crate::holder::Holder;

/// Nothing to do here: [`SignalSource`] installs handlers.
///
/// # Errors
/// Never.
pub fn block_signals() -> io::Result<()> {
    Ok(())
}

/// Nothing to do here, since nothing was blocked.
pub fn unblock_signals(_command: &mut Command) {}

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

/// There is no such thing here; the lifeline does the work.
pub fn die_with_parent(_command: &mut Command, _signal: Signal) {}

/// Not known here without the help of other programs.
#[must_use]
pub fn holder_of_port(_ip: IpAddr, _port: u16) -> Option<Holder> {
    None
}
