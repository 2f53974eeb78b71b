//! Follows the pods of a target: a list that is always what the API server last said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher::{self, Event, watcher};
use monday_shared::backoff::{Backoff, Policy};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::cluster::{Access, Cluster};
use super::kubeconfig::causes;
use super::pods::PodFacts;
use super::refusal::{Place, Refusal};
use super::target::{Port, ResolveError, Resolved, Target};

/// How to go on when the API server does not answer.
const AGAIN: Policy = Policy {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(5),
    healthy_after: Duration::from_secs(10),
};

/// How often a service is looked at again: its selector may be changed, and often is, to switch between versions.
const RESOLVE_EVERY: Duration = Duration::from_secs(10);

/// How often what is refused is asked for before it is taken as final. An API server that has just started refuses
/// what it will allow a moment later.
const REFUSALS: u32 = 4;

/// What is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The pods.
    pub(crate) pods: Vec<PodFacts>,
    /// The port of the pods that is meant; `None` before the first answer.
    pub(crate) port: Option<Port>,
    /// Why this is not up to date.
    pub(crate) trouble: Option<Refusal>,
    /// Nothing more is tried.
    pub(crate) given_up: bool,
}

/// What is followed.
pub(crate) struct Following {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) target: Target,
    pub(crate) namespace: Option<String>,
    pub(crate) port: Port,
    pub(crate) known: watch::Sender<Known>,
}

/// Why following stopped for now.
enum Stopped {
    /// The target means other pods now.
    Moved,
    /// Something did not work.
    Trouble(Refusal),
    /// The credentials are not accepted.
    Unauthorized(Refusal),
}

impl Following {
    /// Follows until nobody listens any more or it is pointless.
    pub(crate) async fn run(self) {
        let mut backoff = Backoff::new(AGAIN);
        let mut refusals = 0;
        loop {
            let access = match self.cluster.access().await {
                Ok(access) => access,
                Err(error) => {
                    self.give_up(Refusal::text(error.to_string()));
                    return;
                }
            };
            let began = Instant::now();
            let trouble = match self.follow(&access).await {
                Stopped::Moved => continue,
                Stopped::Trouble(trouble) => trouble,
                Stopped::Unauthorized(trouble) => match self.cluster.renewed(&access).await {
                    Ok(Some(_)) => continue,
                    Ok(None) => trouble,
                    Err(error) => Refusal::text(error.to_string()),
                },
            };
            if self.known.borrow().port.is_some() {
                // It has worked, so it will again.
                refusals = 0;
            } else if trouble.is_final() {
                refusals += 1;
                if refusals >= REFUSALS {
                    self.give_up(trouble);
                    return;
                }
            }
            tracing::debug!(target = %self.target, %trouble, "the pods are not known for now");
            self.known
                .send_modify(|known| known.trouble = Some(trouble));
            sleep(backoff.failed_after(began.elapsed())).await;
        }
    }

    fn give_up(&self, why: Refusal) {
        self.known.send_modify(|known| {
            known.trouble = Some(why);
            known.given_up = true;
        });
    }

