//! One listening socket and the tasks that accept on it. Whatever goes wrong with a connection, the listener goes on.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use monday_shared::accept;
use monday_shared::backoff::Backoff;
use monday_shared::protocol::listen_address::ListenAddress;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::connection::{Context, serve};
use crate::place::Place;
use crate::socket::{Peer, Socket as Stream};
use crate::socket_file::SocketFile;
use crate::workers::{Worker, Workers};
use monday_shared::address::is_local;
use monday_shared::platform;

/// A socket that has its address, but refuses clients until it listens.
#[derive(Debug)]
pub(crate) struct Bound {
    socket: Socket,
    asked: Place,
    file: Option<SocketFile>,
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
        tune(&socket, address)?;
        Ok(Self {
            socket,
            asked: Place::Ip(address),
            file: None,
        })
    }

    /// Takes a socket that is bound to a path.
    ///
    /// # Errors
    /// What fcntl(2) says.
    pub(crate) fn at_path(socket: Socket, file: SocketFile) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            asked: Place::Unix(file.path().to_owned()),
            file: Some(file),
        })
    }

    /// Takes a socket that we were started with, and that may listen already.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub(crate) fn inherited(socket: Socket, name: &str) -> io::Result<Self> {
        match socket.local_addr()?.as_socket() {
            Some(address) => tune(&socket, address)?,
            None => socket.set_nonblocking(true)?,
        }
        Ok(Self {
            socket,
            asked: Place::Inherited(name.to_owned()),
            file: None,
        })
    }

    /// Begins to queue clients, to be accepted by all workers.
    ///
    /// # Errors
    /// What listen(2) says, because another socket was faster; or there are no descriptors left.
    pub(crate) fn listen(self, workers: &Workers) -> io::Result<Listening> {
        self.socket.listen(accept::BACKLOG)?;
        let local = self.socket.local_addr()?;
        let (shown, key) = match (local.as_socket(), self.asked) {
            (Some(ip), Place::Ip(_)) => (ListenAddress::Ip(ip), Place::Ip(ip)),
            (Some(ip), asked) => (ListenAddress::Ip(ip), asked),
            (None, asked) => {
                let path = local.as_pathname().unwrap_or(Path::new(""));
                (ListenAddress::Unix(path.to_owned()), asked)
            }
        };
        Ok(Listening {
            address: key,
            shown,
            for_workers: workers
                .all()
                .map(|worker| Ok((worker, self.socket.try_clone()?)))
                .collect::<io::Result<_>>()?,
            file: self.file,
        })
    }
}

fn tune(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit both. A relay must not hold back what the target has chosen to send.
    socket.set_tcp_nodelay(true)?;
    if is_local(address.ip()) {
        platform::stop_pacing(socket);
    }
    Ok(())
}

/// A socket that queues clients, which nobody accepts yet.
#[derive(Debug)]
pub(crate) struct Listening {
    /// What it is known by: where it listens, with the real port.
    pub(crate) address: Place,
    /// Where clients find it.
    pub(crate) shown: ListenAddress,
    for_workers: Vec<(Worker, Socket)>,
    file: Option<SocketFile>,
}

/// A listener that accepts, on every worker.
#[derive(Debug)]
pub(crate) struct Listener {
    context: watch::Sender<Arc<Context>>,
    stop: CancellationToken,
    acceptors: Vec<JoinHandle<()>>,
    /// Where clients find it.
    shown: ListenAddress,
    /// Goes with the listener.
    _file: Option<SocketFile>,
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
            shown: listening.shown,
            _file: listening.file,
        }
    }

    /// Where clients find it.
    pub(crate) fn shown(&self) -> &ListenAddress {
        &self.shown
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

/// A listener as the runtime of a thread sees it.
#[derive(Debug)]
enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn new(socket: Socket) -> io::Result<Self> {
        if socket.domain()? == Domain::UNIX {
            Ok(Self::Unix(UnixListener::from_std(
                OwnedFd::from(socket).into(),
            )?))
        } else {
            Ok(Self::Tcp(TcpListener::from_std(socket.into())?))
        }
    }

    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((stream.into(), Peer::Ip(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
                Ok((stream.into(), Peer::Process(pid)))
            }
        }
    }
}

/// Accepts for ever.
async fn accept_all(listener: Socket, context: &watch::Receiver<Arc<Context>>, worker: &Worker) {
    let mut backoff = Backoff::new(accept::AGAIN);
    let listener = match Acceptor::new(listener) {
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
