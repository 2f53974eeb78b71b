//! Forwards from the pods of a Deployment to this machine: while one is open, the Deployment's pods hand their traffic to
//! an application here; and whatever happens to this machine, the Deployment is put back exactly.
//!
//! ```text
//! prepare ─> take (journal, patch) ─> live (follow, progress, tunnel) ─> undo
//! tunnel: ssh over pod_stream (the port-forwards of `kubernetes`) <─ agent in the pod
//! ```
//!
//! - **How the object was is written on the object**, in the request that changes it ([`patch`]); and before that in a
//!   journal on this machine ([`journal`]). Putting it back ([`undo`]) needs nothing else.
//! - **Whoever lives puts it back**: the forward when it is closed ([`session`]), a process beside it when it is killed
//!   ([`watcher`]), the next start of anything of ours, or a person ([`restore`]).
//! - **A pod gets traffic only while its tunnel stands**: its readiness is a port that only the tunnel opens.

mod cli;
mod follow;
mod journal;
mod keys;
mod live;
mod objects;
mod patch;
mod pod_stream;
mod preflight;
mod prepare;
mod progress;
pub mod restore;
mod session;
mod ssh;
mod take;
mod tunnel;
mod undo;
pub mod watcher;
mod who;

use std::path::PathBuf;

use monday_shared::address::{AddressError, Target as Address};
use monday_shared::platform::process_tree::Identity;
use monday_shared::protocol::fwd::{self, KubernetesRemoteSpec};
use tokio_util::sync::CancellationToken;

pub(crate) use cli::KubernetesRemoteArgs;
pub(crate) use session::Course;

use crate::kubernetes::kubeconfig::Wish;
use crate::kubernetes::transport::Kind;
use crate::scope::Scope;

/// What a session knows of the process that it is in.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// Who starts this process again when it dies.
    pub(crate) supervisor: Option<journal::Process>,
    /// Whether the end may wait until the pods are replaced.
    pub(crate) may_wait: bool,
    /// Nobody wants to wait any more.
    pub(crate) hurry: CancellationToken,
}

impl Surroundings {
    /// With a parent that starts this process again, or on its own; `has_command` says that the application ends before
    /// the forward does.
    pub(crate) fn new(has_parent: bool, has_command: bool) -> Self {
        let parent = u32::try_from(nix::unistd::getppid().as_raw()).ok();
        let parent = parent.filter(|_| has_parent).and_then(Identity::of);
        Self {
            supervisor: parent.map(journal::Process::from),
            may_wait: !has_parent && !has_command,
            hurry: CancellationToken::new(),
        }
    }
}

/// A forward that makes sense.
#[derive(Clone, Debug)]
pub(crate) struct KubernetesRemoteWish {
    spec: KubernetesRemoteSpec,
    cluster: Wish,
    ports: Vec<(u16, Address)>,
    transport: Option<Kind>,
}

impl KubernetesRemoteWish {
    /// Reads a specification.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(spec: &KubernetesRemoteSpec) -> Result<Self, String> {
        let named = spec
            .deployment
            .as_ref()
            .is_some_and(|name| !name.is_empty());
        match (named, spec.labels.is_empty()) {
            (false, true) => {
                return Err("says no target: one of `labels` and `deployment` is needed".to_owned());
            }
            (true, false) => {
                return Err("has two targets, `labels` and `deployment`: leave one out".to_owned());
            }
            _ => {}
        }
        if spec.ports.is_empty() {
            return Err("has no ports: say which ports of the pods lead here".to_owned());
        }
        let mut ports: Vec<(u16, Address)> = Vec::with_capacity(spec.ports.len());
        for port in &spec.ports {
            if port.port == 0 || port.port == patch::replace::AGENT_PORT {
                return Err(format!(
                    "port {} of the pods cannot lead here: the agent has it",
                    port.port
                ));
            }
            if ports.iter().any(|(known, _)| *known == port.port) {
                return Err(format!("port {} of the pods is there twice", port.port));
            }
            let target: Address = port
                .target
                .parse()
                .map_err(|error: AddressError| error.to_string())?;
            if matches!(target, Address::Unix(_)) {
                return Err(format!(
                    "`{}` is a Unix socket: write host:port",
                    port.target
                ));
            }
            ports.push((port.port, target));
        }
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Ok(Self {
            cluster: wish(spec),
            spec: KubernetesRemoteSpec {
                namespace: text(&spec.namespace),
                container: text(&spec.container),
                image: text(&spec.image),
                ..spec.clone()
            },
            ports,
            transport: spec.transport.map(|transport| match transport {
                fwd::Transport::Spdy => Kind::Spdy,
                fwd::Transport::Websocket => Kind::Websocket,
                fwd::Transport::V4 => Kind::V4,
            }),
        })
    }

    /// What is taken over.
    pub(crate) fn listen(&self) -> String {
        self.spec.describe()
    }

    /// Begins.
    pub(crate) fn start(self, scope: &Scope, surroundings: Surroundings) -> Course {
        session::start(self, scope, surroundings)
    }
}

/// Which cluster a specification means.
fn wish(spec: &KubernetesRemoteSpec) -> Wish {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Wish {
        kubeconfig: text(&spec.kubeconfig).map(PathBuf::from),
        context: text(&spec.context),
    }
}
