//! The one place that knows how the project is. Everything upward goes through here: sidecars' news come in, changes go
//! out as events, and `status` is answered from it.
//!
//! [`State`] is the handle; the task behind it owns the data. Output of apps does not pass the task: it goes straight to
//! the hub, which pushes back on whoever writes too fast.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use monday_shared::protocol::run;
use monday_shared::protocol::supervisor::{
    AppStatus, Event, ForwardRoute, ForwardStatus, Level, ProjectStatus, Reloaded, SidecarStatus,
    Stage, TunnelStatus,
};
use monday_shared::rpc::history::Limits;
use monday_shared::rpc::hub::Hub;
use monday_shared::timestamp;
use tokio::sync::{mpsc, oneshot};

/// The handle. Clones are the same state.
#[derive(Clone, Debug)]
pub struct State {
    changes: mpsc::UnboundedSender<Change>,
    hub: Hub<Event>,
}

/// What can happen to the state. Changes are few and small, so they are never made to wait.
#[derive(Debug)]
enum Change {
    Names(bool),
    PrivateNames(bool),
    AppAddress(String, IpAddr),
    AppState(String, run::State),
    AppStarted(String, run::State),
    AppStage(String, Option<Stage>),
    AppRestarted(String),
    ForwardOpen(String, Vec<ForwardRoute>),
    ForwardFailed(String, String),
    Tunnel(String, TunnelStatus),
    ForwardBack(String),
    Sidecar(SidecarStatus),
    Notice(Level, Option<String>, String),
    Ready,
    Adopt(ProjectStatus, HashSet<String>, Reloaded),
    Up(Vec<String>),
    Stopping(String),
    Ask(oneshot::Sender<ProjectStatus>),
    Settle(oneshot::Sender<()>),
}

impl State {
    /// A project of which nothing runs yet. The task ends when the last handle is dropped.
    #[must_use]
    pub fn start(project: ProjectStatus) -> Self {
        let (changes, to_apply) = mpsc::unbounded_channel();
        let hub = Hub::with_history(Limits::default());
        let keeper = Keeper {
            project,
            hub: hub.clone(),
        };
        tokio::spawn(keeper.run(to_apply));
        Self { changes, hub }
    }

    /// Where the events are.
    #[must_use]
    pub fn hub(&self) -> &Hub<Event> {
        &self.hub
    }

    /// How everything is.
    pub async fn status(&self) -> ProjectStatus {
        let (asked, answer) = oneshot::channel();
        self.change(Change::Ask(asked));
        answer.await.unwrap_or_default()
    }

    /// Waits until every change that was told before is applied and its event is published.
    pub async fn settled(&self) {
        let (asked, answer) = oneshot::channel();
        self.change(Change::Settle(asked));
        // The task lives as long as a handle does.
        let _ = answer.await;
    }

    /// Whether host names lead to their addresses.
    pub fn names(&self, resolve: bool) {
        self.change(Change::Names(resolve));
    }

    /// Whether host names lead to their addresses for the project's own processes, and for nobody else.
    pub fn private_names(&self, resolve: bool) {
        self.change(Change::PrivateNames(resolve));
    }

    /// An app's host name has an address.
    pub fn app_address(&self, app: &str, ip: IpAddr) {
        self.change(Change::AppAddress(app.to_owned(), ip));
    }

    /// An app's process changed.
    pub fn app(&self, app: &str, state: run::State) {
        self.change(Change::AppState(app.to_owned(), state));
    }

    /// An app was started, as the reply says; the events that tell the same may have come before, and more than that.
    pub fn app_started(&self, app: &str, state: run::State) {
        self.change(Change::AppStarted(app.to_owned(), state));
    }

    /// What is done for an app besides running it.
    pub fn app_stage(&self, app: &str, stage: Option<Stage>) {
        self.change(Change::AppStage(app.to_owned(), stage));
    }

    /// An app is started once more.
    pub fn app_restarted(&self, app: &str) {
        self.change(Change::AppRestarted(app.to_owned()));
    }

    /// An app wrote something.
    pub async fn output(&self, app: &str, output: run::Output) {
        let event = Event::Output {
            app: app.to_owned(),
            output,
        };
        self.hub.publish_bulk(event).await;
    }

