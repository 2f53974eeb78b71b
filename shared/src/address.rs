//! Addresses as people write them: where to listen, and where to relay to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::protocol::listen_address::UNIX_PREFIX;
use crate::socket::MAX_PATH_BYTES;

/// Takes the name off `[NAME@]REST`, as every command line of ours writes what it opens.
///
/// # Errors
/// There is an `@` and nothing before it.
pub fn split_name(text: &str) -> Result<(Option<&str>, &str), String> {
    match text.split_once('@') {
        Some(("", _)) => Err("the name before @ is empty".to_owned()),
        Some((name, rest)) => Ok((Some(name), rest)),
        None => Ok((None, text)),
    }
}

/// A text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is nothing.
    #[error("there is no address: write IP:PORT, such as 127.0.0.1:8080")]
    Empty,
    /// The port is missing, or it is no number from 0 to 65535.
    #[error("`{0}` has no valid port: write HOST:PORT, PORT being a number up to 65535")]
    Port(String),
    /// A listener has a name where it needs an IP address.
    #[error(
        "`{0}` is no IP address to listen on: write IP:PORT, such as 127.0.0.1:8080 (0.0.0.0:8080 for all networks), or PORT alone"
    )]
    ListenHost(String),
    /// A target cannot have port 0.
    #[error("`{0}` has port 0: a target needs the port that it listens on")]
    TargetPortZero(String),
    /// Not a host name or an IP address.
    #[error(
        "`{0}` has no valid host: write a name or an IP address, an IPv6 address as [::1]:PORT"
    )]
    Host(String),
    /// A URL.
    #[error("`{0}` is a URL: write HOST:PORT")]
    Url(String),
    /// There is no path.
    #[error("`{0}` has no path: write unix:/run/name.sock")]
    EmptyPath(String),
    /// The path does not fit into a socket address.
    #[error(
        "cannot use {path} as a socket: the path has {bytes} bytes and the operating system allows {MAX_PATH_BYTES}; choose a shorter one"
    )]
    PathTooLong {
        /// The path.
        path: String,
        /// Its length.
        bytes: usize,
    },
    /// An inherited listener has no name.
    #[error(
        "`{0}` names no listener: write fd:NAME, or fd:3 for the first one that was handed over"
    )]
    Inherited(String),
}

/// Where to listen: `IP:PORT`, `[IPv6]:PORT`, `localhost:PORT`, or `PORT`, which is on 127.0.0.1. Port 0 takes a free
/// one. Nothing but a written address leads off this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let (host, port) = split(text)?;
        match host {
            None | Some("localhost") => Ok(Self(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))),
            Some(_) => Err(AddressError::ListenHost(text.to_owned())),
        }
    }
}

/// Where to relay to: `HOST:PORT`, HOST being a name or an IP address, or `PORT`, which is on 127.0.0.1; `unix:PATH`, or a
/// path with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An IP address.
    Address(SocketAddr),
    /// A name, which is resolved at each connection.
    Name {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix-domain socket.
    Unix(PathBuf),
}

impl FromStr for Target {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = socket_path(text)? {
            return Ok(Self::Unix(path));
        }
        let target = match text.parse() {
            Ok(address) => Self::Address(address),
            Err(_) => match split(text)? {
                (None, port) => Self::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
                (Some(host), port) => Self::Name {
                    host: host_name(host, text)?,
                    port,
                },
            },
        };
        match target {
            Self::Address(address) if address.port() == 0 => {
                Err(AddressError::TargetPortZero(text.to_owned()))
            }
            Self::Name { port: 0, .. } => Err(AddressError::TargetPortZero(text.to_owned())),
            target => Ok(target),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{UNIX_PREFIX}{}", path.display()),
        }
    }
}

/// The path, if the text names a Unix-domain socket: `unix:PATH`, or a path with a slash.
///
/// # Errors
/// [`AddressError::EmptyPath`], [`AddressError::PathTooLong`].
pub fn socket_path(text: &str) -> Result<Option<PathBuf>, AddressError> {
    let path = match text.strip_prefix(UNIX_PREFIX) {
        Some(path) => path,
        None if text.contains('/') && !text.contains("://") => text,
        None => return Ok(None),
    };
    if path.is_empty() {
        return Err(AddressError::EmptyPath(text.to_owned()));
    }
    if path.len() > MAX_PATH_BYTES || path.contains('\0') {
        return Err(AddressError::PathTooLong {
            path: path.to_owned(),
            bytes: path.len(),
        });
    }
    Ok(Some(path.into()))
}

/// Host and port of a text that is no plain socket address.
fn split(text: &str) -> Result<(Option<&str>, u16), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if text.contains("://") {
        return Err(AddressError::Url(text.to_owned()));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (Some(host), port),
        None => (None, text),
    };
    // `u16::from_str` takes a plus sign, which nobody means.
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits => Ok((host, port)),
        _ => Err(AddressError::Port(text.to_owned())),
    }
}

fn host_name(host: &str, text: &str) -> Result<String, AddressError> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() || !host.chars().all(allowed) {
        return Err(AddressError::Host(text.to_owned()));
    }
    Ok(host.to_owned())
}

/// Whether an address leads only to this machine.
#[must_use]
pub fn is_local(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_on_loopback_unless_another_address_is_written() {
        for (text, address) in [
            ("8080", "127.0.0.1:8080"),
            ("0", "127.0.0.1:0"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("127.77.1.2:80", "127.77.1.2:80"),
            ("[::1]:80", "[::1]:80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(listen.0, address.parse().unwrap(), "{text}");
        }
    }

    #[test]
    fn a_target_may_be_a_name() {
        for (text, shown) in [
            ("5432", "127.0.0.1:5432"),
            ("db.internal:5432", "db.internal:5432"),
            ("my_db:5432", "my_db:5432"),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), shown);
        }
    }

    #[test]
    fn a_path_is_a_socket() {
        for (text, path) in [
            ("unix:/run/db.sock", "/run/db.sock"),
            ("unix:db.sock", "db.sock"),
            ("/run/a:80", "/run/a:80"),
            ("./a", "./a"),
        ] {
            assert_eq!(text.parse(), Ok(Target::Unix(path.into())));
        }
        let long = format!("unix:/{}", "x".repeat(200));
        for (text, named) in [("unix:", "no path"), (&long, "201 bytes")] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_mistake_is_named() {
        let listen = |text: &str| text.parse::<Listen>().unwrap_err();
        assert_eq!(listen(""), AddressError::Empty);
        assert_eq!(listen("x"), AddressError::Port("x".into()));
        assert_eq!(
            listen("127.0.0.1:"),
            AddressError::Port("127.0.0.1:".into())
        );
        assert_eq!(listen("+80"), AddressError::Port("+80".into()));
        assert_eq!(listen("1:65536"), AddressError::Port("1:65536".into()));
        assert_eq!(listen("db:80"), AddressError::ListenHost("db:80".into()));
        assert_eq!(listen(":80"), AddressError::ListenHost(":80".into()));
        assert_eq!(listen("*:80"), AddressError::ListenHost("*:80".into()));
        let target = |text: &str| text.parse::<Target>().unwrap_err();
        assert_eq!(target("db"), AddressError::Port("db".into()));
        assert_eq!(target(":80"), AddressError::Host(":80".into()));
        assert_eq!(target("::1:80"), AddressError::Host("::1:80".into()));
        assert_eq!(target("a b:80"), AddressError::Host("a b:80".into()));
        assert_eq!(target("db:0"), AddressError::TargetPortZero("db:0".into()));
        assert_eq!(
            target("http://db:80"),
            AddressError::Url("http://db:80".into())
        );
    }
}
