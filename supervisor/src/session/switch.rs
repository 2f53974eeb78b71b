//! `switch`: the other side of a name serves, and nobody who comes through its host name is refused meanwhile.
//!
//! Each side has an address of its own: the new one gets it under an alias (`forward.api.test`). When the new side is
//! ready, name and alias exchange their addresses in one rewrite of the hosts file. Who is connected to the old side stays
//! so, until nobody is.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use monday_shared::duration::Span;
use monday_shared::platform;
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::ipalias::{Assign, Exchange, NameSpec, Release};
use monday_shared::protocol::supervisor::{Level, ProjectStatus, Reloaded, Side, Wait};
use monday_shared::protocol::tcpproxy;
use monday_shared::rpc::client::ClientError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::reload::{reloaded, set, unreadable};
use super::{Current, Session};
use crate::control;
use crate::plan::Plan;
use crate::plan::difference::Difference;
use crate::wiring::addresses::Addresses;
use crate::wiring::pipeline::AppHandle;
use crate::wiring::progress::Progress;
use crate::wiring::{remote, routes, tunnels};

/// How long the old side serves on at least: for clients that looked the name up just before.
const AT_LEAST: Duration = Duration::from_secs(5);

/// How often it is looked whether somebody still uses the old side.
const LOOK: Duration = Duration::from_millis(250);

/// How long the new side may take to become ready.
const READY: Span = Span::from_secs(120);

/// What was switched away from.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    tasks: TaskTracker,
    hurry: std::sync::Mutex<CancellationToken>,
}

