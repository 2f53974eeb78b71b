//! What `monday-fwd` opens for a forward.

use monday_shared::duration::Span as Time;
use monday_shared::protocol::fwd::{ForwardSpec, SshRemoteSpec, SshSpec};

use super::{Forward, route};
use crate::config::project::{ForwardKind, Options, Pair, Ssh};

/// How long a connection is held while its tunnel is away, where nobody says anything else.
pub(super) const CONNECT_WAIT: Time = Time::from_secs(10);

/// Where a tunnel listens on this machine: only the proxy before it connects there, and it is told the port.
const BEHIND_THE_PROXY: &str = "127.0.0.1:0";

/// Where the remote machine listens: what ssh(1) asks for where no address is written, so on its loopback addresses.
const THERE: &str = "localhost";

/// One port of a forward that leads through a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The forward that it belongs to.
    pub forward: String,
    /// As `monday-fwd` is asked for it; its id is that of the route that leads into it, if there is one.
    pub spec: ForwardSpec,
}

impl Tunnel {
    /// What it is known by.
    #[must_use]
    pub fn id(&self) -> &str {
        self.spec.id()
    }
}

/// The tunnels of a forward, in the order of its ports; none for one that needs none.
pub(super) fn of(forward: &Forward) -> Vec<Tunnel> {
    let spec = |pair: &Pair| match &forward.kind {
        ForwardKind::Ssh(ssh) => Some(ForwardSpec::Ssh(here(forward, ssh, pair))),
        ForwardKind::SshRemote(ssh) => Some(ForwardSpec::SshRemote(there(forward, ssh, pair))),
        ForwardKind::Proxy { .. }
        | ForwardKind::Kubernetes(_)
        | ForwardKind::KubernetesRemote { .. } => None,
    };
    forward
        .ports
        .iter()
        .filter_map(|pair| {
            Some(Tunnel {
                forward: forward.name.clone(),
                spec: spec(pair)?,
            })
        })
        .collect()
}

fn here(forward: &Forward, ssh: &Ssh, pair: &Pair) -> SshSpec {
    SshSpec {
        id: route::id(&forward.name, pair.listen),
        listen: BEHIND_THE_PROXY.to_owned(),
        remote: ssh.remote.clone(),
        args: ssh.args.clone(),
        target: route::host_and_port(&ssh.forward_hostname, &pair.target),
        connect_wait: wait(&forward.options),
    }
}

fn there(forward: &Forward, ssh: &Ssh, pair: &Pair) -> SshRemoteSpec {
    SshRemoteSpec {
        id: route::id(&forward.name, pair.listen),
        listen: format!("{THERE}:{}", pair.listen),
        remote: ssh.remote.clone(),
        args: ssh.args.clone(),
        target: route::host_and_port(&ssh.forward_hostname, &pair.target),
    }
}

/// How long a connection is held while the tunnel is away.
pub(super) fn wait(options: &Options) -> Time {
    options.connect_wait.unwrap_or(CONNECT_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::project::RemotePort;

    fn forward(kind: ForwardKind) -> Forward {
        Forward {
            name: "db".to_owned(),
            hostname: None,
            ports: vec![Pair {
                listen: 15432,
                target: RemotePort::Number(5432),
            }],
            kind,
            options: Options::default(),
            monitoring: None,
        }
    }

    fn ssh() -> Ssh {
        Ssh {
            remote: "me@bastion".to_owned(),
            args: vec!["-p".to_owned(), "2222".to_owned()],
            forward_hostname: "db.internal".to_owned(),
        }
    }

    #[test]
    fn l_is_here_and_r_is_there_with_ssh_and_the_other_way_round_with_ssh_remote() {
        let ForwardSpec::Ssh(spec) = of(&forward(ForwardKind::Ssh(ssh()))).remove(0).spec else {
            panic!("not ssh");
        };
        assert_eq!(
            (spec.id.as_str(), spec.listen.as_str()),
            ("db:15432", "127.0.0.1:0")
        );
        assert_eq!(spec.target, "db.internal:5432");
        assert_eq!(spec.args, ["-p", "2222"]);
        let ForwardSpec::SshRemote(spec) =
            of(&forward(ForwardKind::SshRemote(ssh()))).remove(0).spec
        else {
            panic!("not ssh-remote");
        };
        assert_eq!(spec.listen, "localhost:15432");
        assert_eq!(spec.target, "db.internal:5432");
    }

    #[test]
    fn a_proxy_needs_no_tunnel() {
        let kind = ForwardKind::Proxy {
            target: "db".to_owned(),
        };
        assert_eq!(of(&forward(kind)), []);
    }
}
