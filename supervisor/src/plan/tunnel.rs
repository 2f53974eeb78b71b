//! What `monday-fwd` opens for a forward.

use std::collections::BTreeMap;

use monday_shared::duration::Span as Time;
use monday_shared::protocol::fwd::{
    ForwardSpec, KubernetesRemoteSpec, KubernetesSpec, RemoteMode, RemotePort, SshRemoteSpec,
    SshSpec, Transport as Way,
};

use super::{Forward, route};
use crate::config::project::{
    Cluster, ForwardKind, Options, Pair, Settings, Ssh, Transport, Workload,
};

/// How long a connection is held while its tunnel is away, where nobody says anything else.
pub(super) const CONNECT_WAIT: Time = Time::from_secs(10);

/// Where a tunnel listens on this machine: only the proxy before it connects there, and it is told the port.
const BEHIND_THE_PROXY: &str = "127.0.0.1:0";

/// Where an app listens that a workload of a cluster leads to.
const APP_HERE: &str = "127.0.0.1";

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
    /// Does it lead from a cluster to apps of the project?
    #[must_use]
    pub const fn leads_here(&self) -> bool {
        matches!(self.spec, ForwardSpec::KubernetesRemote(_))
    }

    /// What it is known by.
    #[must_use]
    pub fn id(&self) -> &str {
        self.spec.id()
    }
}

