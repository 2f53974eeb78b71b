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
use crate::spare::Spare;
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
        if address.port() == 0 {
            // The kernel lets go of a port that it has chosen itself when a listener is shut down (`Door::Refuse`), and
            // keeps one that was asked for. This one holds it meanwhile, so nobody else gets it.
            let chosen = socket.local_addr()?.as_socket();
            return Self::bind(chosen.ok_or(io::ErrorKind::AddrNotAvailable)?);
        }
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

/// How a listener treats new clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// It accepts them.
    Open,
    /// It refuses them, as if nobody listened.
    Refuse,
    /// So it does for good, but leaves them to whoever else has the listener.
    Shut,
    /// It does not answer them.
    Silent,
}

/// What the acceptors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepting {
    Serve {
        /// This one is ours, and keeps the queue full that was silent.
        except: Option<SocketAddr>,
    },
    Close,
    Nothing,
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
    /// We were started with it.
    was_handed_over: bool,
    /// Goes with the listener.
    _file: Option<SocketFile>,
    /// For [`Door`].
    socket: Option<Socket>,
    door: Door,
    accepting: watch::Sender<Accepting>,
    /// Keeps the queue full while it does not answer.
    filler: Option<Socket>,
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
        let (accepting, what) = watch::channel(Accepting::Serve { except: None });
        let socket = listening
            .for_workers
            .first()
            .and_then(|(_, socket)| socket.try_clone().ok());
        let acceptors = listening
            .for_workers
            .into_iter()
            .map(|(worker, listener)| {
                let (stop, go, latest) = (stop.clone(), go.clone(), latest.clone());
                let what = what.clone();
                let on = worker.clone();
                worker.spawn_acceptor(async move {
                    let accepting = async {
                        go.cancelled().await;
                        accept_all(&listener, &latest, what, &on).await;
                    };
                    stop.run_until_cancelled(accepting).await;
                })
            })
            .collect();
        Self {
            context,
            stop,
            acceptors,
            was_handed_over: matches!(listening.address, Place::Inherited(_)),
            shown: listening.shown,
            _file: listening.file,
            socket,
            door: Door::Open,
            accepting,
            filler: None,
        }
    }

    /// Lets clients wait in the queue, for a moment. Returns whether it accepted them before.
    pub(crate) fn pause(&self) -> bool {
        let before = self.accepting.send_replace(Accepting::Nothing);
        before != Accepting::Nothing
    }

    /// Treats new clients like that from now on.
    pub(crate) fn set_door(&mut self, door: Door) {
        if door == self.door {
            return;
        }
        let Some(socket) = &self.socket else {
            return;
        };
        let filler = self.filler.take();
        let lets_go = self.is_own() && matches!(door, Door::Refuse | Door::Shut);
        // See below.
        if self.is_own() && matches!(self.shown, ListenAddress::Ip(_)) {
            let _ = socket.set_reuse_address(!lets_go);
        }
        if self.door != Door::Open
            && let Err(error) = socket.listen(accept::BACKLOG)
        {
            tracing::warn!(%error, "a listener does not listen again");
        }
        self.door = door;
        let accepting = match door {
            Door::Open => Accepting::Serve {
                except: filler.as_ref().and_then(own_address),
            },
            Door::Silent => match keep_silent(socket) {
                Ok(filler) => {
                    self.filler = Some(filler);
                    Accepting::Nothing
                }
                Err(error) => {
                    tracing::warn!(%error, "new clients cannot be left without an answer; they are refused");
                    Accepting::Close
                }
            },
            Door::Refuse if !lets_go => Accepting::Close,
            Door::Refuse | Door::Shut => Accepting::Nothing,
        };
        self.accepting.send_replace(accepting);
        // Nobody else gets the port meanwhile, since we do not share it.
        // A listener that is shut down leaves the state of listening and keeps its address (Linux, `tcp_disconnect`).
        // One of another kind cannot come back, so clients are let in and closed at once.
        // What was handed over is listened on by others as well, or will be: it never is shut down.
        if lets_go
            && (matches!(self.shown, ListenAddress::Unix(_))
                || socket.shutdown(std::net::Shutdown::Both).is_err())
        {
            self.accepting.send_replace(Accepting::Close);
        }
    }

    /// Whether nobody else has it.
    fn is_own(&self) -> bool {
        !self.was_handed_over
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
    pub(crate) async fn close(mut self) {
        self.stop.cancel();
        if !self.is_own() && self.door == Door::Silent {
            // Others go on with it.
            self.set_door(Door::Shut);
        }
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

/// Accepts for ever, or does what else is to be done with clients.
async fn accept_all(
    listener: &Socket,
    context: &watch::Receiver<Arc<Context>>,
    mut what: watch::Receiver<Accepting>,
    worker: &Worker,
) {
    loop {
        let now = *what.borrow_and_update();
        if now == Accepting::Nothing {
            if what.changed().await.is_err() {
                return;
            }
            continue;
        }
        // A descriptor of its own each time: what the runtime believes about one that was shut down is out of date.
        let acceptor = match listener.try_clone().and_then(Acceptor::new) {
            Ok(acceptor) => acceptor,
            Err(error) => {
                context.borrow().cannot_accept(&error);
                tokio::time::sleep(accept::AGAIN.first).await;
                continue;
            }
        };
        tokio::select! {
            () = accept_with(&acceptor, now, context, worker) => {}
            changed = what.changed() => if changed.is_err() { return },
        }
    }
}

/// Does the same with every client.
async fn accept_with(
    listener: &Acceptor,
    what: Accepting,
    context: &watch::Receiver<Arc<Context>>,
    worker: &Worker,
) {
    let mut backoff = Backoff::new(accept::AGAIN);
    loop {
        let accepted = match listener.accept().await {
            Ok((client, peer)) => match what {
                Accepting::Serve { except } if except.map(Peer::Ip) == Some(peer) => Ok(()),
                Accepting::Serve { .. } => {
                    let spare = Spare::beside(&client).await;
                    let context = Arc::clone(&context.borrow());
                    worker
                        .spawn_connection(client, move |client| serve(client, peer, spare, context))
                }
                Accepting::Close | Accepting::Nothing => {
                    client.reset();
                    Ok(())
                }
            },
            Err(error) => Err(error),
        };
        match accepted {
            Ok(()) => backoff.reset(),
            Err(error) if accept::concerns_one_client(&error) => {}
            Err(error) => {
                // A moment after it was shut down it still is asked.
                if error.kind() != io::ErrorKind::InvalidInput {
                    context.borrow().cannot_accept(&error);
                }
                tokio::time::sleep(backoff.failed_after(Duration::ZERO)).await;
            }
        }
    }
}

/// Makes the kernel drop whoever wants to connect: its queue is as short as can be, and full.
fn keep_silent(socket: &Socket) -> io::Result<Socket> {
    socket.listen(0)?;
    let own = socket.local_addr()?;
    let to = match own.as_socket() {
        Some(mut address) if address.ip().is_unspecified() => {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
            address.into()
        }
        _ => own,
    };
    let filler = Socket::new(socket.domain()?, Type::STREAM, None)?;
    filler.set_nonblocking(true)?;
    match filler.connect(&to) {
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EINPROGRESS as i32) => {}
        connected => connected?,
    }
    Ok(filler)
}

fn own_address(socket: &Socket) -> Option<SocketAddr> {
    socket.local_addr().ok()?.as_socket()
}
