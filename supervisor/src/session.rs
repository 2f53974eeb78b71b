//! The life of a running project, from its YAML to the last process of it.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use monday_shared::address_env::Variable;
use monday_shared::duration::Span;
use monday_shared::life::args::OutputFormat;
use monday_shared::life::command::CommandSpec;
use monday_shared::life::report::{Json, Sink};
use monday_shared::life::{Ending, LifeError, Sidecar as Life, exit};
use monday_shared::platform;
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::run::Phase;
use monday_shared::protocol::supervisor::{AppStatus, ForwardStatus, Level, ProjectStatus, Served};
use monday_shared::protocol::{ipalias, run, tcpproxy};
use monday_shared::socket::SocketError;
use monday_shared::socket::runtime_dir::{file_name, project_dir};
use nix::sys::signal::Signal;
use tokio::task::JoinSet;

use crate::cli::RunArgs;
use crate::config::{self, Search};
use crate::control::Control;
use crate::diagnostic::{Report, Style};
use crate::error::Error;
use crate::plan::{self, Plan};
use crate::sidecar::keeper::{Sidecar, Surroundings};
use crate::sidecar::launch::Launch;
use crate::sidecar::locate::Locator;
use crate::sidecar::nursery::Nursery;
use crate::state::State;
use crate::view::lines::Lines;
use crate::wiring::addresses::Addresses;
use crate::wiring::app::{Apps, Guardian};
use crate::wiring::names::{self, Ipalias};
use crate::wiring::routes::{self, Tcpproxy};

/// After this long, a stop says what it is waiting for.
const TELL_AFTER: Duration = Duration::from_secs(2);

/// Runs a project until it is asked to end, and returns the exit status.
///
/// # Errors
/// [`Error`] if it could not be run at all; what fails of a project that runs is told, and the rest goes on.
pub async fn run(args: RunArgs) -> Result<u8, Error> {
    let plan = match read_plan(&args) {
        Err(Error::Configuration(report)) => {
            refuse(&report, args.life.output);
            return Ok(exit::USAGE);
        }
        plan => plan?,
    };
    let folder = project_dir(&plan.project)?;
    let mut life = begin(&args, &folder, &plan.project)?;
    if let Err(error) = platform::become_subreaper() {
        tracing::warn!(%error, "processes that escape from a killed monday-run cannot be found");
    }
    let state = State::start(initial_status(&plan));
    show(&mut life, &args, &plan, &state)?;
    let session = Session::start(plan, &args, &folder, state.clone())?;
    life.serve(
        Served(Control {
            state: state.clone(),
            apps: Arc::clone(&session.apps),
        }),
        state.hub(),
    );
    let ended = live(&session, &mut life, args.command).await;
    if let Ok(ending) = &ended {
        state.stopping(reason(*ending));
    }
    stop(&session, &mut life).await;
    life.finish().await;
    // Empty, unless a process that is not ours put something there.
    let _ = std::fs::remove_dir(&folder);
    ended.map(Ending::exit_code).map_err(Error::from)
}

fn read_plan(args: &RunArgs) -> Result<Plan, Error> {
    let search = Search {
        paths: args.config.config.clone(),
    };
    let loaded = config::load(&search).map_err(Error::Configuration)?;
    let Some(name) = &args.project else {
        let names: Vec<String> = loaded.names().map(str::to_owned).collect();
        return Err(Error::NoProjectNamed { names });
    };
    let project = loaded.project(name).map_err(Error::Configuration)?;
    warn(&loaded.warnings);
    if args.life.output == OutputFormat::Text {
        let files: Vec<String> = loaded
            .files
            .iter()
            .map(|f| f.display().to_string())
            .collect();
        tell(&format!("{name}, from {}", files.join(", ")));
    }
    Ok(plan::plan(project))
}

/// Shows why the configuration cannot be used.
fn refuse(report: &Report, output: OutputFormat) {
    if output == OutputFormat::Text {
        return warn(report);
    }
    let mut event = report.to_json();
    if let Some(object) = event.as_object_mut() {
        object.insert("event".to_owned(), "invalid".into());
    }
    let _ = writeln!(std::io::stdout(), "{event}");
}

/// Shows what the configuration reader found, before anything runs.
fn warn(warnings: &Report) {
    if warnings.is_empty() {
        return;
    }
    let style = if colour(&std::io::stderr()) {
        Style::coloured()
    } else {
        Style::plain()
    };
    tell(&warnings.render(style));
}

