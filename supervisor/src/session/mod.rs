//! A project that runs: its sidecars, brought up in the order of the plan and ended in the reverse of it.

mod starter;
mod survivors;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use monday_shared::address_env::Variable;
use monday_shared::duration::Span;
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::error::RpcError;
use monday_shared::protocol::run::Phase;
use monday_shared::protocol::supervisor::Level;
use monday_shared::protocol::{fwd, ipalias, tcpproxy, watch};
use tokio::task::JoinSet;

use crate::config::Project;
use crate::config::project::{Condition, Dependency};
use crate::error::Error;
use crate::escalate::CALLER_VARIABLES;
use crate::escalate::decide::Names;
use crate::files::Data;
use crate::naming::Naming;
use crate::plan::{App, Plan};
use crate::sidecar::nursery::Nursery;
use crate::state::State;
use crate::wiring::addresses::Addresses;
use crate::wiring::changes::{self, Watcher};
use crate::wiring::names::{self, Ipalias};
use crate::wiring::pipeline::{AppHandle, Apps, Parts, Surroundings};
use crate::wiring::progress::{Board, stop_order};
use crate::wiring::routes::{self, Tcpproxy};
use crate::wiring::step::Steps;
use crate::wiring::tunnels::{self, Fwd};
use starter::Starter;

/// After this long, a stop says what it is waiting for.
const TELL_AFTER: Duration = Duration::from_secs(2);

/// By this variable an app knows whether what it prints for people may hold host names: `system`, `private`, `nowhere`.
const NAMES_VARIABLE: &str = "MONDAY_HOSTS";

/// The sidecars of a project.
#[derive(Debug)]
pub struct Session {
    plan: Plan,
    state: State,
    nursery: Nursery,
    ipalias: Option<Ipalias>,
    fwd: Option<Fwd>,
    /// Where host names go.
    names: Names,
    /// The control socket of a monday-ipalias that may bind what we may not.
    ports_from: Option<PathBuf>,
    tcpproxy: Option<Tcpproxy>,
    watcher: Option<Watcher>,
    apps: Arc<Apps>,
    board: Arc<Board>,
    project: Project,
}

impl Session {
    /// Starts the sidecars that the plan needs; they have nothing to do yet.
    ///
    /// # Errors
    /// One of the executables is missing.
    pub fn start(
        project: Project,
        plan: Plan,
        naming: &Naming,
        folder: &Path,
        state: State,
    ) -> Result<Self, Error> {
        survivors::end(folder, &state);
        let nursery = Nursery::default();
        let board = Arc::new(Board::new(&plan));
        let starter = Starter::new(folder, nursery.clone(), state.clone());
        let mut ports_from = None;
        let ipalias = if plan.hostnames.is_empty() {
            None
        } else {
            let mut launch = starter.launch(ipalias::NAME, None)?;
            naming.apply(&mut launch);
            // It serves us, not whoever opened the root shell that we may have been started from.
            launch.hidden = &CALLER_VARIABLES;
            ports_from = naming.escalates().then(|| launch.socket.clone());
            let (sidecar, news) = starter.keep(launch, Bulk::Skip);
            tokio::spawn(names::watch(news, state.clone()));
            Some(sidecar)
        };
        let tcpproxy = if plan.routes.is_empty() {
            None
        } else {
            let launch = starter.launch(tcpproxy::NAME, None)?;
            let (sidecar, news) = starter.keep(launch, Bulk::Skip);
            tokio::spawn(routes::watch(news, state.clone()));
            Some(sidecar)
        };
        let fwd = if plan.tunnels.is_empty() {
            None
        } else {
            let launch = starter.launch(fwd::NAME, None)?;
            let (sidecar, news) = starter.keep(launch, Bulk::Skip);
            tokio::spawn(tunnels::watch(
                news,
                plan.clone(),
                state.clone(),
                Arc::clone(&board),
            ));
            Some(sidecar)
        };
        let steps = Steps {
            nursery: nursery.clone(),
            state: state.clone(),
        };
        let mut apps = Apps::new();
        for app in &plan.apps {
            let guardian = match app.run {
                Some(_) => Some(starter.guard(app, &board)?),
                None => None,
            };
            let parts = Parts {
                app: app.clone(),
                guardian,
                step_launch: starter.launch_step(&app.name)?,
                steps: steps.clone(),
                board: Arc::clone(&board),
                state: state.clone(),
            };
            apps.insert(app.name.clone(), AppHandle::start(parts));
        }
        let apps = Arc::new(apps);
        let watcher = match changes::wanted(&plan) {
            Some(_) => {
                let launch = starter.launch(watch::NAME, None)?;
                let (sidecar, news) = starter.keep(launch, Bulk::Skip);
                tokio::spawn(changes::pass_on(news, Arc::clone(&apps), state.clone()));
                Some(sidecar)
            }
            None => None,
        };
        Ok(Self {
            plan,
            state,
            nursery,
            ipalias,
            fwd,
            names: naming.names(),
            ports_from,
            tcpproxy,
            watcher,
            apps,
            board,
            project,
        })
    }

