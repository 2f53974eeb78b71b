//! Whether a port can be bound on an address, found out by binding it.
//!
//! A dial would find only who listens, and may hang; a bind fails for the same reasons for which the real one would
//! fail later. Nothing listens on the probe, so nobody can connect to it by mistake.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use monday_shared::holder::Holder;
use monday_shared::identity::Identity;
use socket2::{Domain, Socket, Type};

/// A port that cannot be bound on an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The address.
    pub ip: Ipv4Addr,
    /// The port.
    pub port: u16,
    /// Who has it, where that can be found out.
    pub holder: Option<Holder>,
}

impl Busy {
    /// Whether the port is taken on every address, so that another one would not help.
    #[must_use]
    pub fn everywhere(&self) -> bool {
        self.holder
            .as_ref()
            .is_some_and(|holder| holder.address.ip().is_unspecified())
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {} cannot be bound on {}: ", self.port, self.ip)?;
        match &self.holder {
            Some(holder) => holder.fmt(f),
            None => f.write_str("another program has it"),
        }
    }
}

/// Tries to bind the port; `None` if that is possible, or if it cannot be told. The processes of `user` can be seen, if
/// one is served, otherwise those that we can see.
#[must_use]
pub fn probe(ip: Ipv4Addr, port: u16, user: Option<Identity>) -> Option<Busy> {
    let busy = |holder| Busy { ip, port, holder };
    let holder = || Identity::act_for(user, || Holder::of(IpAddr::V4(ip), port)).ok()?;
    match try_bind(ip, port) {
        Ok(()) => None,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Some(busy(holder())),
        // Without the right to bind low ports, whoever has it already can still be seen.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            holder().map(|holder| busy(Some(holder)))
        }
        Err(error) => {
            tracing::debug!(%error, %ip, port, "cannot tell whether the port is free");
            None
        }
    }
}

fn try_bind(ip: Ipv4Addr, port: u16) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // As real listeners do: connections that ended a moment ago are not in the way.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddrV4::new(ip, port).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_free_port_is_free_and_stays_free_after_the_probe() {
        let ip = Ipv4Addr::new(127, 77, 0, 9);
        let port = TcpListener::bind((ip, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        assert_eq!(probe(ip, port, None), None);
        TcpListener::bind((ip, port)).unwrap();
    }

    #[test]
    fn a_listener_makes_its_address_busy_and_no_other() {
        let ip = Ipv4Addr::new(127, 77, 0, 10);
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let busy = probe(ip, port, None).unwrap();
        assert!(!busy.everywhere());
        let pid = format!("pid {}", std::process::id());
        assert!(busy.to_string().contains(&pid), "{busy}");
        assert_eq!(probe(Ipv4Addr::new(127, 77, 0, 11), port, None), None);
    }

    #[test]
    fn a_wildcard_listener_makes_every_address_busy() {
        let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let busy = probe(Ipv4Addr::new(127, 77, 0, 12), port, None).unwrap();
        assert!(busy.everywhere());
        assert!(busy.to_string().contains("every address"), "{busy}");
    }
}
