//! One app from its folder to its process: what it depends on, `setup`, `files`, `build`, `run`; and again from `build`
//! when something changed.
//!
//! [`AppHandle`] is the handle, [`Pipeline`] the task. The task does one piece of work at a time; a newer order cancels
//! it where that is right. The process itself belongs to the [`Guardian`], so an old process serves on while a new one
//! is built.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use monday_shared::address_env::Variable;
use monday_shared::duration::Span;
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::run::{Exit, Phase, State as RunState};
use monday_shared::protocol::supervisor::{Level, Stage};
use monday_shared::protocol::watch::Changed;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::app::Guardian;
use super::change_filter::{ChangeFilter, Verdict};
use super::progress::{Board, Progress, word};
use super::run_spec;
use super::step::{StepError, Steps};
use super::traces::{self, Listed, Traces};
use crate::files;
use crate::plan::{App, Step};
use crate::sidecar::launch::Launch;
use crate::state::State;

/// What happened before a build is told at most so long after its end; see `without_preparation`.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// How many orders wait for the task.
const ORDERS_AHEAD: usize = 16;

/// What is known once names and listeners are there, the same for all apps.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// What every app finds in its environment, before its own.
    pub environment: Vec<Variable>,
    /// What templates are rendered from.
    pub templates: files::Data,
}

/// What an app is told.
#[derive(Debug)]
enum Order {
    Up(Arc<Surroundings>),
    /// Something else of the project changed: for the next start.
    Surroundings(Arc<Surroundings>),
    Changed(Changed),
    Restart(oneshot::Sender<Result<RunState, RpcError>>),
    Start(Ticket),
    /// A stop is coming: nothing that was not begun yet is begun any more.
    Hold {
        /// It is the last one.
        for_good: bool,
    },
    /// A person's stop: it may be started again.
    Halt(Option<Span>, oneshot::Sender<()>),
    /// The last stop.
    Stop(Option<Span>, oneshot::Sender<()>),
}

/// Who waits for an app to be started.
type Ticket = oneshot::Sender<Result<(), RpcError>>;

/// The handle of an app.
#[derive(Clone, Debug)]
pub struct AppHandle {
    orders: mpsc::Sender<Order>,
    guardian: Option<Arc<Guardian>>,
}

/// The apps of a project, by name. They come and go with the configuration.
#[derive(Debug, Default)]
pub struct Apps(Mutex<HashMap<String, AppHandle>>);

