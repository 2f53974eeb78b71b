//! A project that runs: its sidecars, brought up in the order of the plan and ended in the reverse of it.

mod starter;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use monday_shared::address_env::Variable;
use monday_shared::duration::Span;
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::run::Phase;
use monday_shared::protocol::supervisor::Level;
use monday_shared::protocol::{ipalias, run, tcpproxy};
use tokio::task::JoinSet;

use crate::error::Error;
use crate::plan::Plan;
use crate::sidecar::nursery::Nursery;
use crate::state::State;
use crate::wiring::addresses::Addresses;
use crate::wiring::app::{Apps, Guardian};
use crate::wiring::names::{self, Ipalias};
use crate::wiring::routes::{self, Tcpproxy};
use starter::Starter;

/// After this long, a stop says what it is waiting for.
const TELL_AFTER: Duration = Duration::from_secs(2);

/// The sidecars of a project.
#[derive(Debug)]
pub struct Session {
    plan: Plan,
    state: State,
    nursery: Nursery,
    ipalias: Option<Ipalias>,
    tcpproxy: Option<Tcpproxy>,
    apps: Arc<Apps>,
}

impl Session {
    /// Starts the sidecars that the plan needs; they have nothing to do yet.
    ///
    /// # Errors
    /// One of the executables is missing.
    pub fn start(
        plan: Plan,
        hosts_file: &Path,
        folder: &Path,
        state: State,
    ) -> Result<Self, Error> {
        let nursery = Nursery::default();
        let starter = Starter::new(folder, nursery.clone(), state.clone());
        let ipalias = if plan.hostnames.is_empty() {
            None
        } else {
            let mut launch = starter.launch(ipalias::NAME, None)?;
            launch.args = vec!["--hosts-file".into(), hosts_file.into()];
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
        let mut apps = Apps::new();
        for app in plan.apps.iter().filter(|app| app.run.is_some()) {
            let mut launch = starter.launch(run::NAME, Some(app.name.clone()))?;
            launch.args = vec!["--name".into(), app.name.clone().into()];
            let (sidecar, news) = starter.keep(launch, Bulk::Lossless);
            let guardian = Arc::new(Guardian::new(app.clone(), sidecar, state.clone()));
            tokio::spawn({
                let guardian = Arc::clone(&guardian);
                async move { guardian.watch(news).await }
            });
            apps.insert(app.name.clone(), guardian);
        }
        Ok(Self {
            plan,
            state,
            nursery,
            ipalias,
            tcpproxy,
            apps: Arc::new(apps),
        })
    }

    /// The apps, by name.
    #[must_use]
    pub fn apps(&self) -> &Arc<Apps> {
        &self.apps
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
        if let Some(ipalias) = &self.ipalias {
            names::assign(ipalias, &self.plan, &self.state, &mut addresses).await;
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
        if let Some(tcpproxy) = &self.tcpproxy {
            routes::open(tcpproxy, &self.plan, &self.state, &mut addresses).await;
        }
        let mut environment = self.plan.env.clone();
        environment.extend(addresses.environment(&self.plan));
        let mut starting = JoinSet::new();
        for guardian in self.apps.values() {
            let guardian = Arc::clone(guardian);
            let environment = environment.clone();
            starting.spawn(async move { guardian.start(&environment).await });
        }
        starting.join_all().await;
        environment
    }

    /// Stops all apps at once, and says what it waits for when that takes long.
    pub async fn stop_apps(&self, timeout: Option<Span>) {
        let mut stopping = JoinSet::new();
        for guardian in self.apps.values() {
            let guardian = Arc::clone(guardian);
            stopping.spawn(async move { guardian.stop(timeout).await });
        }
        let all = stopping.join_all();
        tokio::pin!(all);
        if tokio::time::timeout(TELL_AFTER, &mut all).await.is_err() {
            self.tell_who_runs().await;
            all.await;
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
        for guardian in self.apps.values() {
            let guardian = Arc::clone(guardian);
            ending.spawn(async move { guardian.end().await });
        }
        if let Some(tcpproxy) = &self.tcpproxy {
            tcpproxy.end().await;
        }
        if let Some(ipalias) = &self.ipalias {
            names::release(ipalias, &self.plan).await;
            ipalias.end().await;
        }
        ending.join_all().await;
        self.nursery.end_strays().await;
    }
}
