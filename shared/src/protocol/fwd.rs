//! `monday-fwd`: forwards over SSH and from Kubernetes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::common::one_or_many;
use crate::duration::Span;
use crate::rpc::hub::Event as HubEvent;

/// One forward as it is wished for: one port (or socket) that leads to another. `type` says over what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ForwardSpec {
    /// From here to what a remote machine reaches (`ssh -L`).
    Ssh(SshSpec),
    /// From a remote machine to what this one reaches (`ssh -R`).
    SshRemote(SshRemoteSpec),
    /// From here to pods of a Kubernetes cluster.
    Kubernetes(KubernetesSpec),
    /// From the pods of a Deployment to what this machine reaches: they hand their traffic over while the forward is open.
    KubernetesRemote(KubernetesRemoteSpec),
}

/// From here to what a remote machine reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshSpec {
    /// What the forward is known by. Opening it again with the same specification changes nothing, with another one
    /// replaces it.
    pub id: String,
    /// Where to listen: `IP:port` (port 0 takes a free one, and the reply says which) or the absolute path of a Unix
    /// socket. Default `127.0.0.1:0`.
    #[serde(default = "free_port")]
    pub listen: String,
    /// The SSH server: `user@host`, `host`, or an alias of `ssh_config`.
    pub remote: String,
    /// Options of ssh(1) as users write them: `-i`, `-p`, `-o`, `-J`, `-F`, `-l`. One that is not honoured gives a
    /// `warning`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Where the remote leads to: `host:port`, the name resolved there, or the absolute path of a Unix socket there.
    pub target: String,
    /// How long a connection is held while the tunnel is away. Default 10 s.
    #[serde(default = "default_connect_wait")]
    pub connect_wait: Span,
}

/// From a remote machine to what this one reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshRemoteSpec {
    /// What the forward is known by, as with `ssh`.
    pub id: String,
    /// Where the remote is to listen: `host:port`; port 0 lets it choose, and `status` says which it chose. Other than
    /// `127.0.0.1` and `localhost` need `GatewayPorts` of the server.
    pub listen: String,
    /// The SSH server, as with `ssh`.
    pub remote: String,
    /// Options of ssh(1), as with `ssh`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Where connections lead to: `host:port` as this machine reaches it.
    pub target: String,
}

/// From here to pods of a Kubernetes cluster: exactly one of `labels`, `pod`, `service`, `deployment` and `statefulset`
/// says which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSpec {
    /// What the forward is known by, as with `ssh`.
    pub id: String,
    /// Where to listen, as with `ssh`.
    #[serde(default = "free_port")]
    pub listen: String,
    /// The configuration of the cluster. Default: the file that `MONDAY_KUBE_CONFIG` names, those that `KUBECONFIG` names,
    /// `~/.kube/config`, the service account of a pod; the first of them that there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<String>,
    /// The context. Default: the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The namespace. Default: the context's own, else `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Pods with these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The pod of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The pods behind the service of this name; `port` is the service's then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The pods of the deployment of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The pods of the stateful set of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statefulset: Option<String>,
    /// The port: its number, or its name.
    pub port: String,
    /// How long a connection is held while there is no pod for it. Default 10 s.
    #[serde(default = "default_connect_wait")]
    pub connect_wait: Span,
    /// When the pod is told that a client sends nothing more.
    #[serde(default)]
    pub half_close: HalfClose,
    /// With [`HalfClose::Delay`], how long a client that has ended its stream, and of which the system does not know
    /// whether it still reads, may be without a byte. Default 2 s.
    #[serde(default = "KubernetesSpec::default_linger")]
    pub half_close_linger: Span,
    /// The one way to pods. Default: the first that works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

impl KubernetesSpec {
    /// A forward to a port, on a free port of this machine, without a target yet.
    #[must_use]
    pub fn new(id: String, port: String) -> Self {
        Self {
            id,
            listen: free_port(),
            kubeconfig: None,
            context: None,
            namespace: None,
            labels: BTreeMap::new(),
            pod: None,
            service: None,
            deployment: None,
            statefulset: None,
            port,
            connect_wait: default_connect_wait(),
            half_close: HalfClose::default(),
            half_close_linger: Self::default_linger(),
            transport: None,
        }
    }

