//! What can go wrong.

use std::io;
use std::net::SocketAddr;

/// Why the agent cannot do its job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A word of the command line makes no sense.
    #[error("`{word}` makes no sense here; `monday-agent --help` says what does")]
    Usage {
        /// The word.
        word: String,
    },
    /// A variable is not set.
    #[error(
        "{name} is not set: it is {what}; monday-fwd sets it when it puts the agent into a pod"
    )]
    Missing {
        /// Its name.
        name: &'static str,
        /// What it is.
        what: &'static str,
    },
    /// A variable makes no sense.
    #[error("{name} is `{value}`, which is not {what}")]
    Senseless {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        what: &'static str,
    },
    /// It cannot listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The tunnel does not stand.
    #[error("the tunnel does not stand: nobody listens on {address} ({source})")]
    NotReady {
        /// Where the agent says that it does.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The operating system refused something basic.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// No host key could be made.
    #[error("cannot make a host key: {0}")]
    HostKey(String),
}

impl Error {
    /// The exit status that says it: 2 for usage and configuration.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Missing { .. } | Self::Senseless { .. } => 2,
            _ => 1,
        }
    }
}
