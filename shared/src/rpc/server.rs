//! Serves one executable's methods and events to any number of clients.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::hub::{Event, Hub};
use crate::protocol::PROTOCOL;
use crate::protocol::common::{Hello, HelloReply};
use crate::protocol::error::{ErrorKind, RpcError};
use crate::socket::ControlSocket;

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

/// Serves until [`Switches::end`] is cancelled, then finishes what was asked before and closes the connections.
pub async fn serve<S: Service>(
    socket: ControlSocket,
    service: S,
    hub: Hub<S::Event>,
    switches: Switches,
) {
    let connections = TaskTracker::new();
    let context = Arc::new(Context {
        service,
        hub,
        switches,
    });
    loop {
        let accepted = tokio::select! {
            () = context.switches.end.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                if let Err(error) = check_peer(&stream) {
                    tracing::warn!(%error, "a connection to the control socket was refused");
                    continue;
                }
                let connection = Connection::new(Arc::clone(&context), stream);
                connections.spawn(connection.run());
            }
            // Out of descriptors, most often: those that are connected go on, and so does the listener, later.
            Err(error) => {
                tracing::warn!(%error, "the control socket cannot accept a connection, trying on");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    // Connections end by themselves now; a client that does not read its reply is not waited for.
    if tokio::time::timeout(LAST_REPLIES, connections.wait())
        .await
        .is_err()
    {
        tracing::debug!("a client did not read its last reply in time");
    }
    drop(socket);
}

/// How long to wait before accepting again after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the last replies may take to be read.
const LAST_REPLIES: Duration = Duration::from_millis(500);

/// Only the user whose process this is may talk to it (and root, who may do anything anyway).
fn check_peer(stream: &Stream) -> io::Result<()> {
    let ours = nix::unistd::geteuid().as_raw();
    match stream.peer_creds()?.euid() {
        Some(peer) if peer == ours || peer == 0 => Ok(()),
        Some(peer) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("the peer's uid is {peer}, ours is {ours}"),
        )),
        None => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the peer's uid is not known",
        )),
    }
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
