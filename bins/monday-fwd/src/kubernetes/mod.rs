//! Forwards from Kubernetes: like `kubectl port-forward`, but they stay.
//!
//! ```text
//! client ─> tunnel ─> pool ─> spdy::carry ─> pod
//!             │         └─ transport ─> client ─> connector ─> API server
//!             └─ follow (target, pods)
//! ```
//!
//! - **Which pod** is decided for every new connection ([`tunnel`]) from a list that a watch keeps up to date
//!   ([`follow`]); the decision itself is about lists ([`pods`]). Old connections stay where they are.
//! - **A session carries one connection at a time** ([`spdy`], [`pool`]), so that none can hold up another, and is used
//!   again once it is proven healthy. A spare one is kept, so that a connection costs one round trip.
//! - **There are three ways to a pod** ([`transport`]); what a user may do and what a proxy lets through decides.
//! - **What was not delivered may be said again**: a connection that a pod refused goes to another one, which is what
//!   makes a rollout go unnoticed.

mod cli;
mod client;
pub(crate) mod cluster;
mod connector;
mod follow;
pub(crate) mod kubeconfig;
mod pods;
mod pool;
pub(crate) mod refusal;
mod rule;
pub(crate) mod spdy;
mod target;
pub(crate) mod transport;
mod tunnel;
pub(crate) mod v4;
mod websocket;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use monday_shared::address::AddressError;
use monday_shared::backoff::Backoff;
use monday_shared::protocol::fwd::{self, KubernetesSpec};
use tokio::sync::watch;
use tokio::time::sleep;

pub(crate) use cli::{KubernetesArgs, labels};
use cluster::Cluster;
use follow::{Following, Known};
use kubeconfig::Wish;
use pool::Lease;
use refusal::Refusal;
use spdy::carry::HalfClose;
use target::{Port, Target};
use transport::Kind;
use tunnel::{DIAL_AGAIN, Manner, ToPods};

use crate::listener::{Bound, accept_all};
use crate::place::Place;
use crate::scope::Scope;

/// How often a pod that gives no session is tried before a forward that has never worked is given up, where trying is
/// pointless by what the API server says. One that has just started refuses what it will allow a moment later.
const REFUSALS: u32 = 4;

/// A forward that makes sense.
#[derive(Clone, Debug)]
pub(crate) struct KubernetesWish {
    place: Place,
    cluster: Wish,
    namespace: Option<String>,
    target: Target,
    port: Port,
    manner: Manner,
}

impl KubernetesWish {
    /// Reads a specification.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(spec: &KubernetesSpec) -> Result<Self, String> {
        let target = target(spec)?;
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Ok(Self {
            place: spec
                .listen
                .parse()
                .map_err(|error: AddressError| error.to_string())?,
            cluster: Wish {
                kubeconfig: text(&spec.kubeconfig).map(PathBuf::from),
                context: text(&spec.context),
            },
            namespace: text(&spec.namespace),
            port: spec.port.parse()?,
            manner: Manner {
                connect_wait: spec.connect_wait.0,
                half_close: match spec.half_close {
                    fwd::HalfClose::Delay => HalfClose::Delay(spec.half_close_linger.0),
                    fwd::HalfClose::Immediate => HalfClose::Immediate,
                },
                transport: spec.transport.map(|transport| match transport {
                    fwd::Transport::Spdy => Kind::Spdy,
                    fwd::Transport::Websocket => Kind::Websocket,
                    fwd::Transport::V4 => Kind::V4,
                }),
                readiness: target.readiness(),
            },
            target,
        })
    }

    /// Where it wants to listen.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Begins.
    pub(crate) fn start(self, scope: &Scope, bound: Bound) {
        let cluster = Arc::new(Cluster::new(self.cluster));
        let (known, following) = watch::channel(Known::default());
        let to_pods = Arc::new(ToPods::new(
            Arc::clone(&cluster),
            self.manner,
            following,
            self.namespace.clone(),
        ));
        let what = self.target.to_string();
        let follow = Following {
            cluster,
            target: self.target,
            namespace: self.namespace,
            port: self.port,
            known,
        };
        scope.spawn(follow.run());
        scope.spawn(keep_up(Arc::clone(&to_pods), what, scope.clone()));
        scope.spawn(accept_all(bound, to_pods, scope.clone()));
    }
}

