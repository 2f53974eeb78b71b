//! The ports that are open in the pod, each for one tunnel.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use monday_shared::accept;
use monday_shared::backoff::Backoff;
use monday_shared::channel_relay::{Ended, relay};
use russh::server::Handle;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};

use crate::link::{FromFar, ToFar};
use crate::ready;
use crate::say::say;

/// How long the tunnel that had a port before may take to let it go.
const FREE_WITHIN: Duration = Duration::from_secs(2);
const TRY_EVERY: Duration = Duration::from_millis(10);

/// A tunnel that wants a port.
pub(crate) struct Claim {
    /// The address in its words, which connections are announced with.
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) handle: Handle,
}

/// All ports. Clones are the same.
#[derive(Clone)]
pub(crate) struct Ports {
    ready_port: u16,
    open: Arc<Mutex<HashMap<u16, AbortHandle>>>,
}

impl Ports {
    pub(crate) fn new(ready_port: u16) -> Self {
        Self {
            ready_port,
            open: Arc::default(),
        }
    }

    /// Opens a port for a tunnel, and takes it away from whichever had it: the newest one is the one that somebody has
    /// at its other end. It is closed with `tasks`.
    ///
    /// # Errors
    /// It cannot be listened on.
    pub(crate) async fn open(&self, claim: Claim, tasks: &mut JoinSet<()>) -> io::Result<()> {
        let port = claim.port;
        let had = self.lock().remove(&port);
        if let Some(had) = &had {
            had.abort();
        }
        let until = Instant::now() + FREE_WITHIN;
        let listener = loop {
            match listen(port) {
                Ok(listener) => break listener,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && had.is_some() => {
                    if Instant::now() >= until {
                        return Err(error);
                    }
                    sleep(TRY_EVERY).await;
                }
                Err(error) => return Err(error),
            }
        };
        let task = if port == self.ready_port {
            tasks.spawn(accept_all(listener, port, |stream, _| async move {
                ready::answer(stream).await;
            }))
        } else {
            say(format_args!("port {port} leads through the tunnel"));
            let claim = Arc::new(claim);
            tasks.spawn(accept_all(listener, port, move |stream, from| {
                carry(Arc::clone(&claim), stream, from)
            }))
        };
        self.lock().insert(port, task);
        Ok(())
    }

    /// Closes a port; whether it was open.
    pub(crate) fn close(&self, port: u16) -> bool {
        let had = self.lock().remove(&port);
        had.inspect(AbortHandle::abort).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u16, AbortHandle>> {
        // Nothing panics while it is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens on all addresses of the pod, of both families where there are both.
fn listen(port: u16) -> io::Result<TcpListener> {
    let bind = |address: SocketAddr| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        socket.listen(accept::BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => bind((Ipv4Addr::UNSPECIFIED, port).into()),
    }
}

/// Accepts until it is aborted; the connections end with it.
async fn accept_all<F>(listener: TcpListener, port: u16, carry: impl Fn(TcpStream, SocketAddr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut backoff = Backoff::new(accept::AGAIN);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    backoff.reset();
                    connections.spawn(carry(stream, from));
                }
                Err(error) if accept::concerns_one_client(&error) => {}
                Err(error) => {
                    say(format_args!("cannot accept on port {port}: {error}"));
                    sleep(backoff.failed_after(Duration::ZERO)).await;
                }
            },
            // They are many, and none is kept when it is over.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// Carries one connection through the tunnel.
async fn carry(claim: Arc<Claim>, stream: TcpStream, from: SocketAddr) {
    let ip = from.ip().to_canonical();
    let opened = claim.handle.channel_open_forwarded_tcpip(
        claim.address.clone(),
        u32::from(claim.port),
        ip.to_string(),
        u32::from(from.port()),
    );
    let channel = match opened.await {
        Ok(channel) => channel,
        Err(error) => {
            say(format_args!(
                "port {}: a connection from {ip} was not taken: {error}",
                claim.port
            ));
            // So that whoever connected sees an error, and not an answer without content.
            let _ = stream.set_zero_linger();
            return;
        }
    };
    let (reader, writer) = channel.split();
    let (sender, mut receiver) = (ToFar(writer), FromFar(reader));
    let ended = relay(stream, &sender, &mut receiver, true, &()).await;
    if let Ended::Cut | Ended::Lost = ended {
        say(format_args!(
            "port {}: a connection from {ip} was cut",
            claim.port
        ));
    }
    // The tunnel may be gone, and the channel with it.
    let _ = sender.0.close().await;
}
