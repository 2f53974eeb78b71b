//! A session from its change of the cluster to the reason for its end.

use std::collections::HashMap;
use std::sync::Arc;

use monday_shared::address::Target;
use monday_shared::protocol::fwd::Step;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use super::follow::{self, Seen};
use super::patch::marks::{self, GOOD_FOR, SESSION};
use super::patch::restore::is_deployed_over;
use super::progress::{Facts, Rollout, SCHEDULED_WITHIN, rollout};
use super::take::Taken;
use super::tunnel::{self, Common, State};
use crate::kubernetes::transport::{Kind as Way, PodName};
use crate::scope::Scope;

/// Why a session ends.
#[derive(Debug)]
pub(crate) enum Over {
    /// It was asked to.
    Asked,
    /// It does not work, and this is why.
    Hopeless(String),
    /// Somebody else has put something else in its place.
    Replaced(String),
    /// Somebody else has taken it back: there is nothing to be put back.
    Gone(String),
}

/// How the tunnel to a pod is, by the pod's uid.
type Report = (String, State);

/// Everything that runs for a session. It ends when this is dropped.
pub(crate) struct Live<'a> {
    scope: &'a Scope,
    taken: &'a Taken,
    common: Arc<Common>,
    tasks: JoinSet<()>,
    object: watch::Receiver<Seen>,
    agents: watch::Receiver<Seen>,
    pods: watch::Receiver<Option<Vec<Facts>>>,
    reports: (
        mpsc::UnboundedSender<Report>,
        mpsc::UnboundedReceiver<Report>,
    ),
    tunnels: HashMap<String, (AbortHandle, State)>,
    /// Since when pods wait for a node.
    waiting: HashMap<String, Instant>,
    has_been_up: bool,
}

impl<'a> Live<'a> {
    pub(crate) fn start(
        scope: &'a Scope,
        taken: &'a Taken,
        ports: Vec<(u16, Target)>,
        transport: Option<Way>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let (told, object) = watch::channel(Seen::default());
        let objects = || taken.objects.clone();
        tasks.spawn(follow::object(objects(), taken.entry.object.clone(), told));
        let agents = if taken.agents == taken.entry.object {
            object.clone()
        } else {
            let (told, agents) = watch::channel(Seen::default());
            tasks.spawn(follow::object(objects(), taken.agents.clone(), told));
            agents
        };
        let (told, pods) = watch::channel(None);
        let label = format!("{SESSION}={}", taken.entry.id);
        tasks.spawn(follow::pods(
            objects(),
            label,
            taken.container.clone(),
            told,
        ));
        tasks.spawn(renew(
            taken.objects.clone(),
            taken.entry.object.clone(),
            taken.holder.clone(),
        ));
        Self {
            scope,
            taken,
            common: Arc::new(Common {
                scope: scope.clone(),
                cluster: Arc::clone(&taken.objects.cluster),
                key: taken.key.clone(),
                ports,
                ready_port: taken.ready_port,
                transport,
            }),
            tasks,
            object,
            agents,
            pods,
            reports: mpsc::unbounded_channel(),
            tunnels: HashMap::new(),
            waiting: HashMap::new(),
            has_been_up: false,
        }
    }

    /// Until there is a reason to end.
    pub(crate) async fn run(&mut self, end: &CancellationToken) -> Over {
        let mut looks = interval(std::time::Duration::from_secs(1));
        loop {
            tokio::select! {
                () = end.cancelled() => return Over::Asked,
                _ = self.object.changed() => {}
                _ = self.agents.changed() => {}
                _ = self.pods.changed() => {}
                Some((uid, state)) = self.reports.1.recv() => {
                    if let Some((_, known)) = self.tunnels.get_mut(&uid) {
                        *known = state;
                    }
                }
                // Some limits pass without anything happening.
                _ = looks.tick() => {}
            }
            if let Some(over) = self.look() {
                return over;
            }
        }
    }

    /// After the end: goes on serving until the last agent is gone, so that nobody is left without an answer meanwhile.
    pub(crate) async fn drain(&mut self) {
        loop {
            self.keep_tunnels();
            if self.pods.borrow().as_ref().is_some_and(Vec::is_empty) {
                return;
            }
            if self.pods.changed().await.is_err() {
                return;
            }
        }
    }

