//! One client, from being accepted to its end: dial the target, then relay.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use monday_shared::protocol::tcpproxy::Event;
use monday_shared::rpc::hub::Hub;

use crate::orders::to_be_cut;
use crate::pipe_pool::PipePool;
use crate::relay::relay;
use crate::route::Shared;
use crate::socket::{Peer, Socket};
use monday_shared::address::Target;
use monday_shared::dial::{DialError, Patience, Stream, dial};

/// What the connections of a route need to know. A route that gets another target gets another one of these;
/// connections that live keep theirs.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) id: String,
    pub(crate) target: Target,
    pub(crate) patience: Patience,
    pub(crate) shared: Shared,
    /// Which of the route's replacements this is.
    pub(crate) generation: u64,
    pub(crate) pipes: Arc<PipePool>,
    pub(crate) hub: Hub<Event>,
}

/// Serves one client until its end.
pub(crate) async fn serve(client: Socket, peer: Peer, context: Arc<Context>) {
    let _tracked = context.shared.connections.token();
    let _active = context.shared.stats.begin();
    let Some(target) = reach_target(&client, &context).await else {
        client.reset();
        return;
    };
    let target = match target {
        Ok(target) => Socket::from(target),
        Err(error) => {
            // As the target would have done: refused is a reset, not the clean end of an empty stream.
            client.reset();
            context.failed(peer, error.to_string());
            return;
        }
    };
    let Shared { stats, orders, .. } = &context.shared;
    let orders = (&**orders, context.generation);
    let outcome = relay(client, target, &context.pipes, &stats.traffic, orders).await;
    tracing::debug!(route = context.id, client = %peer, %outcome, "connection ended");
}

/// Dials. `None`: the connection is over before it has begun.
///
/// The dial is in a box of its own, which is gone once it is done: it is several times as large as all that a
/// connection needs from then on.
async fn reach_target(client: &Socket, context: &Context) -> Option<Result<Stream, DialError>> {
    let dial = Box::pin(dial(&context.target, context.patience));
    tokio::select! {
        dialled = dial => Some(dialled),
        () = to_be_cut(&context.shared.orders, context.generation) => None,
        () = client.failed() => None,
    }
}

impl Context {
    /// Notes that the listener cannot accept for now.
    pub(crate) fn cannot_accept(&self, error: &io::Error) {
        let error = error.to_string();
        if self
            .shared
            .stats
            .note_failure(error.clone(), Instant::now())
        {
            self.hub.publish(Event::AcceptFailed {
                id: self.id.clone(),
                error,
            });
        }
    }

    fn failed(&self, client: Peer, error: String) {
        self.shared.stats.failed.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(route = self.id, %client, error, "connection failed");
        if self
            .shared
            .stats
            .note_failure(error.clone(), Instant::now())
        {
            self.hub.publish(Event::DialFailed {
                id: self.id.clone(),
                client: client.to_string(),
                error,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipe_pool::CopyPath;

    #[tokio::test]
    async fn an_idle_connection_needs_little_memory() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = tokio::net::TcpStream::connect(address).await.unwrap();
        let context = Arc::new(Context {
            id: "r".to_owned(),
            target: Target::Address(address),
            patience: Patience {
                connect_timeout: std::time::Duration::ZERO,
                connect_wait: std::time::Duration::ZERO,
            },
            shared: Shared::default(),
            generation: 0,
            pipes: Arc::new(PipePool::new(CopyPath::Auto)),
            hub: Hub::new(),
        });
        // All else that a connection has is two registrations with the runtime.
        let bytes = size_of_val(&serve(client.into(), Peer::Ip(address), context));
        assert!(bytes <= 1024, "{bytes} bytes");
    }
}