    /// A forward listens.
    pub fn forward_open(&self, forward: &str, routes: Vec<(SocketAddr, String)>) {
        let routes = routes
            .into_iter()
            .map(|(listen, target)| ForwardRoute {
                listen,
                target,
                traffic: None,
            })
            .collect();
        self.change(Change::ForwardOpen(forward.to_owned(), routes));
    }

    /// A forward that did not work does again, where it was.
    pub fn forward_back(&self, forward: &str) {
        self.change(Change::ForwardBack(forward.to_owned()));
    }

    /// A forward does not work.
    pub fn forward_failed(&self, forward: &str, why: String) {
        self.change(Change::ForwardFailed(forward.to_owned(), why));
    }

    /// A tunnel of a forward came or went.
    pub fn tunnel(&self, forward: &str, tunnel: TunnelStatus) {
        self.change(Change::Tunnel(forward.to_owned(), tunnel));
    }

    /// A sidecar came or went.
    pub fn sidecar(&self, status: SidecarStatus) {
        self.change(Change::Sidecar(status));
    }

    /// Something that a person should read.
    pub fn notice(&self, level: Level, subject: Option<String>, message: String) {
        self.change(Change::Notice(level, subject, message));
    }

    /// Everything was started that can be.
    pub fn ready(&self) {
        self.change(Change::Ready);
    }

    /// The project consists of these apps and forwards now; what is not `fresh` is as it was.
    pub fn adopt(&self, project: ProjectStatus, fresh: HashSet<String>, difference: Reloaded) {
        self.change(Change::Adopt(project, fresh, difference));
    }

    /// Everything is ready, but for these, which will not be.
    pub fn up(&self, failed: Vec<String>) {
        self.change(Change::Up(failed));
    }

    /// Everything is being stopped.
    pub fn stopping(&self, why: String) {
        self.change(Change::Stopping(why));
    }

    fn change(&self, change: Change) {
        // The task lives as long as a handle does.
        let _ = self.changes.send(change);
    }
}

/// The task.
struct Keeper {
    project: ProjectStatus,
    hub: Hub<Event>,
}

impl Keeper {
    async fn run(mut self, mut changes: mpsc::UnboundedReceiver<Change>) {
        while let Some(change) = changes.recv().await {
            if let Some(event) = self.apply(change) {
                self.hub.publish(event);
            }
        }
    }

    /// What the change means to those who watch.
    fn apply(&mut self, change: Change) -> Option<Event> {
        match change {
            Change::Names(resolve) => {
                self.project.names = resolve;
                None
            }
            Change::PrivateNames(resolve) => {
                self.project.private_names = resolve;
                None
            }
            Change::AppAddress(name, ip) => {
                self.app(&name)?.ip = Some(ip);
                None
            }
            Change::AppStarted(name, state) => {
                let known = self.app(&name)?.state.generation;
                if known >= state.generation {
                    return None;
                }
                self.apply(Change::AppState(name, state))
            }
            Change::AppState(name, state) => self.app_state(&name, state),
            Change::AppStage(name, stage) => {
                let app = self.app(&name)?;
                if app.stage == stage {
                    return None;
                }
                app.stage = stage;
                // The end of a stage is told by what comes of it.
                app.stage.as_ref()?;
                Some(Event::App(app.clone()))
            }
            Change::AppRestarted(name) => {
                self.app(&name)?.restarts += 1;
                None
            }
            Change::ForwardOpen(name, routes) => {
                let forward = self.forward(&name)?;
                forward.routes = routes;
                forward.error = None;
                Some(Event::Forward(forward.clone()))
            }
            Change::ForwardBack(name) => {
                let forward = self.forward(&name)?;
                forward.error = None;
                Some(Event::Forward(forward.clone()))
            }
            Change::ForwardFailed(name, why) => {
                let forward = self.forward(&name)?;
                forward.error = Some(why);
                Some(Event::Forward(forward.clone()))
            }
            Change::Tunnel(name, tunnel) => {
                let forward = self.forward(&name)?;
                let known = forward
                    .tunnels
                    .iter_mut()
                    .find(|known| known.id == tunnel.id);
                match known {
                    Some(known) if *known == tunnel => return None,
                    Some(known) => *known = tunnel.clone(),
                    None => forward.tunnels.push(tunnel.clone()),
                }
                Some(Event::Tunnel {
                    forward: name,
                    tunnel,
                })
            }
            Change::Sidecar(status) => {
                let known = self
                    .project
                    .sidecars
                    .iter_mut()
                    .find(|known| known.name == status.name && known.app == status.app);
                match known {
                    Some(known) => *known = status.clone(),
                    None => self.project.sidecars.push(status.clone()),
                }
                Some(Event::Sidecar(status))
            }
            Change::Notice(level, subject, message) => Some(Event::Notice {
                level,
                subject,
                message,
            }),
            Change::Ready => Some(Event::Ready(self.project.clone())),
            Change::Adopt(project, fresh, difference) => {
                self.adopt(project, &fresh);
                let status = self.project.clone();
                Some(Event::Reloaded { difference, status })
            }
            Change::Up(failed) => Some(Event::Up { failed }),
            Change::Stopping(reason) => Some(Event::Stopping { reason }),
            Change::Settle(asked) => {
                // Whoever asked may have gone.
                let _ = asked.send(());
                None
            }
            Change::Ask(asked) => {
                // Whoever asked may have gone.
                let _ = asked.send(self.project.clone());
                None
            }
        }
    }

