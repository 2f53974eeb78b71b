//! What can go wrong.

use std::io;
use std::path::PathBuf;

use monday_shared::life::LifeError;
use monday_shared::life::exit::{FAILED, Failure, USAGE};
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::signal_name::SignalError;

use crate::rules::PatternError;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is neither a path nor a way to be told one.
    #[error(
        "there is nothing to watch: name a folder or a file, as in `monday-watch src -- make`, or give `--control PATH` to be told one later"
    )]
    NothingToWatch,
    /// A watch without paths.
    #[error("the watch `{id}` has no paths: name at least one folder or file")]
    NoPaths {
        /// Which watch.
        id: String,
    },
    /// Two watches of one batch have the same id.
    #[error("the watch `{id}` is there twice in one request: give each an id of its own")]
    Twice {
        /// Which watch.
        id: String,
    },
    /// A path that can be none.
    #[error("`{}` cannot be watched: {source}", path.display())]
    Path {
        /// What was written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A pattern that is none.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A signal that is none.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// It is about to end.
    #[error("monday-watch is about to end")]
    Ending,
    /// What every executable may fail at.
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

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::NothingToWatch
            | Self::NoPaths { .. }
            | Self::Twice { .. }
            | Self::Path { .. }
            | Self::Pattern(_)
            | Self::Signal(_) => USAGE,
            Self::Ending | Self::Life(_) | Self::Io { .. } => FAILED,
        }
    }
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::NothingToWatch
            | Error::NoPaths { .. }
            | Error::Twice { .. }
            | Error::Path { .. }
            | Error::Pattern(_)
            | Error::Signal(_) => ErrorKind::InvalidParams,
            Error::Ending => ErrorKind::ShuttingDown,
            Error::Life(_) | Error::Io { .. } => ErrorKind::Os,
        };
        Self::new(kind, error.to_string())
    }
}