impl Apps {
    /// The app of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<AppHandle> {
        self.lock().get(name).cloned()
    }

    /// Every app.
    #[must_use]
    pub fn all(&self) -> Vec<AppHandle> {
        self.lock().values().cloned().collect()
    }

    /// An app comes, or replaces the one of its name.
    pub fn insert(&self, name: String, app: AppHandle) {
        self.lock().insert(name, app);
    }

    /// An app goes.
    pub fn remove(&self, name: &str) -> Option<AppHandle> {
        self.lock().remove(name)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, AppHandle>> {
        // A panic elsewhere cannot leave the map in a state that matters more than going on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pieces that an app is made of.
#[derive(Debug)]
pub struct Parts {
    /// What it is.
    pub app: App,
    /// Who runs it; nothing for an app that is done when it is built.
    pub guardian: Option<Arc<Guardian>>,
    /// How to start the monday-run of a step of that name.
    pub step_launch: Launch,
    /// Who runs steps.
    pub steps: Steps,
    /// How far the others are.
    pub board: Arc<Board>,
    /// Who is told.
    pub state: State,
}

impl AppHandle {
    /// Starts the task of an app; nothing runs yet.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let (orders, to_do) = mpsc::channel(ORDERS_AHEAD);
        let guardian = parts.guardian.clone();
        let pipeline = Pipeline {
            parts: Arc::new(parts),
            surroundings: None,
            prepared: false,
            stopped: false,
            halting: None,
            tickets: Vec::new(),
            work: None,
            filter: ChangeFilter::default(),
            prepared_at: None,
            traces: Traces::default(),
            again: false,
        };
        tokio::spawn(pipeline.run(to_do));
        Self { orders, guardian }
    }

    /// Brings the app up as soon as what it depends on is there.
    pub async fn up(&self, surroundings: Arc<Surroundings>) {
        self.order(Order::Up(surroundings)).await;
    }

    /// What is around it is another: it finds that at its next start.
    pub async fn surroundings(&self, surroundings: Arc<Surroundings>) {
        self.order(Order::Surroundings(surroundings)).await;
    }

    /// Something that it watches changed: it is built and started again.
    pub async fn changed(&self, changed: Changed) {
        self.order(Order::Changed(changed)).await;
    }

    /// Starts the app again, and returns how it is then.
    ///
    /// # Errors
    /// It could not be started, or it is not up yet.
    pub async fn restart(&self) -> Result<RunState, RpcError> {
        let (reply, replied) = oneshot::channel();
        self.order(Order::Restart(reply)).await;
        replied.await.unwrap_or_else(|_| {
            Err(RpcError::new(
                ErrorKind::ShuttingDown,
                "the project is being stopped",
            ))
        })
    }

    /// Starts the app if it does not run; returns when it runs or has failed, as its state says.
    ///
    /// # Errors
    /// It was not brought up yet, or the project is being stopped.
    pub async fn start_again(&self) -> Result<(), RpcError> {
        let (reply, replied) = oneshot::channel();
        self.order(Order::Start(reply)).await;
        replied.await.unwrap_or(Ok(()))
    }

    /// Sends the app a signal.
    ///
    /// # Errors
    /// It does not run, or there is no such signal.
    pub async fn signal(&self, signal: String) -> Result<(), RpcError> {
        match &self.guardian {
            Some(guardian) => guardian.signal(signal).await,
            None => Err(RpcError::new(
                ErrorKind::Conflict,
                "it has no `run`, so there is no process to send a signal to",
            )),
        }
    }

    /// Gives up what is done for the app, and begins nothing new; what runs goes on until it is stopped. Apps are stopped
    /// one after another, and none of those that come later may start because of what happens meanwhile.
    pub async fn hold(&self, for_good: bool) {
        self.order(Order::Hold { for_good }).await;
    }

    /// Stops whatever is done for the app and all of its processes until it is started again; `timeout` instead of its
    /// own.
    pub async fn halt(&self, timeout: Option<Span>) {
        let (done, stopped) = oneshot::channel();
        self.order(Order::Halt(timeout, done)).await;
        // An error means that the task is gone, and what it did with it.
        let _ = stopped.await;
    }

    /// Stops whatever is done for the app and all of its processes for good; `timeout` instead of its own.
    pub async fn stop(&self, timeout: Option<Span>) {
        let (done, stopped) = oneshot::channel();
        self.order(Order::Stop(timeout, done)).await;
        // An error means that the task is gone, and what it did with it.
        let _ = stopped.await;
    }

    /// Ends the app's monday-run.
    pub async fn end(&self) {
        if let Some(guardian) = &self.guardian {
            guardian.end().await;
        }
    }

    async fn order(&self, order: Order) {
        // The task lives as long as a handle does.
        let _ = self.orders.send(order).await;
    }
}

/// A piece of work that is under way.
struct Work {
    kind: Kind,
    cancel: CancellationToken,
    /// When it began.
    began: SystemTime,
    /// The files before the first build.
    listed: Arc<OnceLock<Arc<Listed>>>,
    /// When the build ended, of what comes after it as well.
    built: Arc<OnceLock<SystemTime>>,
    /// Resolves to whether it went well.
    done: Pin<Box<dyn Future<Output = bool> + Send>>,
}

/// What a piece of work is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// All that comes before `build`. A change meanwhile needs nothing: the build will see it.
    Prepare,
    /// From `build` to the new process. A change meanwhile makes it begin again.
    Build,
}

