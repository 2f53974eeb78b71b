//! Serves one executable's methods and events to any number of clients.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::hub::Hub;
use super::service::{Context, Service, Switches};
use crate::socket::ControlSocket;

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
                if let Err(error) = socket.check_peer(&stream) {
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
