//! Who holds a port that we wanted: the sentence that every message about a taken port ends with.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::platform;
use crate::protocol::error::{ErrorKind, RpcError};

/// A listener that is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Where it listens; on the wildcard address it blocks the port on every address.
    pub address: SocketAddr,
    /// The process, where we may see it.
    pub pid: Option<u32>,
    /// Its name, where we may see it.
    pub process: Option<String>,
}

impl Holder {
    /// Who keeps `ip:port` from being bound, if that can be found out.
    #[must_use]
    pub fn of(ip: IpAddr, port: u16) -> Option<Self> {
        platform::holder_of_port(ip, port)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.process, self.pid) {
            (Some(process), Some(pid)) => write!(f, "{process} (pid {pid})")?,
            (None, Some(pid)) => write!(f, "pid {pid}")?,
            _ => write!(f, "a process of another user")?,
        }
        write!(f, " listens on {}", self.address)?;
        if self.address.ip().is_unspecified() {
            write!(f, ", which takes the port on every address")?;
        }
        Ok(())
    }
}

/// Why an address could not be bound, as an error for people and for programs.
#[must_use]
pub fn bind_error(what: &str, address: SocketAddr, error: &io::Error) -> RpcError {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = Holder::of(address.ip(), address.port());
            let who = holder.as_ref().map_or_else(
                || "somebody else listens there".to_owned(),
                ToString::to_string,
            );
            let refused = RpcError::new(
                ErrorKind::PortInUse,
                format!(
                    "{what}: cannot listen on {address}: {who}; stop that one or choose another port"
                ),
            )
            .with("port", address.port());
            match holder {
                Some(Holder { pid, process, .. }) => {
                    refused.with("pid", pid).with("process", process)
                }
                None => refused,
            }
        }
        io::ErrorKind::PermissionDenied => RpcError::new(
            ErrorKind::Denied,
            format!(
                "{what}: cannot listen on {address}: ports below 1024 need a right that we do not have; use a higher port, \
                 let monday-ipalias bind it as root, on the address of a host name (`monday-supervisor --escalate sudo`), or allow it: `sudo setcap cap_net_bind_service=+ep $(command -v monday-tcpproxy)` for this executable, \
                 `sudo sysctl net.ipv4.ip_unprivileged_port_start=80` for everybody"
            ),
        ),
        io::ErrorKind::AddrNotAvailable => RpcError::new(
            ErrorKind::AddressUnavailable,
            format!(
                "{what}: cannot listen on {address}: this machine has no such address; use a loopback address such as 127.0.0.1"
            ),
        ),
        _ => RpcError::new(
            ErrorKind::Os,
            format!("{what}: cannot listen on {address}: {error}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_about_a_taken_port_names_its_holder() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let error = std::net::TcpListener::bind(address).unwrap_err();
        let refused = bind_error("route `db`", address, &error);
        assert_eq!(refused.data.kind, ErrorKind::PortInUse);
        if cfg!(target_os = "linux") {
            let pid = std::process::id();
            assert!(
                refused.message.contains(&format!("(pid {pid})")),
                "{refused}"
            );
            assert_eq!(refused.data.details["pid"], pid);
        }
    }
}