/// The tunnels of a forward, in the order of its ports; none for one that needs none.
pub(super) fn of(forward: &Forward, settings: &Settings) -> Vec<Tunnel> {
    let spec = |pair: &Pair| match &forward.kind {
        ForwardKind::Ssh(ssh) => Some(ForwardSpec::Ssh(here(forward, ssh, pair))),
        ForwardKind::SshRemote(ssh) => Some(ForwardSpec::SshRemote(there(forward, ssh, pair))),
        ForwardKind::Kubernetes(cluster) => {
            let mut spec = to_pods(forward, cluster, pair);
            let kubeconfig = settings.kubeconfig.as_ref();
            spec.kubeconfig = kubeconfig.map(|path| path.display().to_string());
            Some(ForwardSpec::Kubernetes(spec))
        }
        ForwardKind::Proxy { .. } | ForwardKind::KubernetesRemote { .. } => None,
    };
    if let ForwardKind::KubernetesRemote { .. } = &forward.kind {
        let spec = from_pods(forward, settings).map(ForwardSpec::KubernetesRemote);
        let forward = forward.name.clone();
        return spec
            .map(|spec| Tunnel { forward, spec })
            .into_iter()
            .collect();
    }
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

/// From the pods of a workload: one change of the cluster for all ports.
fn from_pods(forward: &Forward, settings: &Settings) -> Option<KubernetesRemoteSpec> {
    let ForwardKind::KubernetesRemote {
        cluster,
        container,
        image,
        by_service,
        skip_init,
    } = &forward.kind
    else {
        return None;
    };
    let (labels, deployment) = match &cluster.workload {
        Workload::Labels(labels) => (labels.clone(), None),
        Workload::Deployment(name) => (BTreeMap::new(), Some(name.clone())),
        // The files can say nothing else for this type.
        _ => return None,
    };
    let ports = forward.ports.iter().map(|pair| RemotePort {
        port: pair.listen,
        target: route::host_and_port(APP_HERE, &pair.target),
    });
    Some(KubernetesRemoteSpec {
        id: forward.name.clone(),
        kubeconfig: settings
            .kubeconfig
            .as_ref()
            .map(|path| path.display().to_string()),
        context: cluster.context.clone(),
        namespace: cluster.namespace.clone(),
        labels,
        deployment,
        container: container.clone(),
        image: image.clone(),
        mode: if *by_service {
            RemoteMode::Service
        } else {
            RemoteMode::Patch
        },
        skip_init: *skip_init,
        ports: ports.collect(),
        allowed_contexts: settings.allow_remote.clone(),
        transport: None,
    })
}

/// To pods, with the usual kubeconfig.
pub(super) fn to_pods(forward: &Forward, cluster: &Cluster, pair: &Pair) -> KubernetesSpec {
    let id = route::id(&forward.name, pair.listen);
    let mut spec = KubernetesSpec::new(id, pair.target.to_string());
    BEHIND_THE_PROXY.clone_into(&mut spec.listen);
    spec.context.clone_from(&cluster.context);
    spec.namespace.clone_from(&cluster.namespace);
    match &cluster.workload {
        Workload::Labels(labels) => spec.labels.clone_from(labels),
        Workload::Pod(name) => spec.pod = Some(name.clone()),
        Workload::Service(name) => spec.service = Some(name.clone()),
        Workload::Deployment(name) => spec.deployment = Some(name.clone()),
        Workload::StatefulSet(name) => spec.statefulset = Some(name.clone()),
    }
    spec.connect_wait = wait(&forward.options);
    if let Some(linger) = forward.options.half_close_linger {
        spec.half_close_linger = linger;
    }
    spec.transport = forward.options.transport.map(|transport| match transport {
        Transport::Spdy => Way::Spdy,
        Transport::WebSocket => Way::Websocket,
        Transport::V4 => Way::V4,
    });
    spec
}

/// How long a connection is held while the tunnel is away.
pub(super) fn wait(options: &Options) -> Time {
    options.connect_wait.unwrap_or(CONNECT_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::project::RemotePort as Named;

    fn forward(kind: ForwardKind) -> Forward {
        Forward {
            name: "db".to_owned(),
            hostname: None,
            ports: vec![Pair {
                listen: 15432,
                target: Named::Number(5432),
            }],
            kind,
            options: Options::default(),
            monitoring: None,
        }
    }

    fn specs(kind: ForwardKind) -> Vec<ForwardSpec> {
        let settings = Settings {
            kubeconfig: Some("/etc/shop.kubeconfig".into()),
            ..Settings::default()
        };
        let tunnels = of(&forward(kind), &settings).into_iter();
        tunnels.map(|tunnel| tunnel.spec).collect()
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
        let ForwardSpec::Ssh(spec) = specs(ForwardKind::Ssh(ssh())).remove(0) else {
            panic!("not ssh");
        };
        assert_eq!(
            (spec.id.as_str(), spec.listen.as_str()),
            ("db:15432", "127.0.0.1:0")
        );
        assert_eq!(spec.target, "db.internal:5432");
        assert_eq!(spec.args, ["-p", "2222"]);
        let ForwardSpec::SshRemote(spec) = specs(ForwardKind::SshRemote(ssh())).remove(0) else {
            panic!("not ssh-remote");
        };
        assert_eq!(spec.listen, "localhost:15432");
        assert_eq!(spec.target, "db.internal:5432");
    }

    #[test]
    fn what_the_files_say_of_a_cluster_reaches_the_tunnel() {
        let cluster = Cluster {
            context: Some("dev".to_owned()),
            namespace: None,
            workload: Workload::Deployment("db".to_owned()),
        };
        let ForwardSpec::Kubernetes(spec) = specs(ForwardKind::Kubernetes(cluster)).remove(0)
        else {
            panic!("not kubernetes");
        };
        assert_eq!(spec.kubeconfig.as_deref(), Some("/etc/shop.kubeconfig"));
        assert_eq!(spec.context.as_deref(), Some("dev"));
        assert_eq!(spec.namespace, None);
        assert_eq!(spec.describe(), "deployment/db:5432");
        assert_eq!(
            (spec.id.as_str(), spec.listen.as_str()),
            ("db:15432", "127.0.0.1:0")
        );
    }

    #[test]
    fn a_workload_of_a_cluster_leads_to_apps_here_with_all_of_its_ports_at_once() {
        let cluster = Cluster {
            context: None,
            namespace: Some("shop".to_owned()),
            workload: Workload::Deployment("db".to_owned()),
        };
        let kind = ForwardKind::KubernetesRemote {
            cluster,
            container: Some("main".to_owned()),
            image: None,
            by_service: true,
            skip_init: true,
        };
        let mut forward = forward(kind);
        forward.ports.push(forward.ports[0].clone());
        let settings = Settings {
            allow_remote: Some(vec!["dev".to_owned()]),
            ..Settings::default()
        };
        let tunnels = of(&forward, &settings);
        let [
            Tunnel {
                spec: ForwardSpec::KubernetesRemote(spec),
                ..
            },
        ] = tunnels.as_slice()
        else {
            panic!("{tunnels:?}");
        };
        assert_eq!(spec.describe(), "deployment/db:15432,15432");
        assert_eq!(spec.ports[0].target, "127.0.0.1:5432");
        assert_eq!(spec.mode, RemoteMode::Service);
        assert_eq!(spec.allowed_contexts, settings.allow_remote);
        assert!(tunnels[0].leads_here());
    }

    #[test]
    fn a_proxy_needs_no_tunnel() {
        let kind = ForwardKind::Proxy {
            target: "db".to_owned(),
        };
        assert_eq!(specs(kind), []);
    }
}
