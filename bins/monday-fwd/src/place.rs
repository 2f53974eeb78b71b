//! Where to listen on this machine: an IP address and a port, or the path of a Unix socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use monday_shared::address::{AddressError, Listen};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On an address of TCP.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix(PathBuf),
}

impl FromStr for Place {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        text.parse().map(|Listen(address)| Self::Tcp(address))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_path_is_a_unix_socket_and_anything_else_an_address() {
        assert_eq!(
            "/run/db.sock".parse(),
            Ok(Place::Unix("/run/db.sock".into()))
        );
        assert_eq!(
            "0".parse(),
            Ok(Place::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))))
        );
        assert!("db.sock".parse::<Place>().is_err());
    }
}