    const fn default_linger() -> Span {
        Span::from_secs(2)
    }

    /// What it leads to, in a few words: `deployment/web:http`, `app=web:8080`.
    #[must_use]
    pub fn describe(&self) -> String {
        let named = [
            ("pod", &self.pod),
            ("service", &self.service),
            ("deployment", &self.deployment),
            ("statefulset", &self.statefulset),
        ];
        let named = named
            .into_iter()
            .find_map(|(kind, name)| Some(format!("{kind}/{}", name.as_ref()?)));
        let target = named.unwrap_or_else(|| pairs(&self.labels));
        format!("{target}:{}", self.port)
    }
}

/// From the pods of a Deployment to what this machine reaches. Exactly one of `labels` and `deployment` says of which. The
/// Deployment is changed for as long as the forward is open, and put back when it is closed, however that happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesRemoteSpec {
    /// What the forward is known by, as with `ssh`.
    pub id: String,
    /// The configuration of the cluster, as with `kubernetes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<String>,
    /// The context. Default: the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The namespace. Default: the context's own, else `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The one Deployment whose pods have these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The Deployment of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The container to replace. Default: the one that declares the first port, else the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The image with the agent. Default: `monday.internal/agent:VERSION`. One whose name has no `agent` in it is taken for
    /// an ordinary sshd: user root, no password, port 5022.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What is changed in the cluster.
    #[serde(default)]
    pub mode: RemoteMode,
    /// Leave out the init containers.
    #[serde(default)]
    pub skip_init: bool,
    /// The ports, and where they lead.
    pub ports: Vec<RemotePort>,
    /// The contexts in which Deployments may be changed. Default: all whose name has neither `prod` nor `live` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_contexts: Option<Vec<String>>,
    /// The one way to pods, as with `kubernetes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

impl KubernetesRemoteSpec {
    /// What is taken over, in a few words: `deployment/web:80,81`.
    #[must_use]
    pub fn describe(&self) -> String {
        let what = match &self.deployment {
            Some(name) => format!("deployment/{name}"),
            None => pairs(&self.labels),
        };
        let ports = self.ports.iter().map(|port| port.port.to_string());
        format!("{what}:{}", ports.collect::<Vec<_>>().join(","))
    }
}

/// `a=b,c=d`.
fn pairs(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

/// A port of the pods, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemotePort {
    /// The port that the application listens on in its pods.
    pub port: u16,
    /// Where connections lead to: `host:port` as this machine reaches it.
    pub target: String,
}

/// What is changed in the cluster for a forward from pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteMode {
    /// The Deployment: its pods are replaced by pods with the agent in them.
    #[default]
    Patch,
    /// The Service that selects its pods: it selects a pod of ours instead. The application's pods stay as they are.
    Service,
}

/// In the environment of the process that puts clusters back if its monday-fwd is killed. It lives for a moment longer
/// than that, and whoever ends left-over processes leaves it alone.
pub const WATCHER_VARIABLE: &str = "MONDAY_REMOTE_WATCHER";

/// How far a forward from pods is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Whether it may be done is being found out.
    Checking,
    /// What is about to be changed is noted on this machine. Nothing is changed yet.
    Journalled,
    /// The cluster is changed, and replaces the pods.
    Patched,
    /// A session that was there already goes on.
    TakenOver,
    /// All pods lead here.
    Tunnelled,
    /// What was changed is being put back.
    Restoring,
    /// Everything is as it was.
    Restored,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checking => "checking",
            Self::Journalled => "journalled",
            Self::Patched => "patched",
            Self::TakenOver => "taken over",
            Self::Tunnelled => "tunnelled",
            Self::Restoring => "restoring",
            Self::Restored => "restored",
        })
    }
}

/// When a pod is told that a client sends nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HalfClose {
    /// Not while the client reads: container runtimes cut the answer one second after they were told.
    #[default]
    Delay,
    /// At once, as kubectl does.
    Immediate,
}

