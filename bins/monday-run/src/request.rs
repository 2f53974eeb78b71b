//! What can be asked of the guardian beside a specification, and why it may not be done.

use std::time::Duration;

use monday_shared::protocol::run::State;
use nix::sys::signal::Signal;

use crate::spec::CheckedSpec;

/// How a stop deviates from the specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Instead of the stop signal.
    pub signal: Option<Signal>,
    /// Instead of the stop time-out.
    pub timeout: Option<Duration>,
    /// Whatever the time-out is, no longer than this.
    pub at_most: Option<Duration>,
}

impl How {
    pub(crate) fn signal(&self, spec: &CheckedSpec) -> Signal {
        self.signal.unwrap_or_else(|| spec.stop_signal())
    }

    pub(crate) fn timeout(&self, spec: &CheckedSpec) -> Duration {
        let timeout = self.timeout.unwrap_or_else(|| spec.stop_timeout());
        self.at_most.map_or(timeout, |most| timeout.min(most))
    }
}

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The command could not be started.
    #[error("{0}")]
    Spawn(String),
    /// Another request came in before this one was done.
    #[error("the command was not started, because {0} came in meanwhile")]
    Superseded(&'static str),
    /// Nothing was ever started.
    #[error("there is nothing to restart: `start` says what to run")]
    NothingToRestart,
    /// The command does not run.
    #[error("there is nothing to signal: the command does not run ({0})")]
    NotRunning(State),
    /// The signal was not delivered.
    #[error("cannot send {signal} to the command: {why}")]
    Signal {
        /// Which signal.
        signal: Signal,
        /// What the system says.
        why: String,
    },
    /// Some processes could not be ended.
    #[error("{0}")]
    Survivors(String),
    /// The guardian takes nothing new.
    #[error("monday-run is about to end and starts nothing new")]
    Ending,
}
