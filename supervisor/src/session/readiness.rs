//! When a project is up: everything of it is ready, or is known never to be.

use std::time::Duration;

use monday_shared::protocol::fwd::Phase as TunnelPhase;
use monday_shared::protocol::run::Phase;
use monday_shared::protocol::supervisor::{AppStatus, Level, TunnelStatus};

use super::Session;
use crate::config::project::{Condition, Dependency};

/// After this long it is said what is waited for, …
const TELL_AFTER: Duration = Duration::from_secs(3);

/// … and again after pauses that double up to this one.
const TELL_AT_LEAST_EVERY: Duration = Duration::from_secs(60);

impl Session {
    /// Waits until every app and forward is ready, or never will be, and says what it waits for when that takes long.
    /// Returns the names of those that will not be, in the order of the plan.
    ///
    /// An app that is started again and again is waited for: it may work the next time.
    pub async fn until_up(&self) -> Vec<String> {
        let settled = self.until_settled();
        tokio::pin!(settled);
        let mut pause = TELL_AFTER;
        loop {
            match tokio::time::timeout(pause, &mut settled).await {
                Ok(failed) => return failed,
                Err(_) => self.tell_what_is_waited_for().await,
            }
            pause = (pause * 2).min(TELL_AT_LEAST_EVERY);
        }
    }

    async fn until_settled(&self) -> Vec<String> {
        let mut failed = Vec::new();
        for name in self.app_names().into_iter().chain(self.forward_names()) {
            let ready = Dependency {
                name: name.clone(),
                condition: Condition::Ready,
            };
            if self.board.wait(&ready).await.is_err() {
                failed.push(name);
            }
        }
        failed
    }

    async fn tell_what_is_waited_for(&self) {
        let status = self.state.status().await;
        let apps = status.apps.iter().filter_map(what_is_missing);
        let tunnels = status.forwards.iter().flat_map(|forward| &forward.tunnels);
        let waited_for: Vec<String> = apps.chain(tunnels.filter_map(what_is_wrong)).collect();
        if !waited_for.is_empty() {
            let message = format!("still waiting: {}", waited_for.join("; "));
            self.state.notice(Level::Info, None, message);
        }
    }
}

/// What an app still needs to be ready, if anything.
fn what_is_missing(app: &AppStatus) -> Option<String> {
    let runs_unready = app.state.phase == Phase::Running && app.state.ready == Some(false);
    let comes_later = matches!(app.state.phase, Phase::Idle | Phase::Waiting);
    (app.stage.is_some() || runs_unready || comes_later).then(|| app.to_string())
}

/// Why a tunnel is not there yet, if it is not and may come.
fn what_is_wrong(tunnel: &TunnelStatus) -> Option<String> {
    let settled = matches!(tunnel.phase, TunnelPhase::Up | TunnelPhase::Failed);
    let why = tunnel.why.as_deref().map(|why| format!(": {why}"));
    (!settled).then(|| format!("{}: {}{}", tunnel.id, tunnel.phase, why.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use monday_shared::protocol::run::State;
    use monday_shared::protocol::supervisor::Stage;

    use super::*;

    fn app(phase: Phase, ready: Option<bool>, stage: Option<Stage>) -> AppStatus {
        AppStatus {
            name: "api".to_owned(),
            stage,
            state: State {
                phase,
                ready,
                ..State::default()
            },
            ..AppStatus::default()
        }
    }

    #[test]
    fn whoever_is_not_ready_is_named_with_what_it_does() {
        let missing = |phase, ready, stage| what_is_missing(&app(phase, ready, stage));
        assert_eq!(missing(Phase::Running, None, None), None);
        assert_eq!(missing(Phase::Running, Some(true), None), None);
        assert_eq!(missing(Phase::Exited, None, None), None);
        let unready = missing(Phase::Running, Some(false), None).unwrap();
        assert_eq!(unready, "api: running, not ready yet");
        let building = missing(Phase::Idle, None, Some(Stage::Build)).unwrap();
        assert_eq!(building, "api: building");
    }
}