/// The task.
struct Pipeline {
    parts: Arc<Parts>,
    surroundings: Option<Arc<Surroundings>>,
    /// Everything that comes before `build` is done.
    prepared: bool,
    /// It was told to stop: nothing is begun any more.
    stopped: bool,
    /// Ends when what a person stopped has ended.
    halting: Option<JoinHandle<()>>,
    /// Who waits for the work under way.
    tickets: Vec<Ticket>,
    work: Option<Work>,
    filter: ChangeFilter,
    /// When everything before the last first build had been done.
    prepared_at: Option<SystemTime>,
    /// What the last build left.
    traces: Traces,
    /// Once the build under way is done, it is done again.
    again: bool,
}

impl Pipeline {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                (kind, well) = finished(&mut self.work) => self.done(kind, well),
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return self.cancel().await,
                }
            }
        }
    }

    fn done(&mut self, kind: Kind, well: bool) {
        let work = self.work.take();
        let given_up = work.as_ref().is_some_and(|work| work.cancel.is_cancelled());
        match kind {
            Kind::Prepare if well && !given_up => {
                self.prepared = true;
                self.prepared_at = Some(SystemTime::now());
                self.filter.prepared();
                self.begin(Kind::Build);
            }
            Kind::Prepare => self.punch_tickets(),
            Kind::Build => {
                if let Some(work) = &work {
                    self.built(work);
                }
                self.filter.build_ends(Instant::now());
                if well {
                    self.filter.app_starts(Instant::now());
                }
                if std::mem::take(&mut self.again) {
                    self.begin(Kind::Build);
                } else {
                    self.punch_tickets();
                }
            }
        }
    }

    async fn changed(&mut self, changed: Changed) {
        let Some(mut told) = self.without_preparation(changed) else {
            return;
        };
        let traces = match &self.work {
            Some(work) => work.traces(&self.traces),
            None => self.traces.clone(),
        };
        match self.filter.changed(&told.paths, &traces, Instant::now()) {
            Verdict::Now => {
                self.cancel().await;
                // The cause comes first, and then what the build itself left behind.
                told.paths.sort_by_key(|path| !traces.is_later(path));
                self.parts.tell(Level::Info, format!("{told} changed"));
                self.begin(Kind::Build);
            }
            Verdict::AfterThisBuild => self.again = true,
            Verdict::Nothing => {}
            Verdict::Suspend(path) => self.parts.tell(
                Level::Warning,
                format!(
                    "{path} changes each time that it starts, so its changes are not followed any more; \
                     exclude that path (`watch: {{exclude: [...]}}`), then restart the app"
                ),
            ),
        }
    }

    /// The change without what `setup` and `files` have done: the first build has seen that. Nothing if nothing is left.
    fn without_preparation(&self, mut changed: Changed) -> Option<Changed> {
        let app = &self.parts.app;
        let prepares = app.setup.is_some() || !app.files.is_empty();
        let prepared_at = self.prepared_at.filter(|prepared_at| {
            let is_recent = |at: SystemTime| at.elapsed().is_ok_and(|gone| gone < TOLD_WITHIN);
            // Clocks of other machines must not hide a change for ever.
            let builds = self
                .traces
                .built
                .is_none_or(|built| built < *prepared_at || is_recent(built));
            prepares && builds
        });
        let named = changed.paths.len();
        changed.paths.retain(|path| {
            let seen = prepared_at.is_some_and(|at| traces::is_not_later(path, at));
            !seen && !files::write::is_temporary(path)
        });
        let dropped = named - changed.paths.len();
        changed.count = changed.count.saturating_sub(dropped as u64);
        (dropped == 0 || !changed.paths.is_empty()).then_some(changed)
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Up(_) if self.stopped => {}
            Order::Up(surroundings) => {
                self.surroundings = Some(surroundings);
                self.begin(Kind::Prepare);
            }
            Order::Surroundings(surroundings) => self.surroundings = Some(surroundings),
            // What is not prepared has not been built: its build will see the change.
            Order::Changed(changed) if self.prepared && !self.stopped => {
                self.changed(changed).await;
            }
            Order::Changed(_) => {}
            Order::Restart(reply) => self.restart(reply),
            Order::Start(ticket) => self.start(ticket),
            Order::Hold { for_good } => self.hold(for_good),
            Order::Halt(timeout, done) => self.halting = Some(self.halt(timeout, done)),
            Order::Stop(timeout, done) => {
                self.stopped = true;
                drop(self.halt(timeout, done));
            }
        }
    }

    /// Gives up the work under way. Not awaited here: a stop must get through meanwhile.
    fn hold(&mut self, for_good: bool) {
        self.stopped |= for_good;
        self.again = false;
        if let Some(work) = &self.work {
            work.cancel.cancel();
        }
    }

    /// Stops everything. Not awaited here: a second stop with less patience must get through.
    fn halt(&mut self, timeout: Option<Span>, done: oneshot::Sender<()>) -> JoinHandle<()> {
        self.prepared = false;
        self.again = false;
        self.punch_tickets();
        let work = self.work.take();
        let parts = Arc::clone(&self.parts);
        tokio::spawn(async move {
            if let Some(work) = work {
                work.cancel.cancel();
                work.done.await;
            }
            if let Some(guardian) = &parts.guardian {
                guardian.stop(timeout).await;
            }
            // Whoever asked may have gone.
            let _ = done.send(());
        })
    }

    /// A person asks for an app that does not run.
    fn start(&mut self, ticket: Ticket) {
        let refusal = match &self.surroundings {
            _ if self.stopped => Some((ErrorKind::ShuttingDown, "is being stopped")),
            None => Some((
                ErrorKind::Busy,
                "was not brought up yet: it will be started",
            )),
            _ => None,
        };
        if let Some((kind, why)) = refusal {
            let message = format!("`{}` {why}", self.parts.app.name);
            // Whoever asked may have gone.
            let _ = ticket.send(Err(RpcError::new(kind, message)));
            return;
        }
        self.tickets.push(ticket);
        let guardian = self.parts.guardian.as_ref();
        let halted = self.halting.is_some();
        let runs = !halted && guardian.is_some_and(|guardian| guardian.runs());
        match self.work {
            Some(_) => {}
            None if runs => self.punch_tickets(),
            None => {
                self.filter.reset();
                self.begin(Kind::Prepare);
            }
        }
    }

    /// Tells those who wait for a start that it is over, well or not: how it is says the state.
    fn punch_tickets(&mut self) {
        for ticket in self.tickets.drain(..) {
            // Whoever asked may have gone.
            let _ = ticket.send(Ok(()));
        }
    }

    /// A person asks: what went wrong before is forgiven, and what never came up begins again.
    fn restart(&mut self, reply: oneshot::Sender<Result<RunState, RpcError>>) {
        self.filter.reset();
        let refusal = match (&self.surroundings, &self.parts.guardian) {
            _ if self.stopped => Some((ErrorKind::ShuttingDown, "is being stopped")),
            (None, _) => Some((ErrorKind::Busy, "was not started yet")),
            (_, None) => Some((ErrorKind::Conflict, "has no `run` to start again")),
            _ => None,
        };
        if let Some((kind, why)) = refusal {
            let message = format!("`{}` {why}", self.parts.app.name);
            // Whoever asked may have gone.
            let _ = reply.send(Err(RpcError::new(kind, message)));
            return;
        }
        if !self.prepared {
            if self.work.is_none() {
                self.begin(Kind::Prepare);
            }
            let _ = reply.send(Ok(RunState::default()));
            return;
        }
        let (parts, surroundings) = (Arc::clone(&self.parts), self.surroundings.clone());
        // Not awaited here: it takes as long as the app takes to stop, and a stop must get through meanwhile.
        tokio::spawn(async move {
            if let (Some(guardian), Some(surroundings)) = (&parts.guardian, surroundings) {
                let _ = reply.send(guardian.restart(&surroundings.environment).await);
            }
        });
    }

    fn begin(&mut self, kind: Kind) {
        let Some(surroundings) = self.surroundings.clone() else {
            return;
        };
        if kind == Kind::Build && self.parts.app.build.is_some() {
            self.filter.build_begins();
        }
        let cancel = CancellationToken::new();
        let built = Arc::new(OnceLock::new());
        let when_built = Arc::clone(&built);
        let listed = Arc::new(OnceLock::new());
        let place = Arc::clone(&listed);
        let is_first = kind == Kind::Build && self.filter.is_first();
        let (parts, token) = (Arc::clone(&self.parts), cancel.clone());
        let halting = self.halting.take();
        let done = async move {
            if let Some(halting) = halting {
                // What is being stopped ends first. A task of ours does not panic.
                let _ = halting.await;
            }
            let ended = match kind {
                Kind::Prepare => parts.prepare(&surroundings, &token).await,
                Kind::Build => {
                    if is_first && let Some(files) = parts.list().await {
                        let _ = place.set(Arc::new(files));
                    }
                    let ended = parts.build(&surroundings, &token).await;
                    // What is written from now on was not written by the build.
                    let _ = when_built.set(SystemTime::now());
                    match ended {
                        Ok(()) => parts.start(&surroundings, &token).await,
                        Err(error) => Err(error),
                    }
                }
            };
            parts.settle(kind, &ended);
            ended.is_ok()
        };
        self.work = Some(Work {
            kind,
            cancel,
            began: SystemTime::now(),
            listed,
            built,
            done: Box::pin(done),
        });
    }

    /// Keeps what a build has left that has ended.
    fn built(&mut self, work: &Work) {
        let mut traces = work.traces(&self.traces);
        traces.built.get_or_insert_with(SystemTime::now);
        self.traces = traces;
    }

    /// Gives up the work under way; none of its processes is left.
    async fn cancel(&mut self) {
        if let Some(mut work) = self.work.take() {
            work.cancel.cancel();
            work.done.as_mut().await;
            if work.kind == Kind::Build {
                self.built(&work);
                self.filter.build_is_given_up(Instant::now());
            }
        }
        self.again = false;
    }
}

