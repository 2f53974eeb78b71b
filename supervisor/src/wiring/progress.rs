//! How far everything of a project is, for those that depend on it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use monday_shared::protocol::run::{Exit, Phase, State as RunState};
use tokio::sync::watch;

use crate::config::project::{Condition, Dependency};
use crate::plan::Plan;

/// How far one app or forward is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// It was started.
    pub started: bool,
    /// It is ready.
    pub ready: bool,
    /// It ended with status 0.
    pub completed: bool,
    /// It will not come any further, and why.
    pub failed: Option<String>,
}

impl Progress {
    /// A forward that listens.
    #[must_use]
    pub fn listening() -> Self {
        Self {
            started: true,
            ready: true,
            ..Self::default()
        }
    }

    /// A forward that listens, and whose tunnels are not there yet.
    #[must_use]
    pub fn started() -> Self {
        Self {
            started: true,
            ..Self::default()
        }
    }

    /// Something that failed.
    #[must_use]
    pub fn failed(why: impl Into<String>) -> Self {
        Self {
            failed: Some(why.into()),
            ..Self::default()
        }
    }

    /// An app in that state.
    #[must_use]
    pub fn of(state: &RunState) -> Self {
        match (state.phase, state.exit) {
            (Phase::Running, _) => Self {
                started: true,
                // Without a readiness check it is ready as soon as it runs.
                ready: state.ready.unwrap_or(true),
                ..Self::default()
            },
            (Phase::Exited, Some(Exit::Code(0))) => Self {
                started: true,
                // Who waits for `ready` waits for nothing more to come: it has done its work.
                ready: true,
                completed: true,
                failed: None,
            },
            (Phase::Exited | Phase::Failed, _) => Self::failed(state.to_string()),
            _ => Self::default(),
        }
    }

    /// Whether the condition is true, or never will be.
    fn settles(&self, condition: Condition) -> bool {
        self.meets(condition) || self.failed.is_some()
    }

    fn meets(&self, condition: Condition) -> bool {
        match condition {
            Condition::Started => self.started,
            Condition::Ready => self.ready,
            Condition::Completed => self.completed,
        }
    }
}

/// The progress of everything.
#[derive(Debug)]
pub struct Board(Mutex<HashMap<String, watch::Sender<Progress>>>);

