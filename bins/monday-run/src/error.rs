//! What can end `monday-run` without a command's own status.

use std::io;

use monday_shared::life::LifeError;
use monday_shared::life::exit::{FAILED, Failure, TIMED_OUT, USAGE};

use crate::request::Refusal;
use crate::spec::SpecError;

/// What can end `monday-run` without a command's own status.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The flags say something impossible.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is neither a command nor a way to be told one.
    #[error(
        "there is nothing to run: write a command after `--`, as in `monday-run -- make test`, or give `--control PATH` to be told one later"
    )]
    NothingToRun,
    /// The command could not be started, or not be ended.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The command was not ready in time.
    #[error("{0}")]
    NotReady(String),
    /// Signals, control socket or lifeline cannot be had.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// The operating system refused something basic.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl Failure for RunError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Spec(_) | Self::NothingToRun => USAGE,
            Self::NotReady(_) => TIMED_OUT,
            Self::Refused(_) | Self::Life(_) | Self::Io { .. } => FAILED,
        }
    }
}