/// The one target that a specification names.
fn target(spec: &KubernetesSpec) -> Result<Target, String> {
    let labels = (!spec.labels.is_empty()).then(|| Target::Labels(spec.labels.clone()));
    let named = |name: &Option<String>, target: fn(String) -> Target| {
        name.clone().filter(|name| !name.is_empty()).map(target)
    };
    let mut named = [
        labels,
        named(&spec.pod, Target::Pod),
        named(&spec.service, Target::Service),
        named(&spec.deployment, Target::Deployment),
        named(&spec.statefulset, Target::StatefulSet),
    ]
    .into_iter()
    .flatten();
    match (named.next(), named.next()) {
        (Some(target), None) => Ok(target),
        (None, _) => Err("says no target: one of `labels`, `pod`, `service`, `deployment` and `statefulset` is needed".to_owned()),
        (Some(one), Some(other)) => Err(format!("has two targets, {one} and {other}: leave one out")),
    }
}

/// Chooses the pod for new connections whenever the list changes, has a session to it ready, and says so.
async fn keep_up(to_pods: Arc<ToPods>, what: String, scope: Scope) {
    let mut known = to_pods.known.clone();
    let mut refusals = 0;
    let mut backoff = Backoff::new(DIAL_AGAIN);
    loop {
        let now = known.borrow_and_update().clone();
        let readiness = to_pods.manner.readiness;
        let chosen = to_pods.chosen();
        let pod = pods::choose(&now.pods, readiness, chosen.as_deref(), &[]);
        let chosen_stays = now
            .pods
            .iter()
            .any(|before| chosen.as_ref() == Some(&before.uid) && before.is_eligible(readiness));
        if !chosen_stays {
            to_pods.choose(pod.map(|pod| pod.uid.clone()));
        }
        to_pods.tidy(&now.pods, pod);
        if let Some(trouble) = now.trouble.as_ref().filter(|_| now.given_up) {
            scope.failed(trouble.to_string());
            return;
        }
        let mut again = None;
        if let Some(pod) = pod {
            let warmed = tokio::select! {
                warmed = to_pods.warm(pod) => warmed,
                changed = known.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            match warmed {
                Ok(()) => {
                    refusals = 0;
                    backoff.reset();
                    to_pods.choose(Some(pod.uid.clone()));
                    to_pods.tidy(&now.pods, Some(pod));
                    scope.up(&pod.name);
                }
                Err(error) => {
                    let refusal = Refusal::of_dial(&error, &to_pods.place().await);
                    let pause = backoff.failed_after(Duration::ZERO);
                    refusals += u32::from(refusal.is_final());
                    if refusals >= REFUSALS && !scope.has_been_up() {
                        scope.failed(format!("{what}: {refusal}"));
                        return;
                    }
                    scope.lost(format!("{what}: {refusal}"), pause);
                    again = Some(pause);
                }
            }
        } else if let Some(trouble) = &now.trouble {
            scope.waits(trouble.to_string());
        } else if now.port.is_some() {
            let (place, why) = (to_pods.place().await, pods::why_none(&now.pods));
            scope.waits(format!("{what} ({place}): {why}"));
        }
        let changed = async {
            match again {
                Some(pause) => tokio::select! {
                    changed = known.changed() => changed,
                    () = sleep(pause) => Ok(()),
                },
                None => known.changed().await,
            }
        };
        if changed.await.is_err() {
            return;
        }
    }
}

impl ToPods {
    /// Sees to it that there is a session to the pod that new connections go to, and that there will be.
    async fn warm(&self, pod: &pods::PodFacts) -> Result<(), transport::DialError> {
        let pool = self.pool(pod).await?;
        pool.keep_warm(true);
        // None: it has been closed, and the list has changed.
        if let Some(Lease::Session(leased)) = pool.lease().await.transpose()? {
            pool.give_back(leased);
        }
        Ok(())
    }
}
