//! What can go wrong besides single connections.

use monday_shared::life::{Failure, LifeError, exit};
use monday_shared::protocol::error::{ErrorKind, RpcError};

use crate::plan::Conflict;
use crate::routes_file::RoutesFileError;
use monday_shared::address::AddressError;

/// Why routes cannot be opened, or the executable cannot do its job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of a route makes no sense.
    #[error("route `{id}`: {source}")]
    Address {
        /// The route.
        id: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// A route has no id.
    #[error("a route has an empty id: every route needs an id of its own")]
    EmptyId,
    /// The routes contradict each other.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// An address cannot be listened on.
    #[error("{0}")]
    Listen(RpcError),
    /// There is no route of that id.
    #[error("there is no route `{id}`: open it first")]
    NoRoute {
        /// The id.
        id: String,
    },
    /// A file of routes cannot be used.
    #[error(transparent)]
    RoutesFile(#[from] RoutesFileError),
    /// Nobody can be told that everything is there.
    #[error("{0}")]
    Ready(String),
    /// Everything is about to end.
    #[error("monday-tcpproxy is about to end and opens no routes any more")]
    Ending,
    /// No thread could be started.
    #[error("cannot start the threads that relay: {0}")]
    Threads(#[source] std::io::Error),
    /// What was handed over is not what was said.
    #[error(
        "{0}; LISTEN_FDS and LISTEN_PID are set by whoever hands listeners over (sd_listen_fds(3))"
    )]
    Inherited(String),
    /// The common life failed.
    #[error(transparent)]
    Life(#[from] LifeError),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Address { .. }
            | Self::EmptyId
            | Self::Conflict(_)
            | Self::Inherited(_)
            | Self::RoutesFile(_) => exit::USAGE,
            Self::Listen(_)
            | Self::NoRoute { .. }
            | Self::Ready(_)
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
            Error::Address { .. } | Error::EmptyId | Error::Conflict(Conflict::Id { .. }) => {
                ErrorKind::InvalidParams
            }
            Error::Conflict(Conflict::Address { .. }) => ErrorKind::Conflict,
            Error::NoRoute { .. } => ErrorKind::NotFound,
            Error::Ending => ErrorKind::ShuttingDown,
            Error::RoutesFile(_)
            | Error::Ready(_)
            | Error::Threads(_)
            | Error::Inherited(_)
            | Error::Life(_) => ErrorKind::Os,
        };
        Self::new(kind, error.to_string())
    }
}
