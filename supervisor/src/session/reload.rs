//! A running project becomes another one: only what differs is touched.

use std::collections::HashSet;
use std::sync::Arc;

use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::supervisor::{Failure, ForwardStatus, Level, Reloaded};
use monday_shared::protocol::{ipalias, watch};
use tokio::task::JoinSet;

use super::{Current, Session};
use crate::choice::{Choice, Chosen};
use crate::cli::ReloadMode;
use crate::error::Error;
use crate::plan::difference::Difference;
use crate::plan::{self, Plan};
use crate::source::SourceError;
use crate::wiring::progress::stop_order;
use crate::wiring::{changes, routes, tunnels};

impl Session {
    /// Reads the configuration again and applies what differs.
    ///
    /// # Errors
    /// It cannot be used; then nothing was changed.
    pub async fn reload(&self) -> Result<Reloaded, RpcError> {
        let (chosen, choice) = self.read_again()?;
        let difference = self
            .apply(chosen, choice)
            .await
            .map_err(|error| RpcError::new(ErrorKind::Conflict, error.to_string()))?;
        let mut reloaded = reloaded(&difference);
        reloaded.failed = self.failed_forwards(&difference).await;
        Ok(reloaded)
    }

    /// The forwards that were to begin and did not.
    async fn failed_forwards(&self, difference: &Difference) -> Vec<Failure> {
        let coming = set(difference.forwards.coming());
        let forwards = self.state.status().await.forwards.into_iter();
        let coming = forwards.filter(|forward| coming.contains(&forward.name));
        let failure = |forward: ForwardStatus| {
            Some(Failure {
                name: forward.name,
                error: forward.error?,
            })
        };
        coming.filter_map(failure).collect()
    }

    fn read_again(&self) -> Result<(Chosen, Choice), RpcError> {
        let choice = self.current().choice.clone();
        self.source.read(|_| choice).map_err(unreadable)
    }

    /// Makes the chosen project the one that runs.
    async fn apply(&self, chosen: Chosen, choice: Choice) -> Result<Difference, Error> {
        let _one_at_a_time = self.applying.lock().await;
        self.leaving.at_once().await;
        let before = self.current();
        let mut plan = self.plan_of(&chosen.project);
        self.tell_what_waits(&before.plan, &plan);
        let mut difference = Difference::between(&before.plan, &plan);
        if difference.is_empty() {
            return Ok(difference);
        }
        self.settle_names(&plan).await?;
        if self.naming().private_file().is_some() {
            plan = self.plan_of(&chosen.project);
            difference = Difference::between(&before.plan, &plan);
        }
        // What is missing for the new plan is missed before anything of the old one ends.
        self.make_sidecars(&plan)?;
        let coming = set(difference.apps.coming());
        self.starter.check_guards(&coming)?;
        self.retire(&before.plan, &difference).await;
        // Not before: a guardian serves the socket of the one that it replaces.
        let handles = self.prepare(&plan, &coming)?;
        let fresh = set(difference.apps.coming().chain(difference.forwards.coming()));
        self.board.adopt(&plan, &fresh);
        self.state.adopt(
            plan.initial_status(std::process::id()),
            fresh.iter().cloned().collect(),
            reloaded(&difference),
        );
        let current = Current {
            project: chosen.project,
            plan: Arc::new(plan),
            choice,
        };
        self.replace(current);
        for (name, handle) in handles {
            self.apps.insert(name, handle);
        }
        self.bring_in(&difference, &coming).await;
        Ok(difference)
    }

    /// Says what of the new configuration is for the next start.
    fn tell_what_waits(&self, before: &Plan, plan: &Plan) {
        let (old, new) = (before.settings.hosts, plan.settings.hosts);
        if old != new {
            let message = format!(
                "`hosts: {}` takes effect at the next start of the project; until then it is `hosts: {}`",
                new.word(),
                old.word()
            );
            self.state.notice(Level::Warning, None, message);
        }
    }