impl Leaving {
    /// Ends what is left of it, whoever uses it.
    pub(super) async fn at_once(&self) {
        let token = {
            let mut hurry = self.lock();
            std::mem::take(&mut *hurry)
        };
        token.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CancellationToken> {
        let hurry = self.hurry.lock();
        hurry.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One side of a name, as it ends.
struct Old {
    app: Option<AppHandle>,
    /// The forward and its routes.
    forward: Option<String>,
    plan: Arc<Current>,
    /// How everything was.
    status: ProjectStatus,
    /// Where it can be reached.
    ip: Option<IpAddr>,
    alias: Option<String>,
}

impl Session {
    /// Lets that side serve the name.
    ///
    /// # Errors
    /// The name has no such side, or that side does not become ready; then everything is as it was.
    pub async fn switch(self: Arc<Self>, name: String, side: Side) -> Result<Reloaded, RpcError> {
        let _one_at_a_time = self.applying.lock().await;
        self.leaving.at_once().await;
        let before = self.current();
        let (chosen, choice) = self
            .source
            .read(|project| before.choice.switched(project, &name, side))
            .map_err(unreadable)?;
        let mut plan = self.plan_of(&chosen.project);
        let difference = Difference::between(&before.plan, &plan);
        if difference.is_empty() {
            return Ok(reloaded(&difference));
        }
        let (coming, going) = one_for_one(&difference, side)?;
        let shared = hostname_of(&plan, &coming, side)
            .filter(|name| hostname_of(&before.plan, &going, other(side)).as_ref() == Some(name));
        let failed = |error: &dyn std::fmt::Display| {
            RpcError::new(ErrorKind::Failed, format!("{error}; nothing was changed"))
        };
        let settled = self.settle_names(&plan).await;
        settled.map_err(|error| failed(&error))?;
        if let Some(file) = self.naming().private_file() {
            // What runs goes on as it is.
            plan.see_hosts_in(file, |app| app.name == coming);
        }
        self.make_sidecars(&plan).map_err(|error| failed(&error))?;
        let coming_apps = set(difference.apps.coming());
        let handles = self
            .prepare(&plan, &coming_apps)
            .map_err(|error| failed(&error))?;
        let old_addresses = self.addresses();
        let mut addresses = old_addresses.clone();
        let mut alias = None;
        if let Some(hostname) = &shared {
            let given = self.give_alias(&plan, hostname, side, &mut addresses);
            alias = Some(given.await.map_err(|error| failed(&error))?);
        } else if let Some(ipalias) = self.ipalias.get()
            && !plan.hostnames.is_empty()
        {
            self.assign_names(ipalias, &plan, &mut addresses).await;
        }
        let old = Old {
            app: difference
                .apps
                .removed
                .first()
                .and_then(|name| self.apps.remove(name)),
            forward: difference.forwards.removed.first().cloned(),
            plan: Arc::clone(&before),
            status: self.state.status().await,
            ip: hostname_of(&before.plan, &going, other(side))
                .and_then(|name| old_addresses.of_name(&name)),
            alias: alias.clone(),
        };
        let fresh: HashSet<String> = HashSet::from([coming.clone()]);
        self.board.adopt(&plan, &fresh);
        self.state.adopt(
            plan.initial_status(std::process::id()),
            fresh,
            reloaded(&difference),
        );
        self.replace(Current {
            project: chosen.project,
            plan: Arc::new(plan),
            choice,
        });
        let current = self.current();
        let is_up = self.begin(&current, handles, addresses, &difference).await;
        let is_up = match is_up {
            Ok(()) => self.move_name(shared.as_deref(), alias.as_deref()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = is_up {
            self.go_back(old, &difference, old_addresses).await;
            return Err(failed(&error));
        }
        self.let_go(old, coming, side);
        Ok(reloaded(&difference))
    }

    /// An address for the new side of a host name, under an alias.
    async fn give_alias(
        &self,
        plan: &Plan,
        hostname: &str,
        side: Side,
        addresses: &mut Addresses,
    ) -> Result<String, ClientError> {
        let alias = match side {
            Side::Local => format!("local.{hostname}"),
            Side::Forward => format!("forward.{hostname}"),
        };
        let known = plan.hostnames.iter().find(|known| known.name == hostname);
        let mut spec = NameSpec::new(&alias);
        spec.ports = known.map(|known| known.ports.clone()).unwrap_or_default();
        if let Some(ipalias) = self.ipalias.get() {
            let assigned = ipalias.call(&Assign { names: vec![spec] }).await?;
            for name in &assigned.names {
                addresses.name(hostname, name.ip);
            }
        }
        Ok(alias)
    }

    /// Begins the new side, and waits until it is ready.
    async fn begin(
        &self,
        current: &Current,
        handles: Vec<(String, AppHandle)>,
        mut addresses: Addresses,
        difference: &Difference,
    ) -> Result<(), RpcError> {
        let plan = &current.plan;
        self.tell_addresses(plan, &addresses);
        let forwards: Vec<String> = difference.forwards.coming().cloned().collect();
        if let Some(fwd) = self.fwd.get()
            && !forwards.is_empty()
        {
            let (state, board) = (&self.state, &self.board);
            tunnels::open(fwd, plan, state, &mut addresses, board, Some(&forwards)).await;
            let now = self.plan_of_the_moment();
            remote::open(fwd, plan, now, state, board, Some(&forwards));
        }
        if let Some(tcpproxy) = self.tcpproxy.get()
            && !forwards.is_empty()
        {
            let (state, board) = (&self.state, &self.board);
            routes::open(
                tcpproxy,
                plan,
                state,
                &mut addresses,
                board,
                Some(&forwards),
            )
            .await;
        }
        let surroundings = self.surroundings(current, addresses);
        let mut names = forwards;
        for (name, handle) in handles {
            handle.up(Arc::clone(&surroundings)).await;
            self.apps.insert(name.clone(), handle);
            names.push(name);
        }
        let wait = Wait {
            names,
            timeout: Some(READY),
            ..Wait::default()
        };
        control::wait(self, wait).await.map(drop)
    }

    /// The host name leads to the new side.
    async fn move_name(&self, hostname: Option<&str>, alias: Option<&str>) -> Result<(), RpcError> {
        let (Some(ipalias), Some(hostname), Some(alias)) = (self.ipalias.get(), hostname, alias)
        else {
            return Ok(());
        };
        let exchange = Exchange {
            names: [hostname.to_owned(), alias.to_owned()],
        };
        let names = ipalias.call(&exchange).await.map_err(|error| match error {
            ClientError::Refused(error) => error,
            other => RpcError::new(ErrorKind::Internal, other.to_string()),
        })?;
        // A restarted monday-ipalias is told where the names lead now.
        let mut wished = ipalias.wished().unwrap_or(Assign { names: Vec::new() });
        for name in names.names {
            let known = wished.names.iter_mut();
            match known.into_iter().find(|known| known.name == name.name) {
                Some(known) => known.ip = Some(name.ip),
                None => wished.names.push(NameSpec {
                    ip: Some(name.ip),
                    ..NameSpec::new(&name.name)
                }),
            }
        }
        ipalias.wish(Some(wished));
        Ok(())
    }

    /// The old side serves on; what was begun of the new one ends.
    async fn go_back(&self, old: Old, difference: &Difference, addresses: Addresses) {
        let current = self.current();
        for app in difference
            .apps
            .coming()
            .filter_map(|name| self.apps.remove(name))
        {
            app.stop(None).await;
            app.end().await;
        }
        if let Some(tcpproxy) = self.tcpproxy.get() {
            let forwards: Vec<String> = difference.forwards.coming().cloned().collect();
            routes::close(tcpproxy, &current.plan, &forwards).await;
        }
        if let Some(fwd) = self.fwd.get() {
            let forwards: Vec<String> = difference.forwards.coming().cloned().collect();
            tunnels::close(fwd, &current.plan, &forwards).await;
        }
        self.take_alias(old.alias.as_deref()).await;
        let before = old.plan;
        self.board.adopt(&before.plan, &HashSet::new());
        // Nothing differs from what was before.
        let nothing = Reloaded::default();
        self.state
            .adopt(old.status.clone(), HashSet::new(), nothing);
        self.replace(Current {
            project: before.project.clone(),
            plan: Arc::clone(&before.plan),
            choice: before.choice.clone(),
        });
        // It is what it was, and nobody has to be told.
        drop(self.surroundings(&before, addresses.clone()));
        self.tell_addresses(&before.plan, &addresses);
        if let Some(app) = old.app {
            for name in &difference.apps.removed {
                self.apps.insert(name.clone(), app.clone());
            }
        }
        for app in &old.status.apps {
            if difference.apps.removed.contains(&app.name) {
                self.board.set(&app.name, Progress::of(&app.state));
            }
        }
        for name in &difference.forwards.removed {
            self.board.set(name, Progress::listening());
        }
    }

    /// The old side ends when nobody uses it, or when it has to.
    fn let_go(self: &Arc<Self>, old: Old, coming: String, side: Side) {
        let session = Arc::clone(self);
        let hurry = self.leaving.lock().clone();
        self.leaving.tasks.spawn(async move {
            tokio::select! {
                () = session.unused(&old) => {}
                () = hurry.cancelled() => {}
            }
            if let Some(app) = &old.app {
                app.stop(None).await;
                app.end().await;
            }
            if let (Some(tcpproxy), Some(forward)) = (session.tcpproxy.get(), &old.forward) {
                let forwards = std::slice::from_ref(forward);
                routes::close(tcpproxy, &old.plan.plan, forwards).await;
            }
            if let (Some(fwd), Some(forward)) = (session.fwd.get(), &old.forward) {
                tunnels::close(fwd, &old.plan.plan, std::slice::from_ref(forward)).await;
            }
            session.take_alias(old.alias.as_deref()).await;
            if side == Side::Forward {
                // An app of the same name said on its way out that it is not there.
                session.board.set(&coming, Progress::listening());
            }
            let message = "the other side, which was left, has ended".to_owned();
            session.state.notice(Level::Info, Some(coming), message);
        });
    }

    async fn take_alias(&self, alias: Option<&str>) {
        let (Some(ipalias), Some(alias)) = (self.ipalias.get(), alias) else {
            return;
        };
        if let Some(mut wished) = ipalias.wished() {
            wished.names.retain(|name| name.name != alias);
            ipalias.wish(Some(wished));
        }
        let release = Release {
            names: vec![alias.to_owned()],
        };
        if let Err(error) = ipalias.call_if_there(&release).await {
            tracing::debug!(%error, "an alias could not be taken back");
        }
    }

    /// Waits until nobody uses it, and for the least time at any rate.
    async fn unused(&self, old: &Old) {
        let least = Instant::now() + AT_LEAST;
        let mut was_told = false;
        loop {
            tokio::time::sleep(LOOK).await;
            if Instant::now() < least {
                continue;
            }
            let users = self.users(old).await;
            if users == 0 {
                return;
            }
            if !std::mem::replace(&mut was_told, true) {
                let message = format!("{users} connections still use the side that was left");
                let subject = old.forward.clone();
                self.state.notice(Level::Info, subject, message);
            }
        }
    }

    /// How many connections the old side has.
    async fn users(&self, old: &Old) -> usize {
        if let Some(forward) = &old.forward {
            let routes = self.tcpproxy_routes().await;
            let of_it = |route: &&tcpproxy::RouteStatus| {
                let mut ids = old.plan.plan.routes_of(forward);
                ids.any(|known| known.id == route.id)
            };
            let active = routes.iter().filter(of_it).map(|route| route.active);
            return usize::try_from(active.sum::<u64>()).unwrap_or(usize::MAX);
        }
        old.ip.map_or(0, platform::connections_to)
    }

    async fn tcpproxy_routes(&self) -> Vec<tcpproxy::RouteStatus> {
        self.routes().await.unwrap_or_default()
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Local => Side::Forward,
        Side::Forward => Side::Local,
    }
}

/// The one that comes and the one that goes.
fn one_for_one(difference: &Difference, side: Side) -> Result<(String, String), RpcError> {
    let (comes, goes) = match side {
        Side::Local => (&difference.apps, &difference.forwards),
        Side::Forward => (&difference.forwards, &difference.apps),
    };
    let only_that = comes.removed.is_empty()
        && comes.changed.is_empty()
        && goes.added.is_empty()
        && goes.changed.is_empty();
    match (comes.added.as_slice(), goes.removed.as_slice()) {
        ([coming], [going]) if only_that => Ok((coming.clone(), going.clone())),
        _ => Err(RpcError::new(
            ErrorKind::Conflict,
            format!(
                "more than that differs: {}; `monday-supervisor reload` first",
                difference.in_words()
            ),
        )),
    }
}

fn hostname_of(plan: &Plan, name: &str, side: Side) -> Option<String> {
    match side {
        Side::Local => plan
            .apps
            .iter()
            .find(|app| app.name == name)?
            .hostname
            .clone(),
        Side::Forward => {
            let forward = plan.forwards.iter().find(|it| it.name == name)?;
            forward.hostname.clone()
        }
    }
}