    fn app_state(&mut self, name: &str, state: run::State) -> Option<Event> {
        let app = self.app(name)?;
        if app.state == state {
            return None;
        }
        // It was started again by itself; what a person restarts is told separately.
        let known = app.state.generation;
        if app.state.phase == run::Phase::Waiting && known > 0 && state.generation > known {
            app.restarts += 1;
        }
        if app.state.phase != state.phase || known != state.generation {
            app.since = Some(timestamp::now());
        }
        app.state = state;
        Some(Event::App(app.clone()))
    }

    fn adopt(&mut self, new: ProjectStatus, fresh: &HashSet<String>) {
        let old = std::mem::replace(
            &mut self.project,
            ProjectStatus {
                sidecars: Vec::new(),
                ..new
            },
        );
        self.project.names = old.names;
        self.project.private_names = old.private_names;
        for app in &mut self.project.apps {
            let known = old.apps.iter().find(|known| known.name == app.name);
            if let Some(known) = known.filter(|known| !fresh.contains(&known.name)) {
                app.clone_from(known);
            }
        }
        for forward in &mut self.project.forwards {
            let known = old.forwards.iter().find(|it| it.name == forward.name);
            if let Some(known) = known.filter(|known| !fresh.contains(&known.name)) {
                forward.clone_from(known);
            }
        }
        // The monday-run of an app that is gone is gone with it.
        let apps = &self.project.apps;
        let is_wanted = |sidecar: &SidecarStatus| match &sidecar.app {
            Some(name) => apps.iter().any(|app| app.name == *name),
            None => true,
        };
        self.project.sidecars = old.sidecars.into_iter().filter(is_wanted).collect();
    }

    fn app(&mut self, name: &str) -> Option<&mut AppStatus> {
        self.project.apps.iter_mut().find(|app| app.name == name)
    }

    fn forward(&mut self, name: &str) -> Option<&mut ForwardStatus> {
        let forwards = &mut self.project.forwards;
        forwards.iter_mut().find(|forward| forward.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use monday_shared::protocol::common::Bulk;
    use monday_shared::rpc::hub::Delivery;

    fn project() -> ProjectStatus {
        ProjectStatus {
            project: "shop".to_owned(),
            apps: vec![AppStatus {
                name: "api".to_owned(),
                ..AppStatus::default()
            }],
            ..ProjectStatus::default()
        }
    }

    #[tokio::test]
    async fn a_change_is_told_once_and_kept() {
        let state = State::start(project());
        let (_, mut events) = state.hub().subscribe(Bulk::Lossless);
        let running = run::State {
            phase: run::Phase::Running,
            generation: 1,
            ..run::State::default()
        };
        state.app("api", running.clone());
        state.app("api", running.clone());
        state.app("unknown", running);
        state.stopping("the test ends".to_owned());
        assert!(matches!(
            events.next().await.unwrap(),
            Delivery::Event(event) if matches!(event.event, Event::App(_))
        ));
        assert!(matches!(
            events.next().await.unwrap(),
            Delivery::Event(event) if matches!(event.event, Event::Stopping { .. })
        ));
        assert_eq!(
            state.status().await.apps[0].state.phase,
            run::Phase::Running
        );
    }
}