impl Work {
    /// What a build leaves until now, and before it the one from `before`.
    fn traces(&self, before: &Traces) -> Traces {
        Traces {
            began: Some(self.began),
            built: self.built.get().copied(),
            listed: self.listed.get().cloned().or_else(|| before.listed.clone()),
        }
    }
}

async fn finished(work: &mut Option<Work>) -> (Kind, bool) {
    match work {
        Some(work) => (work.kind, work.done.as_mut().await),
        None => std::future::pending().await,
    }
}

impl Parts {
    /// What comes before `build`, once what it depends on is there.
    async fn prepare(
        &self,
        surroundings: &Arc<Surroundings>,
        cancel: &CancellationToken,
    ) -> Result<(), StepError> {
        self.wait_for_dependencies(cancel).await?;
        self.setup(surroundings, cancel).await?;
        self.write_files(surroundings).await
    }

    /// From the end of `build` to the new process; the old one, if there is one, serves until then.
    async fn start(
        &self,
        surroundings: &Surroundings,
        cancel: &CancellationToken,
    ) -> Result<(), StepError> {
        self.stage(None);
        let Some(guardian) = &self.guardian else {
            // It is done when it is built.
            let nothing = self.app.build.is_none().then_some("it has nothing to run");
            self.is(RunState {
                phase: Phase::Exited,
                exit: Some(Exit::Code(0)),
                reason: nothing.map(str::to_owned),
                ..RunState::default()
            });
            return Ok(());
        };
        let environment = &surroundings.environment;
        let signal = self
            .app
            .watch
            .as_ref()
            .and_then(|watch| watch.signal.clone());
        let begun = async {
            match signal {
                _ if !guardian.was_started() => {
                    guardian.start(environment).await;
                    Ok(())
                }
                Some(signal) => guardian.signal(signal).await,
                None => guardian.restart(environment).await.map(|_| ()),
            }
        };
        // A monday-run that cannot be started must not keep a stop waiting.
        tokio::select! {
            begun = begun => begun.map_err(|error| StepError::Failed(error.to_string())),
            () = cancel.cancelled() => Err(StepError::Cancelled),
        }
    }