    /// Our children.
    #[must_use]
    pub fn nursery(&self) -> &Nursery {
        &self.nursery
    }

    /// The apps, by name.
    #[must_use]
    pub fn apps(&self) -> &Arc<Apps> {
        &self.apps
    }

    /// How everything is.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How far everything is.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// The apps' names, in the order of the files.
    #[must_use]
    pub fn app_names(&self) -> Vec<String> {
        let apps = self.plan.apps.iter();
        apps.map(|app| app.name.clone()).collect()
    }

    /// The forwards' names, in the order of the files.
    #[must_use]
    pub fn forward_names(&self) -> Vec<String> {
        let forwards = self.plan.forwards.iter();
        forwards.map(|forward| forward.name.clone()).collect()
    }

    /// The same without those that this version cannot make true.
    #[must_use]
    pub fn working_forward_names(&self) -> Vec<String> {
        let forwards = self.plan.forwards.iter();
        forwards
            .filter(|forward| forward.is_supported())
            .map(|forward| forward.name.clone())
            .collect()
    }

    /// What monday-tcpproxy says of its routes; nothing where it does not run.
    pub async fn routes(&self) -> Option<Vec<tcpproxy::RouteStatus>> {
        let listed = self.tcpproxy.as_ref()?.call_if_there(&tcpproxy::List {});
        Some(listed.await.ok()??.routes)
    }

    /// Opens a forward anew.
    ///
    /// # Errors
    /// It could not be opened.
    pub async fn reconnect(&self, forward: &str) -> Result<(), RpcError> {
        match &self.tcpproxy {
            Some(tcpproxy) => {
                routes::reopen(tcpproxy, &self.plan, forward, &self.state, &self.board).await
            }
            None => Ok(()),
        }
    }

    /// Stops these apps until they are started again, those that depend on others before them.
    pub async fn halt(&self, names: &HashSet<String>, timeout: Option<Span>) {
        for group in stop_order(&self.plan) {
            let mut stopping = JoinSet::new();
            let group = group.iter().filter(|name| names.contains(*name));
            for app in group.filter_map(|name| self.apps.get(name)) {
                let app = app.clone();
                stopping.spawn(async move { app.halt(timeout).await });
            }
            stopping.join_all().await;
        }
    }

