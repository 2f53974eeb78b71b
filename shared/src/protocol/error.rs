//! What an error reply carries: a JSON-RPC number, a sentence for people and a kind for programs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What went wrong, for programs. The list only ever grows: a kind keeps its name and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The line is not JSON, or it is not UTF-8.
    ParseError,
    /// The line is JSON but not a request.
    InvalidRequest,
    /// There is no such method here; `hello` lists those that there are.
    UnknownMethod,
    /// The method exists, its parameters are wrong.
    InvalidParams,
    /// The line is longer than [`MAX_LINE_BYTES`](super::MAX_LINE_BYTES), or a list is longer than what is served.
    TooLarge,
    /// A fault of the executable itself.
    Internal,
    /// The thing that was named does not exist here.
    NotFound,
    /// The thing that was asked for contradicts one that exists.
    Conflict,
    /// It cannot be done now, because something else is going on.
    Busy,
    /// It was not done in the time that was given.
    Timeout,
    /// The rights for it are missing.
    Denied,
    /// Somebody else listens on that port; `port`, `pid` and `process` name it as far as they are known.
    PortInUse,
    /// The address cannot be used on this machine.
    AddressUnavailable,
    /// The executable is about to end and takes nothing new.
    ShuttingDown,
    /// A program could not be started.
    SpawnFailed,
    /// The operating system refused, for a reason that has no kind of its own; the message says which.
    Os,
    /// The client speaks a protocol that is not spoken here.
    UnsupportedProtocol,
    /// What was waited for will not come: it failed.
    Failed,
    /// The configuration cannot be used.
    InvalidConfiguration,
    /// A kind that this version does not know yet.
    #[serde(other)]
    Unknown,
}

impl ErrorKind {
    /// Every kind that can be sent, in the order of the reference (`shared/PROTOCOL.md`).
    pub const ALL: [Self; 19] = [
        Self::ParseError,
        Self::InvalidRequest,
        Self::UnknownMethod,
        Self::InvalidParams,
        Self::TooLarge,
        Self::Internal,
        Self::NotFound,
        Self::Conflict,
        Self::Busy,
        Self::Timeout,
        Self::Denied,
        Self::PortInUse,
        Self::AddressUnavailable,
        Self::ShuttingDown,
        Self::SpawnFailed,
        Self::Os,
        Self::UnsupportedProtocol,
        Self::Failed,
        Self::InvalidConfiguration,
    ];

    /// The JSON-RPC 2.0 error number that belongs to the kind (section 5.1 of the specification); everything that is
    /// not about the protocol itself is -32000.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::ParseError => -32700,
            Self::InvalidRequest | Self::TooLarge => -32600,
            Self::UnknownMethod => -32601,
            Self::InvalidParams => -32602,
            Self::Internal => -32603,
            _ => -32000,
        }
    }
}

/// The machine-readable part of an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorData {
    /// What went wrong.
    pub kind: ErrorKind,
    /// What belongs to the kind, such as `port`, `pid` and `process` of [`ErrorKind::PortInUse`].
    #[serde(flatten)]
    pub details: Map<String, Value>,
}

/// The `error` member of a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The JSON-RPC number.
    pub code: i32,
    /// What was tried, on what, why it failed, what to do: one sentence or two, for people.
    pub message: String,
    /// The same for programs.
    pub data: ErrorData,
}

impl RpcError {
    /// An error of that kind.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            code: kind.code(),
            message: message.into(),
            data: ErrorData {
                kind,
                details: Map::new(),
            },
        }
    }

    /// Adds a detail for programs.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.details.insert(key.to_owned(), value.into());
        self
    }

    /// There is no such method.
    #[must_use]
    pub fn unknown_method(method: &str, executable: &str) -> Self {
        Self::new(
            ErrorKind::UnknownMethod,
            format!("{executable} has no method `{method}`; `hello` lists those that it has"),
        )
    }

    /// The parameters do not fit the method.
    #[must_use]
    pub fn invalid_params(method: &str, why: impl std::fmt::Display) -> Self {
        Self::new(
            ErrorKind::InvalidParams,
            format!("the parameters of `{method}` are wrong: {why}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_kinds_is_complete() {
        // A kind that is added to the enum does not compile here until it has a place in the list.
        let place = |kind| match kind {
            ErrorKind::ParseError => 0,
            ErrorKind::InvalidRequest => 1,
            ErrorKind::UnknownMethod => 2,
            ErrorKind::InvalidParams => 3,
            ErrorKind::TooLarge => 4,
            ErrorKind::Internal => 5,
            ErrorKind::NotFound => 6,
            ErrorKind::Conflict => 7,
            ErrorKind::Busy => 8,
            ErrorKind::Timeout => 9,
            ErrorKind::Denied => 10,
            ErrorKind::PortInUse => 11,
            ErrorKind::AddressUnavailable => 12,
            ErrorKind::ShuttingDown => 13,
            ErrorKind::SpawnFailed => 14,
            ErrorKind::Os => 15,
            ErrorKind::UnsupportedProtocol => 16,
            ErrorKind::Failed => 17,
            ErrorKind::InvalidConfiguration => 18,
            ErrorKind::Unknown => 19,
        };
        for (at, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(place(kind), at);
        }
        assert_eq!(place(ErrorKind::Unknown), ErrorKind::ALL.len());
    }
}
