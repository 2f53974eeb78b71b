//! Which pod a new connection goes to. All of this is about lists of pods, without a cluster.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::jiff::Timestamp;

/// What matters of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodFacts {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Which version of the template it was made from; empty if it has none.
    template: String,
    created: Timestamp,
    running: bool,
    ready: bool,
    pub(crate) terminating: bool,
    /// It has run to its end.
    over: bool,
    ports: Vec<(String, u16)>,
    /// Why a container of it does not run.
    waiting: Option<String>,
}

impl PodFacts {
    /// Of a pod as the API server describes it; `None` for one without a name or an identity.
    pub(crate) fn of(pod: &Pod) -> Option<Self> {
        let labels = pod.metadata.labels.as_ref();
        let label = |name| labels.and_then(|labels| labels.get(name)).cloned();
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        let ready = status
            .and_then(|status| status.conditions.as_ref())
            .into_iter()
            .flatten()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True");
        let waiting = status
            .and_then(|status| status.container_statuses.as_ref())
            .into_iter()
            .flatten()
            .filter_map(|container| container.state.as_ref()?.waiting.as_ref())
            .find_map(|waiting| waiting.reason.clone());
        Some(Self {
            name: pod.metadata.name.clone()?,
            uid: pod.metadata.uid.clone()?,
            template: label("pod-template-hash")
                .or_else(|| label("controller-revision-hash"))
                .unwrap_or_default(),
            created: pod
                .metadata
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            running: phase == Some("Running"),
            ready,
            terminating: pod.metadata.deletion_timestamp.is_some(),
            over: matches!(phase, Some("Succeeded" | "Failed")),
            ports: ports(pod),
            waiting,
        })
    }

    /// The number of a port that its containers name.
    pub(crate) fn named_port(&self, name: &str) -> Option<u16> {
        let found = self.ports.iter().find(|(known, _)| known == name)?;
        Some(found.1)
    }

    /// The names of its ports.
    pub(crate) fn port_names(&self) -> Vec<&str> {
        self.ports.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// May new connections go to it?
    pub(crate) fn is_eligible(&self, readiness: Readiness) -> bool {
        let ready = self.ready || readiness == Readiness::Ignored;
        self.running && ready && !self.terminating
    }

    /// What it is, for a message.
    fn describe(&self) -> String {
        let state = match self {
            Self {
                terminating: true, ..
            } => "is terminating",
            Self { over: true, .. } => "has ended",
            Self { running: false, .. } => "is not running yet",
            Self { ready: false, .. } => "is not ready",
            _ => "is ready",
        };
        match &self.waiting {
            Some(reason) => format!("{} {state} ({reason})", self.name),
            None => format!("{} {state}", self.name),
        }
    }
}

/// Those that containers name, the containers that start before the others and go on running included.
fn ports(pod: &Pod) -> Vec<(String, u16)> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let sidecars = spec
        .init_containers
        .iter()
        .flatten()
        .filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let of = |container: &Container| {
        let named = container.ports.iter().flatten().filter_map(|port| {
            let number = u16::try_from(port.container_port).ok()?;
            Some((port.name.clone()?, number))
        });
        named.collect::<Vec<_>>()
    };
    spec.containers
        .iter()
        .chain(sidecars)
        .flat_map(of)
        .collect()
}

/// Does a pod have to be ready?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Yes: any pod of several will do, and one that is not ready is not meant to be talked to.
    Required,
    /// No: this pod was asked for by its name.
    Ignored,
}

/// The pod for new connections: one that runs, is ready and is not about to end; of the newest template; the one that
/// was chosen before, if it is among those, else the one that is there the longest. Those that were `tried` are left out.
pub(crate) fn choose<'a>(
    pods: &'a [PodFacts],
    readiness: Readiness,
    before: Option<&str>,
    tried: &[String],
) -> Option<&'a PodFacts> {
    let mut newest: HashMap<&str, Timestamp> = HashMap::new();
    for pod in pods {
        let newest = newest.entry(&pod.template).or_insert(pod.created);
        *newest = pod.created.max(*newest);
    }
    pods.iter()
        .filter(|pod| pod.is_eligible(readiness) && !tried.contains(&pod.uid))
        .max_by(|a, b| {
            let rank = |pod: &PodFacts| {
                (
                    newest.get(pod.template.as_str()).copied(),
                    before == Some(pod.uid.as_str()),
                )
            };
            rank(a)
                .cmp(&rank(b))
                .then_with(|| b.created.cmp(&a.created))
                .then_with(|| b.name.cmp(&a.name))
        })
}

