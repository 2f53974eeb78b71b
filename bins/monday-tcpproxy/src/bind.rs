//! Takes the addresses of a batch of routes: by ourselves, or, where that takes a right that we do not have, through a
//! monday-ipalias that has it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use monday_shared::protocol::error::RpcError;
use monday_shared::{handover, holder};

use crate::error::Error;
use crate::listener::{Bound, Listening};
use crate::plan::Step;
use crate::route::Wish;
use crate::workers::Workers;

/// Binds all addresses before any of them listens, so that a batch that fails has not accepted a single client.
///
/// # Errors
/// [`Error::Listen`] for the first address that cannot be had.
pub(crate) async fn all(
    wishes: &[Wish],
    steps: &[Step],
    workers: &Workers,
) -> Result<Vec<Listening>, Error> {
    let mut bound = Vec::new();
    for (wish, step) in wishes.iter().zip(steps) {
        if let Step::Bind(address) = *step {
            bound.push((wish, address, one(wish, address).await?));
        }
    }
    bound
        .into_iter()
        .map(|(wish, address, socket)| {
            let listening = socket.listen(workers);
            listening.map_err(|error| refused(wish, address, &error))
        })
        .collect()
}

/// Binds one address.
async fn one(wish: &Wish, address: SocketAddr) -> Result<Bound, Error> {
    match (Bound::bind(address), &wish.spec.ports_from) {
        (Err(error), Some(helper)) if error.kind() == io::ErrorKind::PermissionDenied => {
            through(helper, wish, address).await
        }
        (bound, _) => bound.map_err(|error| refused(wish, address, &error)),
    }
}

/// Has it bound by the monday-ipalias with that control socket.
async fn through(helper: &Path, wish: &Wish, address: SocketAddr) -> Result<Bound, Error> {
    let socket = handover::socket_beside(helper);
    let bound = handover::request(&socket, address.ip(), address.port()).await;
    let socket = bound.map_err(|error| {
        let refused = RpcError::from(error);
        Error::Listen(RpcError {
            message: format!(
                "route `{}`: we may not listen on {address} ourselves, and got it from nobody: {}",
                wish.spec.id, refused.message
            ),
            ..refused
        })
    })?;
    Bound::handed_over(socket, address).map_err(|error| refused(wish, address, &error))
}

fn refused(wish: &Wish, address: SocketAddr, error: &io::Error) -> Error {
    let what = format!("route `{}`", wish.spec.id);
    Error::Listen(holder::bind_error(&what, address, error))
}
