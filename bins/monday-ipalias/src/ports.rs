//! Ports that only we may bind, handed over to the user's own processes.
//!
//! The socket for that is beside the control socket ([`monday_shared::handover`]); who may connect is who may use the
//! control socket. Nothing is bound but addresses that were assigned here, and nothing of it is kept.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use monday_shared::handover;
use monday_shared::holder::bind_error;
use monday_shared::identity::Identity;
use monday_shared::protocol::error::RpcError;
use monday_shared::socket::ControlSocket;
use socket2::{Domain, Socket, Type};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::names::NamesHandle;
use crate::range::only_ours;

/// How many clients are served at once; more wait to be let in.
const CLIENTS_AT_ONCE: usize = 16;

/// How long to wait before accepting again after a failure, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that is bound there and does not listen yet. It belongs to the user who is served, as far as the system tells
/// whose a socket is; so does what can be seen of who is in the way.
///
/// # Errors
/// [`Error::Bind`] with the holder of the port; [`Error::NeverGiven`] for any other address than those we give out, the
/// wildcard address above all, whoever asks.
pub fn bind(address: SocketAddr, user: Option<Identity>) -> Result<OwnedFd, Error> {
    only_ours(address.ip())?;
    let refused = |error: &io::Error| bind_error("monday-ipalias", address, error);
    let bound = Identity::act_for(user, || try_bind(address).map_err(|error| refused(&error)));
    bound
        .unwrap_or_else(|error| Err(refused(&error)))
        .map_err(|error| Error::Bind(Box::new(error)))
}

fn try_bind(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections that ended a moment ago are not in the way.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The socket beside a control socket, open but not served yet.
#[derive(Debug)]
pub struct Counter(ControlSocket);

/// The socket, served.
#[derive(Debug)]
pub struct Served {
    end: CancellationToken,
    serving: JoinHandle<()>,
}

impl Counter {
    /// Opens the socket beside that control socket, which is ours, for the user who is served.
    ///
    /// # Errors
    /// What binding it says, a path that is too long for instance.
    pub fn open(
        control: &Path,
        user: Option<Identity>,
    ) -> Result<Self, monday_shared::socket::SocketError> {
        ControlSocket::bind_for(&handover::socket_beside(control), user).map(Self)
    }

    /// Begins to serve it.
    #[must_use]
    pub fn serve(self, names: NamesHandle) -> Served {
        let end = CancellationToken::new();
        let serving = tokio::spawn({
            let end = end.clone();
            async move {
                end.run_until_cancelled(serve(&self.0, names)).await;
            }
        });
        Served { end, serving }
    }
}

impl Served {
    /// Ends; the socket is gone afterwards.
    pub async fn end(self) {
        self.end.cancel();
        if let Err(error) = self.serving.await {
            tracing::warn!(%error, "handing over ports ended badly");
        }
    }
}

async fn serve(socket: &ControlSocket, names: NamesHandle) {
    let places = Arc::new(Semaphore::new(CLIENTS_AT_ONCE));
    loop {
        // Nobody closes it.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let client = match socket.accept().await {
            Ok(client) => client,
            Err(error) => {
                tracing::warn!(%error, "the socket for ports cannot accept a connection, trying on");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = socket.check_peer(&client) {
            tracing::warn!(%error, "a connection to the socket for ports was refused");
            continue;
        }
        let names = names.clone();
        tokio::spawn(async move {
            let bind = async |wanted| names.bind(wanted).await.map_err(RpcError::from);
            if let Err(error) = handover::serve(&client, bind).await {
                tracing::debug!(%error, "a client of the socket for ports went away");
            }
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_are_given_out_are_bound() {
        for address in [
            "0.0.0.0:0",
            "127.0.0.1:0",
            "[::]:0",
            "[::1]:0",
            "192.0.2.1:0",
        ] {
            let refused = bind(address.parse().unwrap(), None);
            assert!(
                matches!(refused, Err(Error::NeverGiven { .. })),
                "{address}"
            );
        }
        bind("127.77.0.1:0".parse().unwrap(), None).unwrap();
    }
}
