//! Takes the addresses of a batch of routes: by ourselves, or, where that takes a right that we do not have, through a
//! monday-ipalias that has it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::{handover, holder};

use crate::error::Error;
use crate::inherited::Inherited;
use crate::listener::{Bound, Listening};
use crate::place::Place;
use crate::plan::{Source, Step};
use crate::route::Wish;
use crate::socket_file;
use crate::workers::Workers;

/// Binds all addresses before any of them listens, so that a batch that fails has not accepted a single client. What is
/// returned is in the order of the steps.
///
/// # Errors
/// [`Error::Listen`] for the first address that cannot be had.
pub(crate) async fn all(
    wishes: &[Wish],
    steps: &[Step],
    inherited: &Inherited,
    workers: &Workers,
) -> Result<Vec<Listening>, Error> {
    let mut bound = Vec::new();
    for (wish, step) in wishes.iter().zip(steps) {
        let Step::Put(sources) = step else { continue };
        for source in sources {
            if let Source::Bind(address) = source {
                bound.push((wish, address, one(wish, address, inherited).await?));
            }
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
async fn one(wish: &Wish, address: &Place, inherited: &Inherited) -> Result<Bound, Error> {
    let refuse = |error: &io::Error| refused(wish, address, error);
    match address {
        Place::Ip(ip) => match (Bound::bind(*ip), &wish.spec.ports_from) {
            (Err(error), Some(helper)) if error.kind() == io::ErrorKind::PermissionDenied => {
                through(helper, wish, *ip).await
            }
            (bound, _) => bound.map_err(|error| refuse(&error)),
        },
        Place::Unix(path) => {
            let (socket, file) = socket_file::bind(path).map_err(|error| {
                let what = format!("route `{}`", wish.spec.id);
                Error::Listen(error.explain(&what, path))
            })?;
            Bound::at_path(socket, file).map_err(|error| refuse(&error))
        }
        Place::Inherited(name) => {
            let socket = inherited.get(name).ok_or_else(|| {
                Error::Listen(RpcError::new(
                    ErrorKind::NotFound,
                    format!(
                        "route `{}`: no listener `{name}` was handed over; {}",
                        wish.spec.id,
                        inherited.describe()
                    ),
                ))
            })?;
            socket
                .try_clone()
                .and_then(|socket| Bound::inherited(socket, name))
                .map_err(|error| refuse(&error))
        }
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
    Bound::handed_over(socket, address).map_err(|error| refused(wish, &Place::Ip(address), &error))
}

fn refused(wish: &Wish, address: &Place, error: &io::Error) -> Error {
    let what = format!("route `{}`", wish.spec.id);
    Error::Listen(match address {
        Place::Ip(address) => holder::bind_error(&what, *address, error),
        address => RpcError::new(
            ErrorKind::Os,
            format!("{what}: cannot listen on {address}: {error}"),
        ),
    })
}
