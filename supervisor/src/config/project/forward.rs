//! A forward, checked.

use std::collections::BTreeMap;
use std::fmt;

use monday_shared::duration::Span as Time;
use monday_shared::protocol::fault::FaultSpec;

pub use super::super::model::forward::Transport;

/// Something that is elsewhere and is reached as if it were here, or the other way round.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// Its name, unique within the project.
    pub name: String,
    /// The host name that gets an address of its own, in lower case; nothing: 127.0.0.1 (`disable_proxy`), or the type
    /// listens elsewhere (`ssh-remote`, `kubernetes-remote`).
    pub hostname: Option<String>,
    /// Its ports, at least one.
    pub ports: Vec<Pair>,
    /// Where it leads.
    pub kind: ForwardKind,
    /// How it behaves.
    pub options: Options,
    /// Template data: where its metrics are.
    pub monitoring: Option<super::Monitoring>,
}

/// `L:R` of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// L: the port that is listened on: here, and for the two remote types there.
    pub listen: u16,
    /// R: the port that it leads to: there, and for the two remote types here.
    pub target: RemotePort,
}

/// The port that a forward leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemotePort {
    /// A number.
    Number(u16),
    /// The name of a container's or service's port; type `kubernetes` only.
    Name(String),
}

impl fmt::Display for RemotePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// Where a forward leads.
#[derive(Clone, Debug, PartialEq)]
pub enum ForwardKind {
    /// To a host that this machine can reach.
    Proxy {
        /// The host.
        target: String,
    },
    /// To a pod.
    Kubernetes(Cluster),
    /// From a pod to this machine.
    KubernetesRemote {
        /// Which workload is replaced.
        cluster: Cluster,
        /// Which container of it; nothing: the one with the port.
        container: Option<String>,
        /// The agent's image; nothing: the usual one.
        image: Option<String>,
        /// Replace the service's selector instead of the container.
        by_service: bool,
        /// Leave out its init containers.
        skip_init: bool,
    },
    /// To what a remote machine reaches.
    Ssh(Ssh),
    /// From a remote machine to this one.
    SshRemote(Ssh),
}

impl ForwardKind {
    /// The type as it is written in the files.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Proxy { .. } => "proxy",
            Self::Kubernetes(_) => "kubernetes",
            Self::KubernetesRemote { .. } => "kubernetes-remote",
            Self::Ssh(_) => "ssh",
            Self::SshRemote(_) => "ssh-remote",
        }
    }

    /// Whether it listens on this machine.
    #[must_use]
    pub const fn listens_here(&self) -> bool {
        matches!(
            self,
            Self::Proxy { .. } | Self::Kubernetes(_) | Self::Ssh(_)
        )
    }
}

/// A workload in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The kubeconfig's context; nothing: its current one.
    pub context: Option<String>,
    /// The namespace; nothing: the context's own, else `default`.
    pub namespace: Option<String>,
    /// What in it.
    pub workload: Workload,
}

/// What in a namespace is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Pods with these labels.
    Labels(BTreeMap<String, String>),
    /// One pod.
    Pod(String),
    /// A service; R is then the service's port.
    Service(String),
    /// A deployment.
    Deployment(String),
    /// A stateful set.
    StatefulSet(String),
}

/// The far end of an SSH connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    /// `user@host`, or an alias of `ssh_config`.
    pub remote: String,
    /// Extra arguments of ssh.
    pub args: Vec<String>,
    /// The host that R is a port of: at the far end (`ssh`) or here (`ssh-remote`).
    pub forward_hostname: String,
}

/// How a forward behaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// How long a connection is held while its target is away; nothing: what suits the type.
    pub connect_wait: Option<Time>,
    /// How long a half-closed connection may be silent; nothing: what suits the type.
    pub half_close_linger: Option<Time>,
    /// Which way to talk to the cluster; nothing: whatever works.
    pub transport: Option<Transport>,
    /// What goes wrong on purpose.
    pub faults: Vec<FaultSpec>,
}
