//! What an executable answers and tells, apart from how the bytes travel.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::hub::{Event, Hub};
use crate::protocol::PROTOCOL;
use crate::protocol::common::{Hello, HelloReply};
use crate::protocol::error::{ErrorKind, RpcError};

/// What an executable answers. Written by the `methods!` macro around the trait that each protocol file declares.
pub trait Service: Send + Sync + 'static {
    /// What it tells.
    type Event: Event + Serialize;
    /// The executable's name.
    const NAME: &'static str;
    /// Its methods besides the common ones.
    const METHODS: &'static [&'static str];

    /// Answers one request. Requests of one connection begin in the order in which they came; a long one does not
    /// hold up those behind it.
    fn call(
        &self,
        method: &str,
        params: Value,
    ) -> impl Future<Output = Result<Value, RpcError>> + Send;
}

/// The methods that every executable has, answered here.
pub const COMMON_METHODS: [&str; 3] = ["hello", "subscribe", "shutdown"];

/// Reads the parameters of a method.
///
/// # Errors
/// [`ErrorKind::InvalidParams`] with what is wrong about them.
pub fn params<T: DeserializeOwned>(method: &str, params: Value) -> Result<T, RpcError> {
    if !params.is_object() {
        return Err(RpcError::invalid_params(method, "an object was expected"));
    }
    serde_json::from_value(params).map_err(|e| RpcError::invalid_params(method, e))
}

/// Writes a reply.
///
/// # Errors
/// [`ErrorKind::Internal`] if it cannot be written as JSON, which no reply type of ours can cause.
pub fn reply<T: Serialize>(reply: &T) -> Result<Value, RpcError> {
    serde_json::to_value(reply).map_err(|e| {
        RpcError::new(
            ErrorKind::Internal,
            format!("the reply cannot be written as JSON: {e}"),
        )
    })
}

/// The two signals between a server and the executable around it.
#[derive(Clone, Debug, Default)]
pub struct Switches {
    /// Cancelled by the server when a client sent `shutdown`.
    pub shutdown: CancellationToken,
    /// Cancelled by the executable when the server shall end.
    pub end: CancellationToken,
}

/// What all connections of a server share.
pub(super) struct Context<S: Service> {
    pub(super) service: S,
    pub(super) hub: Hub<S::Event>,
    pub(super) switches: Switches,
}

/// Answers `hello`.
pub(super) fn hello<S: Service>(hello: &Hello) -> Result<HelloReply, RpcError> {
    match hello.protocol {
        Some(wanted) if wanted != PROTOCOL => Err(RpcError::new(
            ErrorKind::UnsupportedProtocol,
            format!(
                "protocol {wanted} was asked for, {} speaks {PROTOCOL}; use executables of one version of monday together",
                S::NAME
            ),
        )
        .with("protocol", PROTOCOL)),
        _ => Ok(HelloReply {
            name: S::NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            pid: std::process::id(),
            methods: COMMON_METHODS
                .iter()
                .chain(S::METHODS)
                .map(|method| (*method).to_owned())
                .collect(),
        }),
    }
}