    /// Says how a piece of work ended, unless it ended well.
    fn settle(&self, kind: Kind, ended: &Result<(), StepError>) {
        self.stage(None);
        let Err(StepError::Failed(why)) = ended else {
            return;
        };
        let old_one_runs = self
            .guardian
            .as_ref()
            .is_some_and(|guardian| guardian.was_started());
        if kind == Kind::Build && old_one_runs {
            self.tell(
                Level::Error,
                format!("{why}; the process from before goes on"),
            );
        } else {
            self.is(RunState {
                phase: Phase::Failed,
                reason: Some(why.clone()),
                ..RunState::default()
            });
        }
    }

    async fn wait_for_dependencies(&self, cancel: &CancellationToken) -> Result<(), StepError> {
        for dependency in &self.app.depends_on {
            let what = format!("{} ({})", dependency.name, word(dependency.condition));
            self.stage(Some(Stage::Waiting { on: what }));
            tokio::select! {
                there = self.board.wait(dependency) => there.map_err(StepError::Failed)?,
                () = cancel.cancelled() => return Err(StepError::Cancelled),
            }
        }
        Ok(())
    }

    async fn setup(
        &self,
        surroundings: &Surroundings,
        cancel: &CancellationToken,
    ) -> Result<(), StepError> {
        let (Some(step), Some(path)) = (&self.app.setup, &self.app.path) else {
            return Ok(());
        };
        if path.exists() {
            return Ok(());
        }
        self.stage(Some(Stage::Setup));
        self.step("setup", step, surroundings, cancel).await?;
        if path.exists() {
            return Ok(());
        }
        Err(StepError::Failed(format!(
            "setup ended well but did not make {}: let it make that folder, or name the one that it makes as `path`",
            path.display()
        )))
    }

