//! `monday-supervisor run`: from the YAML to the last process of the project.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use monday_shared::duration::Span;
use monday_shared::life::args::OutputFormat;
use monday_shared::life::command::CommandSpec;
use monday_shared::life::report::Sink;
use monday_shared::life::{Ending, LifeError, Sidecar as Life, exit};
use monday_shared::platform;
use monday_shared::protocol::supervisor::{Level, Served};
use monday_shared::socket::SocketError;
use monday_shared::socket::runtime_dir::project_dir;
use nix::sys::signal::Signal;

use crate::cli::RunArgs;
use crate::commands::picker::{self, Picked};
use crate::config::{self, Loaded, Project};
use crate::control::Control;
use crate::diagnostic::Report;
use crate::error::Error;
use crate::naming::Naming;
use crate::plan::{self, Plan};
use crate::session::Session;
use crate::state::State;
use crate::view::console::{colour, refuse, tell, warn, warn_json};
use crate::view::lines::Lines;
use crate::view::ready_first::ReadyFirst;

/// Runs a project until it is asked to end, and returns the exit status.
///
/// # Errors
/// [`Error`] if it could not be run at all; what fails of a project that runs is told, and the rest goes on.
pub async fn run(args: RunArgs) -> Result<u8, Error> {
    let Opened { project, notes } = match read_project(&args) {
        Err(Error::Configuration(report)) => {
            refuse(&report, args.life.output);
            return Ok(exit::USAGE);
        }
        project => project?,
    };
    let mut plan = plan::plan(&project);
    let folder = project_dir(&plan.project)?;
    let mut life = begin(&args, &folder, &plan.project)?;
    // A password is asked for here, before anything is shown.
    let naming = Naming::settle(&plan, args.escalate, args.hosts_file.clone(), &folder)?;
    if let Some(file) = naming.private_file() {
        plan.see_hosts(file);
    }
    notes.show();
    if let Err(error) = platform::become_subreaper() {
        tracing::warn!(%error, "processes that escape from a killed monday-run cannot be found");
    }
    let state = State::start(plan.initial_status(std::process::id()));
    show(&mut life, &args, &plan, &state)?;
    if let Some(warning) = naming.warning() {
        state.notice(Level::Warning, None, warning.to_owned());
    }
    let session = Session::start(project, plan, &naming, &folder, state.clone())?;
    let session = Arc::new(session);
    life.serve(
        Served(Control {
            session: Arc::clone(&session),
        }),
        state.hub(),
    );
    let hosts_file = naming.private_file().map(Path::to_owned);
    let command = (args.command, hosts_file);
    let ended = live(&session, &mut life, &state, command).await;
    if let Ok(ending) = &ended {
        state.stopping(reason(*ending));
    }
    let timeout = matches!(ended, Ok(Ending::ParentGone)).then_some(ORPHANED_GRACE);
    stop(&session, &mut life, &state, timeout).await;
    life.finish().await;
    naming.clear_away();
    // Empty, unless a process that is not ours put something there.
    let _ = std::fs::remove_dir(&folder);
    ended.map(Ending::exit_code).map_err(Error::from)
}

/// A project, and what there is to say before it runs.
struct Opened {
    project: Project,
    notes: Notes,
}

/// What the reader of the configuration has to say.
struct Notes {
    warnings: Report,
    origin: String,
    output: OutputFormat,
}

impl Notes {
    fn show(&self) {
        if self.output == OutputFormat::Text {
            warn(&self.warnings);
            tell(&self.origin);
        } else {
            warn_json(&self.warnings);
        }
    }
}

fn read_project(args: &RunArgs) -> Result<Opened, Error> {
    let loaded = config::load(&args.config.search()).map_err(Error::Configuration)?;
    let name = match &args.project {
        Some(name) => name.clone(),
        None => pick_project(&loaded)?,
    };
    let project = loaded.project(&name).map_err(Error::Configuration)?;
    let files = loaded.files.iter().map(|file| file.display().to_string());
    let notes = Notes {
        warnings: loaded.warnings_for(&name),
        origin: format!("{name}, from {}", files.collect::<Vec<_>>().join(", ")),
        output: args.life.output,
    };
    Ok(Opened {
        project: project.clone(),
        notes,
    })
}

/// Asks which project, where somebody can be asked.
fn pick_project(loaded: &Loaded) -> Result<String, Error> {
    match picker::pick(loaded).map_err(Error::Terminal)? {
        Picked::Project(name) => Ok(name),
        Picked::Cancelled => Err(Error::NothingPicked),
        Picked::NoTerminal => Err(Error::NoProjectNamed {
            names: loaded.names().map(str::to_owned).collect(),
        }),
    }
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

/// Begins to show what happens. With COMMAND, standard output is COMMAND's.
fn show(life: &mut Life, args: &RunArgs, plan: &Plan, state: &State) -> Result<(), LifeError> {
    let sink = if args.command.is_empty() {
        Sink::Stdout
    } else {
        Sink::Stderr
    };
    if args.life.output == OutputFormat::Json {
        return life.report_with(state.hub(), sink, ReadyFirst::default());
    }
    let labels = plan.labels();
    let names = labels.iter().map(String::as_str);
    let colour = match sink {
        Sink::Stdout => colour(&std::io::stdout()),
        Sink::Stderr => colour(&std::io::stderr()),
    };
    life.report_with(state.hub(), sink, Lines::new(names, colour))
}

/// Brings everything up and waits for a reason to end.
async fn live(
    session: &Session,
    life: &mut Life,
    state: &State,
    (command, hosts_file): (Vec<OsString>, Option<PathBuf>),
) -> Result<Ending, LifeError> {
    let environment = tokio::select! {
        environment = session.bring_up() => environment,
        request = life.next_request() => return request,
    };
    life.announce();
    state.ready();
    // COMMAND is no stray: it has a place among our children for as long as it runs.
    let mut place = None;
    let spawn = |command| {
        let (child, own) = session.nursery().spawn(command)?;
        place = Some(own);
        Ok(child)
    };
    let command = CommandSpec::from_words(command, environment).map(|command| CommandSpec {
        hosts_file,
        ..command
    });
    let ended = life.until_end_with(command, spawn).await;
    drop(place);
    ended
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
async fn stop(session: &Session, life: &mut Life, state: &State, timeout: Option<Span>) {
    tokio::select! {
        () = session.stop_apps(timeout) => {}
        _ = life.next_request() => {
            state.notice(Level::Warning, None, "not waiting any longer: all apps are killed".to_owned());
            // A monday-run that does not even answer is killed with the session.
            let killed = session.stop_apps(Some(Span::default()));
            if tokio::time::timeout(KILL_PATIENCE, killed).await.is_err() {
                tracing::warn!("not every app could be killed by request");
            }
        }
    }
    session.end().await;
}

/// How long apps have when whoever started us is gone: as with every executable.
const ORPHANED_GRACE: Span = Span::from_secs(1);

/// How long killing all apps by request may take.
const KILL_PATIENCE: Duration = Duration::from_secs(2);
