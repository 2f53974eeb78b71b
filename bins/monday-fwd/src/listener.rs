//! One listening socket. Whatever goes wrong with a connection or with its tunnel, the listener goes on.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use monday_shared::accept;
use monday_shared::address::is_local;
use monday_shared::backoff::Backoff;
use monday_shared::platform;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::connection::Connection;
use crate::local::Local;
use crate::place::Place;
use crate::scope::Scope;

/// What carries the connections of a listener to where they lead.
pub(crate) trait Tunnel: Send + Sync + 'static {
    /// Carries one client from here to its end. Where the tunnel is away it waits for it
    /// ([`Scope::until_up`](crate::scope::Scope::until_up)); it never returns with the client still waiting for
    /// something.
    fn carry(&self, client: Local, connection: Connection) -> impl Future<Output = ()> + Send;
}

/// A socket that listens, and is nobody's yet. Clones are the same socket.
#[derive(Clone, Debug)]
pub(crate) struct Bound(Arc<Listening>);

#[derive(Debug)]
enum Listening {
    Tcp(std::net::TcpListener, SocketAddr),
    Unix(std::os::unix::net::UnixListener, SocketFile),
}

/// The file of a Unix socket, which goes when the socket does.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may have been removed by hand.
        let _ = fs::remove_file(&self.0);
    }
}

impl Bound {
    /// Listens; port 0 takes a free one.
    ///
    /// # Errors
    /// What bind(2) and listen(2) say.
    pub(crate) fn bind(place: &Place) -> io::Result<Self> {
        let listening = match place {
            Place::Tcp(address) => bind_tcp(*address)?,
            Place::Unix(path) => bind_unix(path)?,
        };
        Ok(Self(Arc::new(listening)))
    }

    /// Where it listens, with the real port.
    pub(crate) fn place(&self) -> Place {
        match &*self.0 {
            Listening::Tcp(_, address) => Place::Tcp(*address),
            Listening::Unix(_, file) => Place::Unix(file.0.clone()),
        }
    }

    /// The same socket for the runtime in which this is called.
    fn acceptor(&self) -> io::Result<Acceptor> {
        Ok(match &*self.0 {
            Listening::Tcp(listener, _) => {
                Acceptor::Tcp(TcpListener::from_std(listener.try_clone()?)?)
            }
            Listening::Unix(listener, _) => {
                Acceptor::Unix(UnixListener::from_std(listener.try_clone()?)?)
            }
        })
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Listening> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // Connections in TIME-WAIT must not keep a restarted forward from its port. Never SO_REUSEPORT: two processes would
    // share a port without knowing of each other.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Accepted sockets inherit both. A tunnel must not hold back what the target has chosen to send.
    socket.set_tcp_nodelay(true)?;
    if is_local(address.ip()) {
        platform::stop_pacing(&socket);
    }
    socket.bind(&address.into())?;
    socket.listen(accept::BACKLOG)?;
    let listener = std::net::TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok(Listening::Tcp(listener, address))
}

fn bind_unix(path: &Path) -> io::Result<Listening> {
    remove_dead_socket(path)?;
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    let file = SocketFile(path.to_owned());
    listener.set_nonblocking(true)?;
    // Whoever may connect gets where the tunnel leads, with this user's keys.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(Listening::Unix(listener, file))
}

/// Removes what a process that died has left: a socket that nobody listens on.
fn remove_dead_socket(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    async fn accept(&self) -> io::Result<Local> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(client, _)| client.into()),
            Self::Unix(listener) => listener.accept().await.map(|(client, _)| client.into()),
        }
    }
}

/// Accepts for ever, and has every client carried by the tunnel.
pub(crate) async fn accept_all<T: Tunnel>(bound: Bound, tunnel: Arc<T>, scope: Scope) {
    let acceptor = match bound.acceptor() {
        Ok(acceptor) => acceptor,
        Err(error) => {
            scope.failed(format!("cannot accept connections: {error}"));
            return;
        }
    };
    let mut backoff = Backoff::new(accept::AGAIN);
    loop {
        match acceptor.accept().await {
            Ok(client) => {
                backoff.reset();
                let connection = scope.connection(client.peer());
                let tunnel = Arc::clone(&tunnel);
                scope.spawn(async move { tunnel.carry(client, connection).await });
            }
            Err(error) if accept::concerns_one_client(&error) => {}
            Err(error) => {
                scope.cannot_accept(&error);
                tokio::time::sleep(backoff.failed_after(Duration::ZERO)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_file_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let place = Place::Unix(path.clone());
        let bound = Bound::bind(&place).unwrap();
        assert_eq!(bound.place(), place);
        assert_eq!(
            Bound::bind(&place).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn port_0_becomes_a_real_one() {
        let bound = Bound::bind(&"0".parse().unwrap()).unwrap();
        let Place::Tcp(address) = bound.place() else {
            panic!("not TCP");
        };
        assert_ne!(address.port(), 0);
    }
}
