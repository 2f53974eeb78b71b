//! Where a route can listen: a port of an IP address, a Unix-domain socket, or a listener that was handed over.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use monday_shared::address::{AddressError, Listen, socket_path};
use monday_shared::protocol::listen_address::UNIX_PREFIX;

/// What an address begins with that is a listener that was handed over.
const INHERITED_PREFIX: &str = "fd:";

/// Where to listen: what [`Listen`] takes; `unix:PATH`, or a path with a slash; `fd:NAME` for a listener that we were
/// started with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A port of an IP address.
    Ip(SocketAddr),
    /// A Unix-domain socket.
    Unix(PathBuf),
    /// An inherited listener, by its name or descriptor (`sd_listen_fds(3)`).
    Inherited(String),
}

impl Place {
    /// Whether it says which place that is, rather than "any free one".
    pub(crate) fn is_particular(&self) -> bool {
        !matches!(self, Self::Ip(address) if address.port() == 0)
    }
}

impl FromStr for Place {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(name) = text.strip_prefix(INHERITED_PREFIX) {
            return match name {
                "" => Err(AddressError::Inherited(text.to_owned())),
                name => Ok(Self::Inherited(name.to_owned())),
            };
        }
        match socket_path(text)? {
            Some(path) => Ok(Self::Unix(path)),
            None => text.parse().map(|Listen(address)| Self::Ip(address)),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX_PREFIX}{}", path.display()),
            Self::Inherited(name) => write!(f, "{INHERITED_PREFIX}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_a_path_or_something_handed_over() {
        let ip = |text: &str| Place::Ip(text.parse().unwrap());
        for (text, place) in [
            ("0", ip("127.0.0.1:0")),
            ("[::1]:80", ip("[::1]:80")),
            ("unix:a.sock", Place::Unix("a.sock".into())),
            ("/run/a", Place::Unix("/run/a".into())),
            ("fd:web", Place::Inherited("web".into())),
        ] {
            assert_eq!(text.parse(), Ok(place));
        }
        for wrong in ["fd:", "unix:", "db:80", ""] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
