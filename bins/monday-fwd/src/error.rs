//! What can go wrong besides single connections and tunnels.

use std::io;
use std::path::PathBuf;

use monday_shared::life::{Failure, LifeError, exit};
use monday_shared::protocol::error::{ErrorKind, RpcError};

/// Why forwards cannot be opened, or the executable cannot do its job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The specification of a forward makes no sense.
    #[error("forward `{id}`: {reason}")]
    Spec {
        /// The forward.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A forward has no id.
    #[error("a forward has an empty id: every forward needs an id of its own")]
    EmptyId,
    /// Two forwards have one id.
    #[error("forward `{id}` is there twice: every forward needs an id of its own")]
    SameId {
        /// The id.
        id: String,
    },
    /// An address cannot be listened on.
    #[error("{0}")]
    Listen(RpcError),
    /// A Unix socket cannot be listened on.
    #[error(
        "forward `{id}`: cannot listen on {}: {source}; choose another path, or end whoever listens there",
        path.display()
    )]
    Socket {
        /// The forward.
        id: String,
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A forward of the command line cannot work.
    #[error("{id}: {why}")]
    Failed {
        /// The forward.
        id: String,
        /// Why, and what to do.
        why: String,
    },
    /// Everything is about to end.
    #[error("monday-fwd is about to end and opens no forwards any more")]
    Ending,
    /// No thread could be started.
    #[error("cannot start the threads that carry the forwards: {0}")]
    Threads(#[source] io::Error),
    /// The common life failed.
    #[error(transparent)]
    Life(#[from] LifeError),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Spec { .. } | Self::EmptyId | Self::SameId { .. } => exit::USAGE,
            Self::Listen(_)
            | Self::Socket { .. }
            | Self::Failed { .. }
            | Self::Ending
            | Self::Threads(_) => exit::FAILED,
            Self::Life(life) => life.exit_code(),
        }
    }
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Listen(refused) => return refused.clone(),
            Error::Spec { .. } | Error::EmptyId | Error::SameId { .. } => ErrorKind::InvalidParams,
            Error::Ending => ErrorKind::ShuttingDown,
            Error::Failed { .. } | Error::Socket { .. } | Error::Threads(_) | Error::Life(_) => {
                ErrorKind::Os
            }
        };
        Self::new(kind, error.to_string())
    }
}