/// Is a pod about to come or to go, so that waiting makes sense?
pub(crate) fn is_moving(pods: &[PodFacts], readiness: Readiness) -> bool {
    pods.iter()
        .any(|pod| !pod.over && !pod.is_eligible(readiness))
}

/// Why there is no pod for a connection.
pub(crate) fn why_none(pods: &[PodFacts]) -> String {
    /// More do not help anybody.
    const NAMED: usize = 3;
    if pods.is_empty() {
        return "there is no such pod".to_owned();
    }
    let mut said: Vec<_> = pods.iter().take(NAMED).map(PodFacts::describe).collect();
    if pods.len() > NAMED {
        said.push(format!("and {} more", pods.len() - NAMED));
    }
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name template second`, then any of `starting`, `unready`, `going`.
    fn pod(text: &str) -> PodFacts {
        let mut words = text.split(' ');
        let (name, template) = (words.next().unwrap(), words.next().unwrap());
        let second = words.next().unwrap().parse().unwrap();
        let states: Vec<_> = words.collect();
        let is = |state| states.contains(&state);
        PodFacts {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            template: template.to_owned(),
            created: Timestamp::from_second(second).unwrap(),
            running: !is("starting") && !is("over"),
            ready: !is("starting") && !is("unready") && !is("over"),
            terminating: is("going"),
            over: is("over"),
            ports: vec![("http".to_owned(), 8080)],
            waiting: is("unready").then(|| "CrashLoopBackOff".to_owned()),
        }
    }

    fn chosen(pods: &[&str], before: Option<&str>, tried: &[&str]) -> Option<String> {
        let pods: Vec<_> = pods.iter().map(|text| pod(text)).collect();
        let before = before.map(|name| format!("uid-{name}"));
        let tried: Vec<_> = tried.iter().map(|name| format!("uid-{name}")).collect();
        choose(&pods, Readiness::Required, before.as_deref(), &tried).map(|pod| pod.name.clone())
    }

    #[test]
    fn only_a_pod_that_runs_is_ready_and_stays_is_chosen() {
        let pods = ["a 1 1 starting", "b 1 2 unready", "c 1 3 going", "d 1 4"];
        assert_eq!(chosen(&pods, None, &[]).as_deref(), Some("d"));
        assert_eq!(chosen(&pods[..3], None, &[]), None);
        let unready = [pod("b 1 2 unready")];
        assert!(choose(&unready, Readiness::Ignored, None, &[]).is_some());
    }

    #[test]
    fn the_choice_stays_while_the_template_does() {
        let pods = ["a 1 1", "b 1 2", "c 1 3"];
        assert_eq!(chosen(&pods, None, &[]).as_deref(), Some("a"));
        assert_eq!(chosen(&pods, Some("b"), &[]).as_deref(), Some("b"));
        assert_eq!(chosen(&pods, Some("b"), &["b"]).as_deref(), Some("a"));
        assert_eq!(chosen(&pods, Some("gone"), &[]).as_deref(), Some("a"));
    }

    #[test]
    fn a_rollout_moves_it_as_soon_as_a_new_pod_is_ready() {
        let starting = ["a 1 1", "b 2 2 starting"];
        assert_eq!(chosen(&starting, Some("a"), &[]).as_deref(), Some("a"));
        let ready = ["a 1 1", "b 2 2"];
        assert_eq!(chosen(&ready, Some("a"), &[]).as_deref(), Some("b"));
        // Back to the old template: its pods are the newest then.
        let back = ["a 1 1 going", "b 2 2", "c 1 3"];
        assert_eq!(chosen(&back, Some("b"), &[]).as_deref(), Some("c"));
    }

    #[test]
    fn waiting_makes_sense_while_a_pod_comes_or_goes() {
        let moving = |pods: &[&str]| {
            let pods: Vec<_> = pods.iter().map(|text| pod(text)).collect();
            is_moving(&pods, Readiness::Required)
        };
        assert!(!moving(&["a 1 1"]));
        assert!(moving(&["a 1 1", "b 2 2 starting"]));
        assert!(moving(&["a 1 1 going"]));
        assert!(!moving(&["a 1 1", "job 1 1 over"]));
    }

    #[test]
    fn a_message_says_what_the_pods_are() {
        let pods = ["a 1 1 starting", "b 1 2 unready", "c 1 3 going", "d 1 1"].map(pod);
        assert_eq!(
            why_none(&pods),
            "a is not running yet, b is not ready (CrashLoopBackOff), c is terminating, and 1 more"
        );
        assert_eq!(why_none(&[]), "there is no such pod");
    }
}