    /// Ends what is not wanted any more, and what will be another one.
    async fn retire(&self, old: &Plan, difference: &Difference) {
        let going = set(difference.apps.going());
        for app in going.iter().filter_map(|name| self.apps.get(name)) {
            app.hold(true).await;
        }
        for group in stop_order(old) {
            let mut stopping = JoinSet::new();
            let group = group.into_iter().filter(|name| going.contains(name));
            for app in group.filter_map(|name| self.apps.remove(&name)) {
                stopping.spawn(async move {
                    app.stop(None).await;
                    app.end().await;
                });
            }
            stopping.join_all().await;
        }
        if let Some(tcpproxy) = self.tcpproxy.get() {
            let forwards: Vec<String> = difference.forwards.going().cloned().collect();
            routes::close(tcpproxy, old, &forwards).await;
        }
        if let Some(fwd) = self.fwd.get() {
            let forwards: Vec<String> = difference.forwards.going().cloned().collect();
            tunnels::close(fwd, old, &forwards).await;
        }
        if let Some(ipalias) = self.ipalias.get()
            && !difference.unused_hostnames.is_empty()
        {
            let release = ipalias::Release {
                names: difference.unused_hostnames.clone(),
            };
            if let Err(error) = ipalias.call(&release).await {
                tracing::warn!(%error, "host names that nobody uses any more could not be taken back");
            }
        }
        if let Some(watcher) = self.watcher.get() {
            let unwatch = watch::Unwatch {
                ids: going.into_iter().collect(),
            };
            if let Err(error) = watcher.call_if_there(&unwatch).await {
                tracing::debug!(%error, "a watch could not be ended");
            }
        }
    }

    /// Begins what is new.
    async fn bring_in(&self, difference: &Difference, coming: &HashSet<String>) {
        let current = self.current();
        let plan = &current.plan;
        let mut addresses = self.addresses();
        for hostname in &difference.unused_hostnames {
            addresses.forget_name(hostname);
        }
        if let Some(ipalias) = self.ipalias.get()
            && plan.hostnames.is_empty()
        {
            ipalias.wish(None);
        } else if let Some(ipalias) = self.ipalias.get() {
            self.assign_names(ipalias, plan, &mut addresses).await;
        }
        let forwards: Vec<String> = difference.forwards.coming().cloned().collect();
        self.open_forwards(plan, &mut addresses, Some(&forwards))
            .await;
        let surroundings = self.surroundings(&current, addresses);
        for app in &plan.apps {
            let Some(handle) = self.apps.get(&app.name) else {
                continue;
            };
            if coming.contains(&app.name) {
                handle.up(Arc::clone(&surroundings)).await;
            } else {
                handle.surroundings(Arc::clone(&surroundings)).await;
            }
        }
        if let (Some(watcher), Some(wanted)) = (self.watcher.get(), changes::wanted(plan)) {
            changes::watch(watcher, wanted, &self.state).await;
        }
    }

    /// Says when the configuration changed, or applies it at once.
    pub async fn follow_configuration(&self, mode: ReloadMode) {
        if mode == ReloadMode::Off {
            return;
        }
        loop {
            self.source.changed().await;
            match (self.read_again(), mode) {
                (Err(error), _) => {
                    self.state.notice(Level::Warning, None, error.message);
                }
                (Ok((chosen, choice)), ReloadMode::Auto) => {
                    if let Err(error) = self.apply(chosen, choice).await {
                        self.state.notice(Level::Error, None, error.to_string());
                    }
                }
                (Ok((chosen, _)), _) => {
                    let plan = self.plan_of(&chosen.project);
                    let difference = Difference::between(&self.current().plan, &plan);
                    if !difference.is_empty() {
                        let message = format!(
                            "the configuration changed: {}; `monday-supervisor reload {}` applies it",
                            difference.in_words(),
                            plan.project
                        );
                        self.state.notice(Level::Info, None, message);
                    }
                }
            }
        }
    }
}

pub(super) fn unreadable(error: SourceError) -> RpcError {
    let kind = match error {
        SourceError::Configuration(_) => ErrorKind::InvalidConfiguration,
        SourceError::Choice(_) => ErrorKind::NotFound,
    };
    RpcError::new(kind, error.to_string())
}

pub(super) fn set<'a>(names: impl Iterator<Item = &'a String>) -> HashSet<String> {
    names.cloned().collect()
}

pub(super) fn reloaded(difference: &Difference) -> Reloaded {
    let both = |what: fn(&plan::difference::Changes) -> &Vec<String>| {
        let (apps, forwards) = (what(&difference.apps), what(&difference.forwards));
        apps.iter().chain(forwards).cloned().collect()
    };
    Reloaded {
        added: both(|changes| &changes.added),
        changed: both(|changes| &changes.changed),
        removed: both(|changes| &changes.removed),
        failed: Vec::new(),
    }
}