/// A way to pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// SPDY: the fastest. Needs the verb `create` on `pods/portforward`.
    Spdy,
    /// SPDY in a websocket: passes proxies. Needs the verb `get`, and Kubernetes 1.30 or later.
    Websocket,
    /// A websocket per connection, for what knows nothing else.
    V4,
}

fn free_port() -> String {
    "127.0.0.1:0".to_owned()
}

const fn default_connect_wait() -> Span {
    Span::from_secs(10)
}

impl ForwardSpec {
    /// What the forward is known by.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Ssh(spec) => &spec.id,
            Self::SshRemote(spec) => &spec.id,
            Self::Kubernetes(spec) => &spec.id,
            Self::KubernetesRemote(spec) => &spec.id,
        }
    }

    /// Over what.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Ssh(_) => Kind::Ssh,
            Self::SshRemote(_) => Kind::SshRemote,
            Self::Kubernetes(_) => Kind::Kubernetes,
            Self::KubernetesRemote(_) => Kind::KubernetesRemote,
        }
    }

    /// Where it listens on this machine, to be changed; nothing for the remote types.
    pub fn local_listen_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Ssh(spec) => Some(&mut spec.listen),
            Self::Kubernetes(spec) => Some(&mut spec.listen),
            Self::SshRemote(_) | Self::KubernetesRemote(_) => None,
        }
    }

    /// Where it leads, as it was asked for.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::Ssh(spec) => spec.target.clone(),
            Self::SshRemote(spec) => spec.target.clone(),
            Self::Kubernetes(spec) => spec.describe(),
            Self::KubernetesRemote(spec) => {
                let targets = spec.ports.iter().map(|port| port.target.as_str());
                targets.collect::<Vec<_>>().join(",")
            }
        }
    }
}

/// Over what a forward leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`ForwardSpec::Ssh`].
    Ssh,
    /// [`ForwardSpec::SshRemote`].
    SshRemote,
    /// [`ForwardSpec::Kubernetes`].
    Kubernetes,
    /// [`ForwardSpec::KubernetesRemote`].
    KubernetesRemote,
}

/// Opens forwards: all of them or, where one cannot be opened, none. It does not wait until their tunnels are up.
/// Params: one forward, or `{"forwards":[…]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub struct Open {
    /// The forwards.
    pub forwards: Vec<ForwardSpec>,
}

impl TryFrom<serde_json::Value> for Open {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        one_or_many("forwards", value).map(|forwards| Self { forwards })
    }
}

/// The reply of `open`, and of `list`: forwards as they really are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwards {
    /// In the order in which they were asked for.
    pub forwards: Vec<ForwardStatus>,
}

/// Closes forwards and their connections. An id that is not open is not an error: it is closed already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    /// Which.
    pub ids: Vec<String>,
}

/// The reply of [`Close`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Those that were open and are closed now.
    pub closed: Vec<String>,
}

/// Lists the forwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {}

/// How is everything?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// The reply of [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// Every forward.
    pub forwards: Vec<ForwardStatus>,
    /// Connections open right now, over all forwards.
    pub connections: u64,
    /// The limit of open files after it was raised.
    pub open_files_limit: u64,
}

/// How far a forward is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its tunnel is being made for the first time.
    #[default]
    Connecting,
    /// Its tunnel is there.
    Up,
    /// Its tunnel is away and is being made again.
    Lost,
    /// It cannot work, and nothing is tried any more until it is opened again.
    Failed,
}

/// A forward as it really is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardStatus {
    /// What it is known by.
    pub id: String,
    /// Over what it leads.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// How far it is.
    pub phase: Phase,
    /// How far it is with what it changes in a cluster, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// Where it listens, with the real port: here, or for the remote types there.
    pub listen: String,
    /// Where it leads, as it was asked for.
    pub target: String,
    /// Through which host or pod it leads now, or did last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Connections open right now.
    pub active: u64,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Connections that did not get through.
    pub failed: u64,
    /// Bytes from whoever connected to the target.
    pub bytes_up: u64,
    /// Bytes from the target to whoever connected.
    pub bytes_down: u64,
    /// The last thing that went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// While the tunnel is away: in how long it is tried again, counted from when that was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try: Option<Span>,
    /// What of the specification or of the user's configuration is not honoured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