/// Says something before there is a view.
fn tell(text: &str) {
    // Nobody can be told that standard error is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Takes the project's control socket: whoever holds it runs the project.
fn begin(args: &RunArgs, folder: &Path, project: &str) -> Result<Life, Error> {
    let mut life = args.life.clone();
    let control = life
        .control
        .get_or_insert_with(|| folder.join("supervisor.sock"));
    tracing::debug!(socket = %control.display(), "the control socket");
    Life::begin(&life, !args.command.is_empty()).map_err(|error| match error {
        LifeError::Socket(SocketError::InUse { pid, .. }) => Error::Running {
            project: project.to_owned(),
            pid,
        },
        other => Error::Life(other),
    })
}

/// Everything as it is before the first process runs.
fn initial_status(plan: &Plan) -> ProjectStatus {
    ProjectStatus {
        project: plan.project.clone(),
        pid: std::process::id(),
        names: false,
        apps: plan
            .apps
            .iter()
            .map(|app| AppStatus {
                name: app.name.clone(),
                hostname: app.hostname.clone(),
                ..AppStatus::default()
            })
            .collect(),
        forwards: plan
            .forwards
            .iter()
            .map(|forward| ForwardStatus {
                name: forward.name.clone(),
                kind: forward.kind.name().to_owned(),
                hostname: forward.hostname.clone(),
                routes: Vec::new(),
                error: None,
            })
            .collect(),
        sidecars: Vec::new(),
    }
}

/// Begins to show what happens. With COMMAND, standard output is COMMAND's.
fn show(life: &mut Life, args: &RunArgs, plan: &Plan, state: &State) -> Result<(), LifeError> {
    let sink = if args.command.is_empty() {
        Sink::Stdout
    } else {
        Sink::Stderr
    };
    if args.life.output == OutputFormat::Json {
        return life.report_with(state.hub(), sink, Json);
    }
    let names = plan.apps.iter().map(|app| app.name.as_str());
    let colour = match sink {
        Sink::Stdout => colour(&std::io::stdout()),
        Sink::Stderr => colour(&std::io::stderr()),
    };
    life.report_with(state.hub(), sink, Lines::new(names, colour))
}

/// Whether colours are welcome there: `NO_COLOR`, `CLICOLOR_FORCE`, a terminal.
fn colour(stream: &impl anstream::stream::RawStream) -> bool {
    !matches!(
        anstream::AutoStream::choice(stream),
        anstream::ColorChoice::Never
    )
}

/// Brings everything up and waits for a reason to end.
async fn live(
    session: &Session,
    life: &mut Life,
    command: Vec<OsString>,
) -> Result<Ending, LifeError> {
    let environment = tokio::select! {
        environment = session.bring_up() => environment,
        request = life.next_request() => return request,
    };
    life.announce();
    session.state.ready();
    life.until_end(CommandSpec::from_words(command, environment))
        .await
}

fn reason(ending: Ending) -> String {
    match ending {
        Ending::Signal(Signal::SIGINT) => "interrupted".to_owned(),
        Ending::Signal(Signal::SIGHUP) => "the terminal is gone".to_owned(),
        Ending::Signal(signal) => format!("{signal} came"),
        Ending::Shutdown => "asked to".to_owned(),
        Ending::ParentGone => "whoever started it is gone".to_owned(),
        Ending::Command(_) => "the command has ended".to_owned(),
    }
}

/// Stops everything; a second request to end skips the waiting.
async fn stop(session: &Session, life: &mut Life) {
    tokio::select! {
        () = session.stop_apps(None) => {}
        _ = life.next_request() => {
            session.state.notice(Level::Warning, None, "not waiting any longer: all apps are killed".to_owned());
            session.stop_apps(Some(Span::default())).await;
        }
    }
    session.end().await;
}

/// The sidecars of a project.
struct Session {
    plan: Plan,
    state: State,
    nursery: Nursery,
    ipalias: Option<Ipalias>,
    tcpproxy: Option<Tcpproxy>,
    apps: Arc<Apps>,
}

impl Session {
    /// Starts the sidecars that the plan needs; they have nothing to do yet.
    fn start(plan: Plan, args: &RunArgs, folder: &Path, state: State) -> Result<Self, Error> {
        let starter = Starter {
            locator: Locator::from_env(),
            folder: folder.to_owned(),
            surroundings: Surroundings {
                nursery: Nursery::default(),
                state: state.clone(),
            },
        };
        let ipalias = if plan.hostnames.is_empty() {
            None
        } else {
            let mut launch = starter.launch(ipalias::NAME, None)?;
            launch.args = vec!["--hosts-file".into(), args.hosts_file.clone().into()];
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
            nursery: starter.surroundings.nursery,
            ipalias,
            tcpproxy,
            apps: Arc::new(apps),
        })
    }

    /// Makes the plan true, in its order, and returns the addresses for environments.
    async fn bring_up(&self) -> Vec<Variable> {
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
    async fn stop_apps(&self, timeout: Option<Span>) {
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
    async fn end(&self) {
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

/// Starts sidecars.
struct Starter {
    locator: Locator,
    folder: PathBuf,
    surroundings: Surroundings,
}

impl Starter {
    fn launch(&self, name: &'static str, app: Option<String>) -> Result<Launch, Error> {
        let short = name.trim_start_matches("monday-");
        let socket = match &app {
            Some(app) => file_name(&format!("{short}-{app}")),
            None => short.to_owned(),
        };
        Ok(Launch {
            name,
            executable: self.locator.find(name)?,
            socket: self.folder.join(format!("{socket}.sock")),
            app,
            args: Vec::new(),
        })
    }

    fn keep<W, E>(
        &self,
        launch: Launch,
        bulk: Bulk,
    ) -> (
        Sidecar<W>,
        tokio::sync::mpsc::Receiver<crate::sidecar::keeper::News<E>>,
    )
    where
        W: monday_shared::protocol::method::Call + Clone + Send + Sync + 'static,
        W::Reply: Send,
        E: serde::de::DeserializeOwned + Send + 'static,
    {
        Sidecar::keep(launch, bulk, self.surroundings.clone())
    }
}
