//! A project that runs: its sidecars, brought up in the order of the plan and ended in the reverse of it.

mod readiness;
mod reload;
mod starter;
mod survivors;
mod switch;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use monday_shared::address_env::Variable;
use monday_shared::duration::Span;
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::run::Phase;
use monday_shared::protocol::supervisor::Level;
use monday_shared::protocol::{fwd, ipalias, tcpproxy, watch as watching};
use monday_shared::rpc::client::ClientError;
use monday_shared::state_dir::remote_journal;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::choice::Choice;
use crate::config::Project;
use crate::config::project::{Condition, Dependency};
use crate::error::Error;
use crate::escalate::CALLER_VARIABLES;
use crate::escalate::decide::Names;
use crate::files::Data;
use crate::naming::Naming;
use crate::plan::{self, App, Plan};
use crate::sidecar::keeper::Sidecar;
use crate::sidecar::launch::Launch;
use crate::sidecar::nursery::Nursery;
use crate::source::Source;
use crate::state::State;
use crate::wiring::addresses::Addresses;
use crate::wiring::changes::{self, Watcher};
use crate::wiring::names::{self, Ipalias};
use crate::wiring::pipeline::{AppHandle, Apps, Parts, Surroundings};
use crate::wiring::progress::{Board, stop_order};
use crate::wiring::remote;
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
    /// What runs, and where it comes from.
    current: watch::Sender<Arc<Current>>,
    source: Source,
    /// Held while another project becomes the one that runs.
    applying: tokio::sync::Mutex<()>,
    /// What was switched away from, and ends when nobody uses it any more.
    leaving: switch::Leaving,
    state: State,
    nursery: Nursery,
    starter: Starter,
    steps: Steps,
    /// Where host names go.
    naming: Arc<Mutex<Naming>>,
    /// Where they lead to their addresses, as it turned out.
    place: Mutex<Option<Names>>,
    /// The control socket of a monday-ipalias that may bind what we may not.
    ports_from: Mutex<Option<PathBuf>>,
    /// Each of them is started when it is needed first.
    ipalias: OnceLock<Ipalias>,
    fwd: OnceLock<Arc<Fwd>>,
    tcpproxy: OnceLock<Tcpproxy>,
    watcher: OnceLock<Watcher>,
    apps: Arc<Apps>,
    board: Arc<Board>,
    addresses: Mutex<Addresses>,
}

/// What runs.
#[derive(Debug)]
pub struct Current {
    /// What the files say.
    pub project: Project,
    /// What has to be true.
    pub plan: Arc<Plan>,
    /// What of the project was chosen.
    pub choice: Choice,
}

impl Session {
    /// Starts the sidecars that the plan needs; they have nothing to do yet.
    ///
    /// # Errors
    /// One of the executables is missing.
    pub fn start(
        current: Current,
        source: Source,
        naming: Naming,
        folder: &Path,
        state: State,
    ) -> Result<Self, Error> {
        survivors::end(folder, &state);
        let nursery = Nursery::default();
        let session = Self {
            source,
            applying: tokio::sync::Mutex::default(),
            leaving: switch::Leaving::default(),
            starter: Starter::new(folder, nursery.clone(), state.clone()),
            steps: Steps {
                nursery: nursery.clone(),
                state: state.clone(),
            },
            naming: Arc::new(Mutex::new(naming)),
            place: Mutex::default(),
            ports_from: Mutex::default(),
            ipalias: OnceLock::new(),
            fwd: OnceLock::new(),
            tcpproxy: OnceLock::new(),
            watcher: OnceLock::new(),
            apps: Arc::default(),
            board: Arc::new(Board::new(&current.plan)),
            addresses: Mutex::default(),
            current: watch::Sender::new(Arc::new(current)),
            state,
            nursery,
        };
        let current = session.current();
        session.make_sidecars(&current.plan)?;
        let all = current.plan.apps.iter().map(|app| app.name.clone());
        for (name, app) in session.prepare(&current.plan, &all.collect())? {
            session.apps.insert(name, app);
        }
        Ok(session)
    }

