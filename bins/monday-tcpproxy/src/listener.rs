//! One listening socket and the tasks that accept on it. Whatever goes wrong with a connection, the listener goes on.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use monday_shared::accept;
use monday_shared::backoff::Backoff;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::connection::{Context, serve};
use crate::workers::{Worker, Workers};
use monday_shared::address::is_local;
use monday_shared::platform;

/// A socket that has its address, but refuses clients until it listens.
#[derive(Debug)]
pub(crate) struct Bound {
    socket: Socket,
}

impl Bound {
    /// Takes an address; port 0 takes a free one.
    ///
    /// # Errors
    /// What bind(2) says.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // Connections in TIME-WAIT must not keep a restarted proxy from its port. Never SO_REUSEPORT: two processes
        // would share a port without knowing of each other, and clients would reach either.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // [::]:80 says IPv6. Whoever wants both says so.
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        Self::prepared(socket, address)
    }

    /// Takes a socket that somebody else has bound to that address, and that does not listen yet.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub(crate) fn handed_over(socket: OwnedFd, address: SocketAddr) -> io::Result<Self> {
        Self::prepared(Socket::from(socket), address)
    }

    fn prepared(socket: Socket, address: SocketAddr) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // Accepted sockets inherit both. A relay must not hold back what the target has chosen to send.
        socket.set_tcp_nodelay(true)?;
        if is_local(address.ip()) {
            platform::stop_pacing(&socket);
        }
        Ok(Self { socket })
    }

    /// Begins to queue clients, to be accepted by all workers.
    ///
    /// # Errors
    /// What listen(2) says, because another socket was faster; or there are no descriptors left.
    pub(crate) fn listen(self, workers: &Workers) -> io::Result<Listening> {
        self.socket.listen(accept::BACKLOG)?;
        let socket = std::net::TcpListener::from(self.socket);
        Ok(Listening {
            address: socket.local_addr()?,
            for_workers: workers
                .all()
                .map(|worker| Ok((worker, socket.try_clone()?)))
                .collect::<io::Result<_>>()?,
        })
    }
}

/// A socket that queues clients, which nobody accepts yet.
#[derive(Debug)]
pub(crate) struct Listening {
    /// Where it listens, with the real port.
    pub(crate) address: SocketAddr,
    for_workers: Vec<(Worker, std::net::TcpListener)>,
}

/// A listener that accepts, on every worker.
#[derive(Debug)]
pub(crate) struct Listener {
    context: watch::Sender<Arc<Context>>,
    stop: CancellationToken,
    acceptors: Vec<JoinHandle<()>>,
}

impl Listener {
    /// Begins to accept once `go` is cancelled.
    pub(crate) fn start(
        listening: Listening,
        context: Arc<Context>,
        go: &CancellationToken,
    ) -> Self {
        let (context, latest) = watch::channel(context);
        let stop = CancellationToken::new();
        let acceptors = listening
            .for_workers
            .into_iter()
            .map(|(worker, listener)| {
                let (stop, go, latest) = (stop.clone(), go.clone(), latest.clone());
                let on = worker.clone();
                worker.spawn_acceptor(async move {
                    let accepting = async {
                        go.cancelled().await;
                        accept_all(listener, &latest, &on).await;
                    };
                    stop.run_until_cancelled(accepting).await;
                })
            })
            .collect();
        Self {
            context,
            stop,
            acceptors,
        }
    }

    /// Leads new connections elsewhere.
    pub(crate) fn retarget(&self, context: Arc<Context>) {
        self.context.send_replace(context);
    }

    /// Stops accepting; its port is free again afterwards.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        for acceptor in self.acceptors {
            if let Err(error) = acceptor.await
                && error.is_panic()
            {
                tracing::error!(%error, "a listener ended badly");
            }
        }
    }
}

/// Accepts for ever.
async fn accept_all(
    listener: std::net::TcpListener,
    context: &watch::Receiver<Arc<Context>>,
    worker: &Worker,
) {
    let mut backoff = Backoff::new(accept::AGAIN);
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            context.borrow().cannot_accept(&error);
            return;
        }
    };
    loop {
        let accepted = listener.accept().await.and_then(|(client, peer)| {
            let context = Arc::clone(&context.borrow());
            worker.spawn_connection(client, move |client| serve(client, peer, context))
        });
        match accepted {
            Ok(()) => backoff.reset(),
            Err(error) if accept::concerns_one_client(&error) => {}
            Err(error) => {
                context.borrow().cannot_accept(&error);
                tokio::time::sleep(backoff.failed_after(Duration::ZERO)).await;
            }
        }
    }
}