    async fn write_files(&self, surroundings: &Arc<Surroundings>) -> Result<(), StepError> {
        if self.app.files.is_empty() {
            return Ok(());
        }
        self.stage(Some(Stage::Files));
        let (files, surroundings) = (self.app.files.clone(), Arc::clone(surroundings));
        // The disk may be slow: everything else goes on meanwhile.
        let written = tokio::task::spawn_blocking(move || {
            files::write(&files, &surroundings.templates).map_err(|error| error.to_string())
        });
        let written = written.await.unwrap_or_else(|error| Err(error.to_string()));
        written.map_err(StepError::Failed)
    }

    /// The files that are watched, if something may be written among them.
    async fn list(&self) -> Option<Listed> {
        let watch = self
            .app
            .watch
            .as_ref()
            .filter(|_| self.app.build.is_some())?;
        let paths = match watch.paths.as_slice() {
            [] => vec![self.app.path.clone()?],
            paths => paths.to_vec(),
        };
        // The disk may be slow: everything else goes on meanwhile.
        let listed = tokio::task::spawn_blocking(move || traces::list(paths));
        listed.await.ok().flatten()
    }

    async fn build(
        &self,
        surroundings: &Surroundings,
        cancel: &CancellationToken,
    ) -> Result<(), StepError> {
        let Some(step) = &self.app.build else {
            return Ok(());
        };
        self.stage(Some(Stage::Build));
        self.step("build", step, surroundings, cancel).await
    }

    async fn step(
        &self,
        name: &str,
        step: &Step,
        surroundings: &Surroundings,
        cancel: &CancellationToken,
    ) -> Result<(), StepError> {
        let failed = |why: String| StepError::Failed(format!("{name} failed: {why}"));
        let spec = tokio::select! {
            spec = run_spec::of_step(step, &surroundings.environment) => spec,
            () = cancel.cancelled() => return Err(StepError::Cancelled),
        };
        let spec = spec.map_err(|error| failed(error.to_string()))?;
        let label = format!("{}:{name}", self.app.name);
        let ended = self
            .steps
            .run(&self.step_launch, &label, spec, cancel)
            .await;
        ended.map_err(|error| match error {
            StepError::Failed(why) => failed(why),
            StepError::Cancelled => StepError::Cancelled,
        })
    }

    fn tell(&self, level: Level, message: String) {
        self.state
            .notice(level, Some(self.app.name.clone()), message);
    }

    fn stage(&self, stage: Option<Stage>) {
        self.state.app_stage(&self.app.name, stage);
    }

    /// The state of an app without a process.
    fn is(&self, state: RunState) {
        self.board.set(&self.app.name, Progress::of(&state));
        self.state.app(&self.app.name, state);
    }
}
