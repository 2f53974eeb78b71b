//! One client, from being accepted to its end: dial the target, then relay.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use monday_shared::duration::Span;
use monday_shared::protocol::tcpproxy::Event;
use monday_shared::rpc::hub::Hub;

use tokio::time::timeout;

use crate::faults::{Subject, accept_delay};
use crate::orders::to_be_cut;
use crate::pipe_pool::PipePool;
use crate::proxy_header;
use crate::relay::{Terms, end, relay};
use crate::route::Shared;
use crate::socket::{Peer, Socket};
use crate::spare::Spare;
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
    /// What chance is derived from.
    pub(crate) seed: u64,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) half_close_linger: Option<Duration>,
    pub(crate) proxy_protocol: bool,
    pub(crate) log_connections: bool,
    pub(crate) pipes: Arc<PipePool>,
    pub(crate) hub: Hub<Event>,
}

/// Serves one client until its end; its target takes the place of `spare`.
pub(crate) async fn serve(client: Socket, peer: Peer, spare: Spare, context: Arc<Context>) {
    let _tracked = context.shared.connections.token();
    let active = context.shared.stats.begin();
    let terms = Terms {
        orders: &context.shared.orders,
        generation: context.generation,
        subject: Subject {
            route: &context.id,
            number: active.number,
            since: Instant::now(),
            seed: context.seed,
        },
        idle_timeout: context.idle_timeout,
        half_close_linger: context.half_close_linger,
    };
    if context.log_connections {
        context.hub.publish(Event::Connected {
            id: context.id.clone(),
            client: peer.to_string(),
        });
    }
    let target = match reach_target(&client, &context, terms.subject, spare).await {
        Some(Ok(target)) => Socket::from(target),
        None => {
            context.ended(
                peer,
                terms.subject.since,
                [0, 0],
                "it was over before it began",
            );
            client.reset();
            return;
        }
        Some(Err(error)) => {
            // As the target would have done: refused is a reset, not the clean end of an empty stream.
            client.reset();
            let error = error.to_string();
            context.ended(peer, terms.subject.since, [0, 0], &error);
            context.failed(peer, error);
            return;
        }
    };
    let stats = &context.shared.stats;
    if context.proxy_protocol
        && let Err(error) = Box::pin(introduce(&client, peer, &target)).await
    {
        client.reset();
        let error = format!("the target does not take the PROXY header: {error}");
        context.ended(peer, terms.subject.since, [0, 0], &error);
        context.failed(peer, error);
        return;
    }
    let (outcome, written) = relay(&client, &target, &context.pipes, &stats.traffic, &terms).await;
    // Boxed, so that no connection carries along until then what only its end needs.
    Box::pin(end(client, target, &outcome, &terms)).await;
    if outcome.is_reset() {
        stats.reset.fetch_add(1, Ordering::Relaxed);
    }
    context.ended(peer, terms.subject.since, written, &outcome);
    tracing::debug!(route = context.id, client = %peer, %outcome, "connection ended");
}

/// Dials. `None`: the connection is over before it has begun.
///
/// The dial is in a box of its own, which is gone once it is done: it is several times as large as all that a
/// connection needs from then on.
async fn reach_target(
    client: &Socket,
    context: &Context,
    subject: Subject<'_>,
    spare: Spare,
) -> Option<Result<Stream, DialError>> {
    let mut dial = Box::pin(async {
        held_back(context, subject).await;
        drop(spare);
        dial(&context.target, context.patience).await
    });
    tokio::select! {
        dialled = &mut dial => Some(dialled),
        () = to_be_cut(&context.shared.orders, context.generation) => None,
        () = client.failed() => {
            // The target may have the connection already, without our having heard of it: it is told as well.
            if let Ok(Ok(target)) = timeout(HEARD_OF_TARGET_WITHIN, dial).await {
                Socket::from(target).reset();
            }
            None
        }
    }
}

/// A connection that the target has accepted is heard of in much less.
const HEARD_OF_TARGET_WITHIN: Duration = Duration::from_millis(20);

/// Waits for as long as a fault says that nothing happens to a new connection.
async fn held_back(context: &Context, subject: Subject<'_>) {
    loop {
        let order = context.shared.orders.look_up(context.generation);
        let delay = accept_delay(&order.faults, subject);
        let left = delay.saturating_sub(subject.since.elapsed());
        if left.is_zero() {
            return;
        }
        let waiting = tokio::time::sleep(left);
        order.news.run_until_cancelled(waiting).await;
    }
}

/// Tells the target who the client is.
async fn introduce(client: &Socket, peer: Peer, target: &Socket) -> io::Result<()> {
    let addresses = match (peer, client) {
        (Peer::Ip(peer), Socket::Tcp(client)) => client.local_addr().ok().map(|own| (peer, own)),
        _ => None,
    };
    let header = proxy_header::header(addresses);
    let mut written = 0;
    while written < header.len() {
        std::future::poll_fn(|cx| target.poll_writable(cx)).await?;
        match target.try_write(&header[written..]) {
            Ok(now) => written += now,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Context {
    fn ended(
        &self,
        client: Peer,
        since: Instant,
        [up, down]: [u64; 2],
        outcome: impl fmt::Display,
    ) {
        if self.log_connections {
            let millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.hub.publish(Event::Disconnected {
                id: self.id.clone(),
                client: client.to_string(),
                bytes_up: up,
                bytes_down: down,
                lasted: Span::from_millis(millis),
                outcome: outcome.to_string(),
            });
        }
    }

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
                connect_timeout: Duration::ZERO,
                connect_wait: Duration::ZERO,
            },
            shared: Shared::default(),
            generation: 0,
            seed: 0,
            idle_timeout: None,
            half_close_linger: None,
            proxy_protocol: false,
            log_connections: false,
            pipes: Arc::new(PipePool::new(CopyPath::Auto)),
            hub: Hub::new(),
        });
        // All else that a connection has is two registrations with the runtime.
        let bytes = size_of_val(&serve(
            client.into(),
            Peer::Ip(address),
            Spare::default(),
            context,
        ));
        assert!(bytes <= 1024, "{bytes} bytes");
    }
}