    /// Makes the plan true, in its order, and returns the addresses for environments.
    pub async fn bring_up(&self) -> Vec<Variable> {
        for notice in &self.plan.notices {
            self.state.notice(
                Level::Warning,
                Some(notice.subject.clone()),
                notice.message.clone(),
            );
        }
        let mut addresses = Addresses::default();
        let mut place = None;
        if let Some(ipalias) = &self.ipalias {
            place = Some(
                names::assign(ipalias, &self.plan, self.names, &self.state, &mut addresses).await,
            );
            if let Some(socket) = &self.ports_from {
                addresses.given_by(socket);
            }
            for app in &self.plan.apps {
                let ip = app
                    .hostname
                    .as_deref()
                    .and_then(|name| addresses.of_name(name));
                if let Some(ip) = ip {
                    self.state.app_address(&app.name, ip);
                }
            }
        }
        if let Some(fwd) = &self.fwd {
            tunnels::open(fwd, &self.plan, &self.state, &mut addresses, &self.board).await;
        }
        if let Some(tcpproxy) = &self.tcpproxy {
            routes::open(
                tcpproxy,
                &self.plan,
                &self.state,
                &mut addresses,
                &self.board,
            )
            .await;
        }
        let mut environment = self.plan.env.clone();
        environment.extend(place.map(|place| (NAMES_VARIABLE.to_owned(), place.to_string())));
        environment.extend(addresses.environment(&self.plan));
        let surroundings = Arc::new(Surroundings {
            environment: environment.clone(),
            templates: Data::of(&self.project, |name| addresses.of_name(name)),
        });
        for app in self.apps.values() {
            app.up(Arc::clone(&surroundings)).await;
        }
        if let (Some(watcher), Some(wanted)) = (&self.watcher, changes::wanted(&self.plan)) {
            changes::watch(watcher, wanted, &self.state).await;
        }
        self.until_started().await;
        environment
    }

    /// Waits until every app that has nothing to wait for and nothing to build was started, or could not be.
    async fn until_started(&self) {
        let at_once = |app: &&App| {
            app.run.is_some()
                && app.depends_on.is_empty()
                && app.setup.is_none()
                && app.build.is_none()
        };
        for app in self.plan.apps.iter().filter(at_once) {
            let started = Dependency {
                name: app.name.clone(),
                condition: Condition::Started,
            };
            // One that cannot be started has said so.
            let _ = self.board.wait(&started).await;
        }
    }

    /// Stops all apps, those that depend on others before them, and says what it waits for when that takes long.
    pub async fn stop_apps(&self, timeout: Option<Span>) {
        let all = self.stop_in_order(timeout);
        tokio::pin!(all);
        if tokio::time::timeout(TELL_AFTER, &mut all).await.is_err() {
            self.tell_who_runs().await;
            all.await;
        }
    }

    async fn stop_in_order(&self, timeout: Option<Span>) {
        for group in stop_order(&self.plan) {
            let mut stopping = JoinSet::new();
            for app in group.iter().filter_map(|name| self.apps.get(name)) {
                let app = app.clone();
                stopping.spawn(async move { app.stop(timeout).await });
            }
            stopping.join_all().await;
        }
    }

    async fn tell_who_runs(&self) {
        let status = self.state.status().await;
        let running: Vec<String> = status
            .apps
            .iter()
            .filter(|app| matches!(app.state.phase, Phase::Running | Phase::Stopping))
            .map(|app| app.name.clone())
            .collect();
        if !running.is_empty() {
            self.state.notice(
                Level::Info,
                None,
                format!(
                    "waiting for {} to stop; a second Ctrl-C kills at once",
                    running.join(", ")
                ),
            );
        }
    }

    /// Ends the sidecars, the listeners before the names, and whatever is left over.
    pub async fn end(&self) {
        let mut ending = JoinSet::new();
        for app in self.apps.values() {
            let app = app.clone();
            ending.spawn(async move { app.end().await });
        }
        if let Some(watcher) = &self.watcher {
            watcher.end().await;
        }
        if let Some(tcpproxy) = &self.tcpproxy {
            tcpproxy.end().await;
        }
        if let Some(fwd) = &self.fwd {
            fwd.end().await;
        }
        if let Some(ipalias) = &self.ipalias {
            // Its names go with it.
            ipalias.end().await;
        }
        ending.join_all().await;
        self.nursery.end_strays().await;
    }
}
