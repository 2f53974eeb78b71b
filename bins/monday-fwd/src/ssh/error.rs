//! Why there is no connection to a server: what was tried, where, why it failed, and whether trying again can help.

use std::fmt;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Reading what `ssh_config` says.
    Configure,
    /// Turning the name into addresses.
    Resolve,
    /// Connecting to it.
    Connect,
    /// Running the `ProxyCommand`.
    Proxy,
    /// Agreeing on keys.
    Exchange,
    /// Checking who it is.
    HostKey,
    /// Showing who we are.
    Authenticate,
    /// Asking it to listen.
    Listen,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configure => "cannot read the configuration for",
            Self::Resolve => "cannot resolve",
            Self::Connect => "cannot connect to",
            Self::Proxy => "cannot reach through its proxy command",
            Self::Exchange => "cannot agree on a secure connection with",
            Self::HostKey => "cannot trust the host key of",
            Self::Authenticate => "cannot log in to",
            Self::Listen => "cannot listen at",
        })
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step} {server}: {why}")]
pub(super) struct ConnectError {
    /// What was being done.
    pub(super) step: Step,
    /// `user@host:port`.
    pub(super) server: String,
    /// Why it failed, and what to do.
    pub(super) why: String,
    /// Trying again cannot help.
    pub(super) permanent: bool,
}

impl ConnectError {
    /// Something that may work the next time.
    pub(super) fn temporary(step: Step, server: &str, why: impl fmt::Display) -> Self {
        Self {
            step,
            server: server.to_owned(),
            why: why.to_string(),
            permanent: false,
        }
    }

    /// Something that a person has to change.
    pub(super) fn permanent(step: Step, server: &str, why: impl fmt::Display) -> Self {
        Self {
            permanent: true,
            ..Self::temporary(step, server, why)
        }
    }
}