    async fn follow(&self, access: &Access) -> Stopped {
        let namespace = self
            .namespace
            .as_deref()
            .unwrap_or(&access.default_namespace);
        let place = Place {
            context: access.context.clone(),
            namespace: namespace.to_owned(),
            server: access.server.clone(),
        };
        let resolved = match self
            .target
            .resolve(&access.client, namespace, &self.port)
            .await
        {
            Ok(resolved) => resolved,
            Err(error) => return self.unresolved(error, &place),
        };
        let mut config = watcher::Config::default();
        if let Some(labels) = &resolved.labels {
            config = config.labels(labels);
        }
        if let Some(fields) = &resolved.fields {
            config = config.fields(fields);
        }
        let pods = Api::<Pod>::namespaced(access.client.clone(), namespace);
        let mut events = Box::pin(watcher(pods, config));
        let mut list = BTreeMap::new();
        let mut fresh = BTreeMap::new();
        let mut resolve_at = Instant::now() + RESOLVE_EVERY;
        loop {
            let left = resolve_at.saturating_duration_since(Instant::now());
            let Ok(event) = timeout(left, events.next()).await else {
                resolve_at = Instant::now() + RESOLVE_EVERY;
                if self
                    .has_moved(access, namespace, &resolved, list.is_empty())
                    .await
                {
                    return Stopped::Moved;
                }
                continue;
            };
            match event {
                Some(Ok(Event::Init)) => fresh.clear(),
                Some(Ok(Event::InitApply(pod))) => note(&mut fresh, &pod),
                Some(Ok(Event::InitDone)) => {
                    list = std::mem::take(&mut fresh);
                    self.tell(&list, &resolved);
                }
                Some(Ok(Event::Apply(pod))) => {
                    note(&mut list, &pod);
                    self.tell(&list, &resolved);
                }
                Some(Ok(Event::Delete(pod))) => {
                    list.remove(&pod.metadata.uid.unwrap_or_default());
                    self.tell(&list, &resolved);
                }
                Some(Err(error)) => return trouble(error, &place),
                None => {
                    return Stopped::Trouble(Refusal::text("the watch of the pods ended".into()));
                }
            }
        }
    }

    /// Does the target mean other pods than it did?
    async fn has_moved(
        &self,
        access: &Access,
        namespace: &str,
        resolved: &Resolved,
        empty: bool,
    ) -> bool {
        let may_move = matches!(self.target, Target::Service(_)) || empty;
        if self.target.resource().is_none() || !may_move {
            return false;
        }
        match self
            .target
            .resolve(&access.client, namespace, &self.port)
            .await
        {
            Ok(now) => now != *resolved,
            // What is gone is found out by following it again; what cannot be asked now is asked later.
            Err(ResolveError::Api(kube::Error::Api(status))) => status.code == 404,
            Err(ResolveError::Useless(_)) => true,
            Err(ResolveError::Api(_)) => false,
        }
    }

    fn tell(&self, list: &BTreeMap<String, PodFacts>, resolved: &Resolved) {
        self.known.send_modify(|known| {
            known.pods = list.values().cloned().collect();
            known.port = Some(resolved.port.clone());
            known.trouble = None;
        });
    }

    fn unresolved(&self, error: ResolveError, place: &Place) -> Stopped {
        match error {
            ResolveError::Useless(why) => Stopped::Trouble(Refusal::of_target(why)),
            ResolveError::Api(error) => {
                let resource = self.target.resource().unwrap_or("pods");
                let what = format!("cannot read {}", self.target);
                stopped(
                    Refusal::of_api(&what, "get", resource, &error, place),
                    &error,
                )
            }
        }
    }
}

fn note(list: &mut BTreeMap<String, PodFacts>, pod: &Pod) {
    if let Some(facts) = PodFacts::of(pod) {
        list.insert(facts.uid.clone(), facts);
    }
}

fn trouble(error: watcher::Error, place: &Place) -> Stopped {
    use watcher::Error::{
        InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed,
    };
    let (verb, error) = match error {
        InitialListFailed(error) => ("list", error),
        WatchStartFailed(error) | WatchFailed(error) => ("watch", error),
        WatchError(status) => ("watch", kube::Error::Api(status)),
        other @ NoResourceVersion => return Stopped::Trouble(Refusal::text(causes(&other))),
    };
    let what = format!("cannot {verb} pods");
    stopped(Refusal::of_api(&what, verb, "pods", &error, place), &error)
}

fn stopped(refusal: Refusal, error: &kube::Error) -> Stopped {
    match error {
        kube::Error::Api(status) if status.code == 401 => Stopped::Unauthorized(refusal),
        _ => Stopped::Trouble(refusal),
    }
}
