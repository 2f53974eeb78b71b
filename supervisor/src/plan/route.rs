//! What listens for a forward, and where that leads.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use monday_shared::duration::Span as Time;
use monday_shared::protocol::fault::FaultSpec;

use super::{Forward, tunnel};
use crate::config::project::{ForwardKind, RemotePort};

/// A listener and where it leads: a route of `monday-tcpproxy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `forward-name:L`, unique within the project.
    pub id: String,
    /// The forward that it belongs to.
    pub forward: String,
    /// Where it listens.
    pub listen: Listen,
    /// Where it leads.
    pub target: Target,
    /// How long a connection is held while its target is away; nothing: not at all.
    pub connect_wait: Option<Time>,
    /// How long a half-closed connection may be silent where nobody knows whether its peer is there.
    pub half_close_linger: Option<Time>,
    /// What goes wrong on purpose.
    pub faults: Vec<FaultSpec>,
}

/// Below this one a port takes a right on most machines (ip(7), `ip_unprivileged_port_start`).
const FIRST_FREE_PORT: u16 = 1024;

/// Where a route listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// On the address of this host name; nothing: on 127.0.0.1.
    pub hostname: Option<String>,
    /// On this port.
    pub port: u16,
}

impl Listen {
    /// Whether it is a port that takes a right, on an address that monday-ipalias gave: then monday-ipalias can bind it.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.hostname.is_some() && self.port < FIRST_FREE_PORT
    }

    /// The address to bind, given the address of a host name.
    #[must_use]
    pub fn address(&self, address_of: impl FnOnce(&str) -> Option<IpAddr>) -> Option<SocketAddr> {
        let ip = match &self.hostname {
            Some(name) => address_of(name)?,
            None => Ipv4Addr::LOCALHOST.into(),
        };
        Some((ip, self.port).into())
    }
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `host:port`, resolved at each connection.
    Address(String),
    /// Into the tunnel of the route's own id; `shown` is where that leads.
    Tunnel {
        /// For people.
        shown: String,
    },
}

/// The routes of a forward; none for one that does not listen here or is not supported.
pub(super) fn of(forward: &Forward) -> Vec<Route> {
    if !forward.kind.listens_here() {
        return Vec::new();
    }
    forward
        .ports
        .iter()
        .map(|pair| Route {
            id: id(&forward.name, pair.listen),
            forward: forward.name.clone(),
            listen: Listen {
                hostname: forward.hostname.clone(),
                port: pair.listen,
            },
            target: match &forward.kind {
                ForwardKind::Proxy { target } => {
                    Target::Address(host_and_port(target, &pair.target))
                }
                ForwardKind::Ssh(ssh) | ForwardKind::SshRemote(ssh) => Target::Tunnel {
                    shown: format!(
                        "{} via {}",
                        host_and_port(&ssh.forward_hostname, &pair.target),
                        ssh.remote
                    ),
                },
                ForwardKind::Kubernetes(cluster) => Target::Tunnel {
                    shown: tunnel::to_pods(forward, cluster, pair).describe(),
                },
                ForwardKind::KubernetesRemote { .. } => Target::Tunnel {
                    shown: format!("port {} of a pod", pair.target),
                },
            },
            connect_wait: match &forward.kind {
                ForwardKind::Proxy { .. } => forward.options.connect_wait,
                // Held here only while monday-fwd itself is away; it holds connections while its tunnel is.
                _ => Some(tunnel::wait(&forward.options)),
            },
            half_close_linger: forward.options.half_close_linger,
            faults: forward.options.faults.clone(),
        })
        .collect()
}

/// The id of the route of a forward's port L.
#[must_use]
pub fn id(forward: &str, listen: u16) -> String {
    format!("{forward}:{listen}")
}

/// `host:port`, an IPv6 address in brackets.
pub(super) fn host_and_port(host: &str, port: &RemotePort) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