impl Board {
    /// Everything of the plan, of which nothing is started.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let names = names_of(plan);
        Self(Mutex::new(
            names
                .map(|name| (name.clone(), watch::Sender::default()))
                .collect(),
        ))
    }

    /// It is about this plan now. What is `fresh` begins anew; who waits for it goes on to wait.
    pub fn adopt(&self, plan: &Plan, fresh: &HashSet<String>) {
        let names: HashSet<&String> = names_of(plan).collect();
        let mut known = self.lock();
        known.retain(|name, _| names.contains(name));
        for name in names {
            let progress = known.entry(name.clone()).or_default();
            if fresh.contains(name) {
                progress.send_replace(Progress::default());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Progress>>> {
        // A panic elsewhere cannot leave the map in a state that matters more than going on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something came further.
    pub fn set(&self, name: &str, progress: Progress) {
        if let Some(known) = self.lock().get(name) {
            known.send_modify(|known| {
                // What was started once was started, however short it lived.
                let started = known.started || progress.started;
                *known = Progress {
                    started,
                    ..progress
                };
            });
        }
    }

    /// A forward of the plan came further. Where an app has the same name (a forward that leads here from elsewhere is
    /// usually called as the app that it leads to), the name means the app to whoever depends on it.
    pub fn set_forward(&self, plan: &Plan, name: &str, progress: Progress) {
        if !plan.apps.iter().any(|app| app.name == name) {
            self.set(name, progress);
        }
    }

    /// Whether it is so at this moment.
    #[must_use]
    pub fn is(&self, name: &str, condition: Condition) -> bool {
        self.lock()
            .get(name)
            .is_some_and(|known| known.borrow().meets(condition))
    }

    /// Waits until something is so.
    ///
    /// # Errors
    /// It never will be; the sentence says why.
    pub async fn reached(&self, wanted: &Dependency) -> Result<(), String> {
        let known = self.lock().get(&wanted.name).map(watch::Sender::subscribe);
        let Some(mut progress) = known else {
            return Err("it is not part of what runs".to_owned());
        };
        let settled = progress
            .wait_for(|progress| progress.settles(wanted.condition))
            .await;
        match settled.map(|progress| progress.clone()) {
            Ok(progress) if progress.meets(wanted.condition) => Ok(()),
            Ok(Progress { failed, .. }) => Err(failed.unwrap_or_default()),
            Err(_) => Err("it is gone".to_owned()),
        }
    }

    /// Waits until something will never be so, as far as is known then; the sentence says why.
    pub async fn failed(&self, wanted: &Dependency) -> String {
        let known = self.lock().get(&wanted.name).map(watch::Sender::subscribe);
        let Some(mut progress) = known else {
            return std::future::pending().await;
        };
        let failed = progress
            .wait_for(|progress| progress.failed.is_some() && !progress.meets(wanted.condition))
            .await;
        match failed.map(|progress| progress.failed.clone()) {
            Ok(why) => why.unwrap_or_default(),
            // It is no part of the project any more.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until the dependency is there.
    ///
    /// # Errors
    /// It failed; the sentence says what and why.
    pub async fn wait(&self, dependency: &Dependency) -> Result<(), String> {
        let name = &dependency.name;
        if !self.lock().contains_key(name) {
            // The configuration was checked; what is not on the board is disabled.
            return Err(format!("it depends on `{name}`, which is disabled"));
        }
        self.reached(dependency).await.map_err(|why| {
            format!(
                "it depends on `{name}`, which has not become {}: {why}",
                word(dependency.condition)
            )
        })
    }
}

fn names_of(plan: &Plan) -> impl Iterator<Item = &String> {
    let apps = plan.apps.iter().map(|app| &app.name);
    apps.chain(plan.forwards.iter().map(|forward| &forward.name))
}

/// The condition as the files write it.
#[must_use]
pub fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "started",
        Condition::Ready => "ready",
        Condition::Completed => "completed",
    }
}

/// The names in the order in which they may be stopped: all of one group at once, after the groups before it. Whoever
/// depends on something stops before it.
#[must_use]
pub fn stop_order(plan: &Plan) -> Vec<Vec<String>> {
    let mut left: Vec<_> = plan.apps.iter().collect();
    let mut groups = Vec::new();
    while !left.is_empty() {
        let needed = |name: &str| {
            left.iter()
                .any(|other| other.depends_on.iter().any(|needs| needs.name == name))
        };
        let (mut now, mut later): (Vec<_>, Vec<_>) =
            left.iter().copied().partition(|app| !needed(&app.name));
        if now.is_empty() {
            // The configuration refuses circles; one that came through is stopped all at once.
            now = std::mem::take(&mut later);
        }
        groups.push(now.iter().map(|app| app.name.clone()).collect());
        left = later;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(ready: Option<bool>) -> RunState {
        RunState {
            phase: Phase::Running,
            ready,
            ..RunState::default()
        }
    }

    #[test]
    fn an_app_without_a_check_is_ready_as_soon_as_it_runs() {
        assert!(Progress::of(&running(None)).meets(Condition::Ready));
        assert!(!Progress::of(&running(Some(false))).settles(Condition::Ready));
        assert!(Progress::of(&running(Some(false))).meets(Condition::Started));
        assert!(Progress::of(&running(Some(true))).meets(Condition::Ready));
    }

    #[test]
    fn an_end_completes_or_fails() {
        let ended = |exit| {
            Progress::of(&RunState {
                phase: Phase::Exited,
                exit: Some(exit),
                ..RunState::default()
            })
        };
        assert!(ended(Exit::Code(0)).meets(Condition::Completed));
        assert!(ended(Exit::Code(1)).failed.is_some());
        assert!(ended(Exit::Signal(9)).settles(Condition::Ready));
    }
}