methods! {
    /// What `monday-fwd` can be asked besides the common methods.
    "monday-fwd" emits Event {
        /// Opens forwards, all or none.
        open(Open) -> Forwards;
        /// Closes forwards.
        close(Close) -> Closed;
        /// Lists the forwards.
        list(List) -> Forwards;
        /// The forwards and the whole.
        status(Status) -> StatusReply;
    }
}

/// What `monday-fwd` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// All forwards of the command line are up. The first line of `--output json`.
    Ready {
        /// The forwards, with their real ports.
        forwards: Vec<ForwardStatus>,
    },
    /// A forward was opened or replaced; its tunnel is being made.
    Opened(ForwardStatus),
    /// The tunnel of a forward is up: the first time, again, or through another host or pod.
    Up(ForwardStatus),
    /// The tunnel of a forward is away, or could not be made yet.
    Lost {
        /// Of which forward.
        id: String,
        /// Why.
        why: String,
        /// In how long it is tried again; nothing is said where it is not tried but waited for, as for a pod.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_try: Option<Span>,
    },
    /// A forward cannot work; it is tried no more until it is opened again.
    Failed {
        /// Which.
        id: String,
        /// Why, and what to do.
        why: String,
    },
    /// Something of a forward's specification or of the user's configuration is not honoured.
    Warning {
        /// Of which forward.
        id: String,
        /// What.
        message: String,
    },
    /// A forward from pods is a step further.
    Step {
        /// Which.
        id: String,
        /// How far it is.
        step: Step,
        /// What that means, and how it is undone by hand.
        message: String,
    },
    /// A forward was closed.
    Closed {
        /// Which.
        id: String,
    },
    /// A connection has ended. Those that ended well are bulk events; of those that did not, one a second is told.
    Connection {
        /// On which forward.
        id: String,
        /// Who connected.
        client: String,
        /// Bytes from there to the target.
        bytes_up: u64,
        /// Bytes from the target to there.
        bytes_down: u64,
        /// Why it did not get through or was cut.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A listener could not accept for a while (out of file descriptors); it goes on trying.
    AcceptFailed {
        /// Of which forward.
        id: String,
        /// Why.
        error: String,
    },
}

/// What a `connection` event weighs in a queue, in bytes.
const CONNECTION_BYTES: usize = 128;

impl HubEvent for Event {
    fn bulk_bytes(&self) -> Option<usize> {
        match self {
            Self::Connection { error: None, .. } => Some(CONNECTION_BYTES),
            _ => None,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Lost => "lost",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for ForwardStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.id, self.listen, self.target)?;
        match &self.via {
            Some(via) => write!(f, " via {via}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { forwards } => {
                write!(f, "ready")?;
                forwards
                    .iter()
                    .try_for_each(|forward| write!(f, "\n  {forward}"))
            }
            Self::Opened(forward) => write!(f, "{forward}, connecting"),
            Self::Up(forward) => write!(f, "{forward}, up"),
            Self::Lost {
                id,
                why,
                next_try: Some(next_try),
            } => write!(f, "{id}: {why}; next try in {next_try}"),
            Self::Lost {
                id,
                why,
                next_try: None,
            } => write!(f, "{id}: {why}"),
            Self::Failed { id, why } => write!(f, "{id}: failed: {why}"),
            Self::Warning { id, message } | Self::Step { id, message, .. } => {
                write!(f, "{id}: {message}")
            }
            Self::Closed { id } => write!(f, "{id}: closed"),
            Self::Connection {
                id,
                client,
                error: Some(error),
                ..
            } => write!(f, "{id}: connection from {client} failed: {error}"),
            Self::Connection {
                id,
                client,
                bytes_up,
                bytes_down,
                error: None,
            } => write!(
                f,
                "{id}: connection from {client} ended, {bytes_up} bytes up, {bytes_down} down"
            ),
            Self::AcceptFailed { id, error } => {
                write!(f, "{id}: cannot accept connections, trying on: {error}")
            }
        }
    }
}