    /// Starts those sidecars of the whole project that this plan needs and that do not run yet.
    ///
    /// # Errors
    /// One of the executables is missing.
    fn make_sidecars(&self, plan: &Plan) -> Result<(), Error> {
        if !plan.hostnames.is_empty() && self.ipalias.get().is_none() {
            let (sidecar, news) = self.starter.keep(self.ipalias_launch()?, Bulk::Skip);
            let (state, naming) = (self.state.clone(), Arc::clone(&self.naming));
            let place = move || lock(&naming).names();
            tokio::spawn(names::watch(news, state, place));
            // Nobody else makes one: plans are applied one at a time.
            let _ = self.ipalias.set(sidecar);
        }
        let needed = !plan.tunnels.is_empty() || something_is_left_in_clusters();
        if needed && self.fwd.get().is_none() {
            let launch = self.starter.launch(fwd::NAME, None)?;
            let (sidecar, news) = self.starter.keep(launch, Bulk::Skip);
            let (state, board) = (self.state.clone(), Arc::clone(&self.board));
            tokio::spawn(tunnels::watch(
                news,
                self.plan_of_the_moment(),
                state,
                board,
            ));
            let _ = self.fwd.set(Arc::new(sidecar));
        }
        if !plan.routes.is_empty() && self.tcpproxy.get().is_none() {
            let launch = self.starter.launch(tcpproxy::NAME, None)?;
            let (sidecar, news) = self.starter.keep(launch, Bulk::Skip);
            tokio::spawn(routes::watch(news, self.state.clone()));
            let _ = self.tcpproxy.set(sidecar);
        }
        if changes::wanted(plan).is_some() && self.watcher.get().is_none() {
            let launch = self.starter.launch(watching::NAME, None)?;
            let (sidecar, news) = self.starter.keep(launch, Bulk::Skip);
            let apps = Arc::clone(&self.apps);
            tokio::spawn(changes::pass_on(news, apps, self.state.clone()));
            let _ = self.watcher.set(sidecar);
        }
        Ok(())
    }

    /// How monday-ipalias is started now.
    ///
    /// # Errors
    /// It is missing.
    fn ipalias_launch(&self) -> Result<Launch, Error> {
        let mut launch = self.starter.launch(ipalias::NAME, None)?;
        let naming = self.naming();
        naming.apply(&mut launch);
        // It serves us, not whoever opened the root shell that we may have been started from.
        launch.hidden = &CALLER_VARIABLES;
        let socket = naming.escalates().then(|| launch.socket.clone());
        *lock(&self.ports_from) = socket;
        Ok(launch)
    }

    /// Decides again where names go, for what the project becomes: monday-ipalias becomes root now if it has to and needs
    /// no password for it, and apps get a hosts file of their own where that is the way.
    ///
    /// # Errors
    /// monday-ipalias is missing.
    async fn settle_names(&self, plan: &Plan) -> Result<(), Error> {
        let before = self.naming();
        let (naming, plan) = (before.clone(), plan.clone());
        // sudo is asked, and an answer may take it a while.
        let settled = tokio::task::spawn_blocking(move || naming.settle_again(&plan)).await;
        let Some(naming) = settled.unwrap_or(Ok(None))? else {
            return Ok(());
        };
        if let Some(warning) = naming.warning() {
            self.state.notice(Level::Warning, None, warning.to_owned());
        }
        let otherwise = naming.starts_otherwise(&before);
        *lock(&self.naming) = naming;
        if let (true, Some(ipalias)) = (otherwise, self.ipalias.get()) {
            ipalias.relaunch(self.ipalias_launch()?).await;
        }
        Ok(())
    }

    /// Where host names go.
    #[must_use]
    pub fn naming(&self) -> Naming {
        lock(&self.naming).clone()
    }

    /// Waits until monday-ipalias is there, if the project needs one.
    pub async fn has_ipalias(&self) {
        if let Some(ipalias) = self.ipalias.get() {
            ipalias.connected().await;
        }
    }

    /// Whether monday-ipalias was root and could not become it again: then its lines stay in the hosts file.
    #[must_use]
    pub fn has_lost_root(&self) -> bool {
        self.ipalias.get().is_some_and(Sidecar::has_lost_root)
    }