    fn look(&mut self) -> Option<Over> {
        let (object, rollout) = {
            let object = self.object.borrow();
            let gone = format!("{} is not there any more", self.taken.entry.object);
            match &*object {
                Seen::Gone => return Some(Over::Gone(gone)),
                Seen::There(object) => {
                    if let Some(over) = self.is_taken_away(object) {
                        return Some(over);
                    }
                }
                Seen::Nothing => {}
            }
            let agents = self.agents.borrow();
            let rollout = match &*agents {
                Seen::There(agents) => rollout(agents),
                _ => Rollout::default(),
            };
            (matches!(*object, Seen::There(_)), rollout)
        };
        self.keep_tunnels();
        if let Some(why) = self.hopeless(&rollout) {
            if !self.has_been_up {
                return Some(Over::Hopeless(why));
            }
            self.scope.warn(why);
        }
        self.tell(object && rollout.complete);
        None
    }

    fn is_taken_away(&self, object: &Value) -> Option<Over> {
        let name = &self.taken.entry.object;
        match marks::read(object) {
            Some(marks) if marks.holder.id == self.taken.entry.id => {
                is_deployed_over(object, &marks).then(|| {
                    Over::Replaced(format!(
                        "somebody has deployed {name} meanwhile, so that its pods lead here no more; their change stays, ours is taken back"
                    ))
                })
            }
            Some(marks) => Some(Over::Gone(format!(
                "{name} was taken over by a session of {}", marks.holder
            ))),
            None => Some(Over::Gone(format!("{name} was put back by somebody else"))),
        }
    }

    /// A tunnel to each pod in which the agent runs.
    fn keep_tunnels(&mut self) {
        let pods = self.pods.borrow_and_update().clone().unwrap_or_default();
        self.tunnels.retain(|uid, (task, _)| {
            let there = pods.iter().any(|pod| pod.uid == *uid);
            if !there {
                task.abort();
            }
            there
        });
        for pod in pods.iter().filter(|pod| pod.runs) {
            if self.tunnels.contains_key(&pod.uid) {
                continue;
            }
            let name = PodName {
                namespace: self.taken.objects.namespace.clone(),
                name: pod.name.clone(),
            };
            let (uid, reports) = (pod.uid.clone(), self.reports.0.clone());
            let report = move |state| drop(reports.send((uid.clone(), state)));
            let task = self
                .tasks
                .spawn(tunnel::keep(Arc::clone(&self.common), name, report));
            self.tunnels
                .insert(pod.uid.clone(), (task, State::default()));
        }
    }

    /// Why it does not come about, if that can be said.
    fn hopeless(&mut self, rollout: &Rollout) -> Option<String> {
        let pods = self.pods.borrow().clone().unwrap_or_default();
        self.waiting.retain(|uid, _| {
            pods.iter()
                .any(|pod| pod.uid == *uid && pod.unschedulable.is_some())
        });
        for pod in &pods {
            if let Some(why) = &pod.hopeless {
                return Some(why.clone());
            }
            if let Some(why) = &pod.unschedulable {
                let since = *self
                    .waiting
                    .entry(pod.uid.clone())
                    .or_insert_with(Instant::now);
                if since.elapsed() >= SCHEDULED_WITHIN {
                    return Some(why.clone());
                }
            }
        }
        rollout.refused.clone()
    }

    /// Says how it is.
    fn tell(&mut self, complete: bool) {
        let pods = self.pods.borrow().clone().unwrap_or_default();
        let lost = self.tunnels.values().find_map(|(_, state)| match state {
            State::Lost(why) => Some(why.clone()),
            _ => None,
        });
        let serving: Vec<&str> = pods
            .iter()
            .filter(|pod| pod.runs && matches!(self.tunnels.get(&pod.uid), Some((_, State::Up))))
            .map(|pod| pod.name.as_str())
            .collect();
        let all = pods.iter().filter(|pod| !pod.ending).count() == serving.len();
        if let Some(why) = lost {
            // Before the first time a pod that is not quite there is nothing to speak of.
            if self.has_been_up {
                self.scope.waits(why);
            }
        } else if !serving.is_empty() && ((all && complete) || self.has_been_up) {
            if !std::mem::replace(&mut self.has_been_up, true) {
                self.scope.step(
                    Step::Tunnelled,
                    format!(
                        "{} leads here from {}",
                        self.taken.entry.object,
                        serving.join(", ")
                    ),
                );
            }
            self.scope.up(serving.join(", "));
        }
    }
}

/// Renews a session for as long as this runs. Whoever finds it much later knows that nobody has it any more.
async fn renew(objects: super::objects::Objects, name: super::objects::Name, holder: String) {
    let mut ticks = interval(GOOD_FOR / 3);
    loop {
        ticks.tick().await;
        if let Err(error) = objects.patch(&name, &marks::renewal(&holder)).await {
            tracing::debug!(%name, %error, "the session is not renewed this time");
        }
    }
}