    /// The handles of these apps of the plan; nothing of them runs yet but their guardians.
    ///
    /// # Errors
    /// One of the executables is missing.
    fn prepare(
        &self,
        plan: &Plan,
        names: &HashSet<String>,
    ) -> Result<Vec<(String, AppHandle)>, Error> {
        let apps = plan.apps.iter().filter(|app| names.contains(&app.name));
        apps.map(|app| {
            let guardian = match app.run {
                Some(_) => Some(self.starter.guard(app, &self.board)?),
                None => None,
            };
            let parts = Parts {
                app: app.clone(),
                guardian,
                step_launch: self.starter.launch_step(&app.name)?,
                steps: self.steps.clone(),
                board: Arc::clone(&self.board),
                state: self.state.clone(),
            };
            Ok((app.name.clone(), AppHandle::start(parts)))
        })
        .collect()
    }

    /// What runs.
    #[must_use]
    pub fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.borrow())
    }

    fn replace(&self, current: Current) {
        self.current.send_replace(Arc::new(current));
    }

    fn addresses(&self) -> Addresses {
        lock(&self.addresses).clone()
    }

    /// What apps find around them, from the addresses as they are now, which are kept.
    fn surroundings(&self, current: &Current, addresses: Addresses) -> Arc<Surroundings> {
        let mut environment = current.plan.env.clone();
        let place = *lock(&self.place);
        environment.extend(place.map(|place| (NAMES_VARIABLE.to_owned(), place.to_string())));
        environment.extend(addresses.environment(&current.plan));
        let templates = Data::of(&current.project, |name| addresses.of_name(name));
        *lock(&self.addresses) = addresses;
        Arc::new(Surroundings {
            environment,
            templates,
        })
    }

    /// Gives every host name of the plan its address, and says what the apps' are.
    async fn assign_names(&self, ipalias: &Ipalias, plan: &Plan, addresses: &mut Addresses) {
        let names = self.naming().names();
        let place = names::assign(ipalias, plan, names, &self.state, addresses).await;
        *lock(&self.place) = Some(place);
        if let Some(socket) = lock(&self.ports_from).as_ref() {
            addresses.given_by(socket);
        }
        addresses.without_root(self.naming().no_root());
        self.tell_addresses(plan, addresses);
    }

    /// The plan of a project, whose processes see the hosts file that is theirs.
    fn plan_of(&self, project: &Project) -> Plan {
        let mut plan = plan::plan(project);
        if let Some(file) = self.naming().private_file() {
            plan.see_hosts(file);
        }
        plan
    }

    fn tell_addresses(&self, plan: &Plan, addresses: &Addresses) {
        for app in &plan.apps {
            let hostname = app.hostname.as_deref();
            if let Some(ip) = hostname.and_then(|name| addresses.of_name(name)) {
                self.state.app_address(&app.name, ip);
            }
        }
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
        let current = self.current();
        let apps = current.plan.apps.iter();
        apps.map(|app| app.name.clone()).collect()
    }

    /// The forwards' names, in the order of the files.
    #[must_use]
    pub fn forward_names(&self) -> Vec<String> {
        let current = self.current();
        let forwards = current.plan.forwards.iter();
        forwards.map(|forward| forward.name.clone()).collect()
    }

    /// What monday-tcpproxy says of its routes; nothing where it does not run.
    pub async fn routes(&self) -> Option<Vec<tcpproxy::RouteStatus>> {
        let listed = self.tcpproxy.get()?.call_if_there(&tcpproxy::List {});
        Some(listed.await.ok()??.routes)
    }

    /// Opens a forward anew.
    ///
    /// # Errors
    /// It could not be opened.
    pub async fn reconnect(&self, forward: &str) -> Result<(), RpcError> {
        let current = self.current();
        if let Some(fwd) = self.fwd.get() {
            let reopened = tunnels::reopen(fwd, &current.plan, forward).await;
            reopened.map_err(|error| match error {
                ClientError::Refused(error) => error,
                other => RpcError::new(ErrorKind::Internal, other.to_string()),
            })?;
        }
        match self.tcpproxy.get() {
            Some(tcpproxy) => {
                let plan = &current.plan;
                routes::reopen(tcpproxy, plan, forward, &self.state, &self.board).await
            }
            None => Ok(()),
        }
    }

    /// Stops these apps until they are started again, those that depend on others before them.
    pub async fn halt(&self, names: &HashSet<String>, timeout: Option<Span>) {
        for app in names.iter().filter_map(|name| self.apps.get(name)) {
            app.hold(false).await;
        }
        for group in stop_order(&self.current().plan) {
            let mut stopping = JoinSet::new();
            let group = group.iter().filter(|name| names.contains(*name));
            for app in group.filter_map(|name| self.apps.get(name)) {
                stopping.spawn(async move { app.halt(timeout).await });
            }
            stopping.join_all().await;
        }
    }

    /// Makes the plan true, in its order, and returns the addresses for environments.
    pub async fn bring_up(&self) -> Vec<Variable> {
        let current = self.current();
        let plan = &current.plan;
        for (subject, note) in &plan.notes {
            let subject = Some(subject.clone());
            self.state.notice(Level::Info, subject, note.clone());
        }
        let mut addresses = Addresses::default();
        if let Some(ipalias) = self.ipalias.get() {
            self.assign_names(ipalias, plan, &mut addresses).await;
        }
        self.open_forwards(plan, &mut addresses, None).await;
        let surroundings = self.surroundings(&current, addresses);
        for app in self.apps.all() {
            app.up(Arc::clone(&surroundings)).await;
        }
        if let (Some(watcher), Some(wanted)) = (self.watcher.get(), changes::wanted(plan)) {
            changes::watch(watcher, wanted, &self.state).await;
        }
        self.until_started(plan).await;
        surroundings.environment.clone()
    }

    /// Opens the forwards of the plan, or only those of these names: the tunnels first, then what leads to them.
    async fn open_forwards(&self, plan: &Plan, addresses: &mut Addresses, only: Option<&[String]>) {
        let (state, board) = (&self.state, &self.board);
        if let Some(fwd) = self.fwd.get() {
            tunnels::open(fwd, plan, state, addresses, board, only).await;
            remote::open(fwd, plan, self.plan_of_the_moment(), state, board, only);
        }
        if let Some(tcpproxy) = self.tcpproxy.get() {
            routes::open(tcpproxy, plan, state, addresses, board, only).await;
        }
    }

    /// What has to be true, whenever it is asked for.
    fn plan_of_the_moment(&self) -> impl Fn() -> Arc<Plan> + Send + Sync + use<> {
        let current = self.current.subscribe();
        move || Arc::clone(&current.borrow().plan)
    }

    /// Waits until every app that has nothing to wait for and nothing to build was started, or could not be.
    async fn until_started(&self, plan: &Plan) {
        let at_once = |app: &&App| {
            app.run.is_some()
                && app.depends_on.is_empty()
                && app.setup.is_none()
                && app.build.is_none()
        };
        for app in plan.apps.iter().filter(at_once) {
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
        self.leaving.at_once().await;
        let all = self.stop_in_order(timeout);
        tokio::pin!(all);
        if tokio::time::timeout(TELL_AFTER, &mut all).await.is_err() {
            self.tell_who_runs().await;
            all.await;
        }
    }

    async fn stop_in_order(&self, timeout: Option<Span>) {
        // What leads to the apps from a cluster is put back meanwhile.
        let put_back = async {
            if let Some(fwd) = self.fwd.get() {
                remote::close_all(fwd, &self.current().plan).await;
            }
        };
        tokio::join!(put_back, self.stop_groups(timeout));
    }

    async fn stop_groups(&self, timeout: Option<Span>) {
        for app in self.apps.all() {
            app.hold(true).await;
        }
        for group in stop_order(&self.current().plan) {
            let mut stopping = JoinSet::new();
            for app in group.iter().filter_map(|name| self.apps.get(name)) {
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
        for app in self.apps.all() {
            ending.spawn(async move { app.end().await });
        }
        if let Some(watcher) = self.watcher.get() {
            watcher.end().await;
        }
        if let Some(tcpproxy) = self.tcpproxy.get() {
            tcpproxy.end().await;
        }
        if let Some(fwd) = self.fwd.get() {
            fwd.end().await;
        }
        if let Some(ipalias) = self.ipalias.get() {
            // Its names go with it.
            ipalias.end().await;
        }
        ending.join_all().await;
        self.nursery.end_strays().await;
    }
}

/// Whether a monday-fwd that died has noted something that its next start puts back.
fn something_is_left_in_clusters() -> bool {
    let notes = remote_journal().and_then(|folder| std::fs::read_dir(folder).ok());
    let mut notes = notes.into_iter().flatten().flatten();
    notes.any(|note| {
        note.path()
            .extension()
            .is_some_and(|ending| ending == "json")
    })
}

/// What is in there; a thread that panicked with it left it whole, for every change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
