//! `monday-supervisor run`: from the YAML to the last process of the project.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory as _;
use monday_shared::duration::Span;
use monday_shared::life::args::OutputFormat;
use monday_shared::life::command::CommandSpec;
use monday_shared::life::report::Sink;
use monday_shared::life::{Ending, LifeError, Sidecar as Life, exit};
use monday_shared::platform;
use monday_shared::protocol::error::RpcError;
use monday_shared::protocol::supervisor::{Level, Served, Wait};
use monday_shared::socket::SocketError;
use monday_shared::socket::runtime_dir::project_dir;
use nix::sys::signal::Signal;

use crate::choice::{self, Choice, Chosen};
use crate::cli::{Cli, RunArgs};
use crate::commands::clean;
use crate::commands::picker::{self, Picked};
use crate::config::suggest::nearest;
use crate::config::{self, Loaded, Project};
use crate::control::{self, Control};
use crate::detach;
use crate::diagnostic::Report;
use crate::error::Error;
use crate::last_lines;
use crate::naming::Naming;
use crate::plan::{self, Plan};
use crate::session::{Current, Session};
use crate::source::Source;
use crate::state::State;
use crate::still;
use crate::ui::{self, InThread};
use crate::view::console::{colour, refuse, tell, warn, warn_json};
use crate::view::lines::Lines;
use crate::view::log_dir::LogDir;
use crate::view::ready_first::ReadyFirst;

/// Runs a project until it is asked to end, and returns the exit status.
///
/// # Errors
/// [`Error`] if it could not be run at all; what fails of a project that runs is told, and the rest goes on.
pub async fn run(args: RunArgs) -> Result<u8, Error> {
    let (chosen, source, notes) = match read_project(&args) {
        Err(Error::Configuration(report)) => {
            refuse(&report, args.life.output);
            return Ok(exit::USAGE);
        }
        chosen => chosen?,
    };
    let project = chosen.project;
    let folder = project_dir(&project.name)?;
    if args.detach {
        let socket = socket(&args, &folder);
        let picked = args.project.is_none().then_some(&source.choice);
        return detach::run(&project.name, &folder, &socket, picked, until_ready(&args)).await;
    }
    let mut plan = plan::plan(&project);
    plan.notes = chosen.notes;
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
    let has_ui = args.wants_ui() && ui::is_possible();
    if !has_ui {
        show(&mut life, &args, &plan, &state)?;
    }
    let log_dir = log_dir(&args, &state)?;
    tokio::spawn(still::tell(state.clone()));
    let current = Current {
        project,
        plan: Arc::new(plan),
        choice: source.choice.clone(),
    };
    if let Some(warning) = naming.warning() {
        state.notice(Level::Warning, None, warning.to_owned());
        if args.in_background {
            // Whoever started us reads this, and leaves then.
            tell(&format!("warning: {warning}"));
        }
    }
    // sudo knows the password on the terminal where it was typed: there monday-ipalias becomes root.
    let stays = args.in_background && naming.escalates();
    if args.in_background && !stays {
        leave_terminal();
    }
    let session = Session::start(current, source, naming.clone(), &folder, state.clone())?;
    let session = Arc::new(session);
    if stays {
        if tokio::time::timeout(ROOT_PATIENCE, session.has_ipalias())
            .await
            .is_err()
        {
            tracing::warn!("monday-ipalias did not become ready");
        }
        leave_terminal();
    }
    let follower = Arc::clone(&session);
    let follower = tokio::spawn(async move { follower.follow_configuration(args.reload).await });
    life.serve(
        Served(Control {
            session: Arc::clone(&session),
        }),
        state.hub(),
    );
    let ui = has_ui.then(|| InThread::start(socket(&args, &folder)));
    let ended = live(&session, &mut life, &state, (&args, naming.private_file())).await;
    if let Ok(ended) = &ended {
        state.stopping(ended.reason());
    }
    // Nothing is changed any more while everything is being stopped.
    follower.abort();
    let timeout = matches!(
        ended,
        Ok(Ended::As(Ending::ParentGone) | Ended::WithoutCommand(Ending::ParentGone))
    )
    .then_some(ORPHANED_GRACE);
    stop(&session, &mut life, &state, timeout).await;
    if let Some(log_dir) = log_dir {
        log_dir.finish().await;
    }
    life.finish().await;
    session.naming().clear_away();
    if let Some(ui) = ui {
        ui.finish().await;
    }
    if session.has_lost_root() {
        // Only now: a password may have to be asked for on the terminal.
        clean::remove_lines_of_lost_root(&args.hosts_file, args.escalate);
    }
    if !matches!(ended, Ok(Ended::NotReady(_))) {
        let _ = std::fs::remove_file(detach::log_in(&folder));
    }
    // Empty, unless a process that is not ours put something there.
    let _ = std::fs::remove_dir(&folder);
    ended?.into_exit_code()
}

fn leave_terminal() {
    if let Err(error) = detach::leave_terminal() {
        tracing::warn!(%error, "the end of the terminal may end the project");
    }
}

/// How long the terminal is held on to for the start of monday-ipalias, which is a matter of moments.
const ROOT_PATIENCE: Duration = Duration::from_secs(20);

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

/// How the life of the project ended.
enum Ended {
    /// As any executable.
    As(Ending),
    /// It was stopped before COMMAND could be started, by nothing that has a status of its own.
    WithoutCommand(Ending),
    /// It was not ready as `--wait` wants it.
    NotReady(RpcError),
}

impl Ended {
    fn reason(&self) -> String {
        match self {
            Self::As(ending) | Self::WithoutCommand(ending) => reason(*ending),
            Self::NotReady(error) => error.message.clone(),
        }
    }

    fn into_exit_code(self) -> Result<u8, Error> {
        match self {
            Self::As(ending) => Ok(ending.exit_code()),
            Self::WithoutCommand(ending) => Err(Error::CommandNotStarted {
                reason: reason(ending),
            }),
            Self::NotReady(error) => Err(Error::NotReady(error)),
        }
    }
}

/// Where the project's control socket is.
fn socket(args: &RunArgs, folder: &Path) -> PathBuf {
    let asked_for = args.life.control.clone();
    asked_for.unwrap_or_else(|| folder.join("supervisor.sock"))
}

fn read_project(args: &RunArgs) -> Result<(Chosen, Source, Notes), Error> {
    let loaded = config::load(&args.config.search()).map_err(Error::Configuration)?;
    let mut choice = args.choice();
    let name = match &args.project {
        Some(name) => name.clone(),
        None => pick_project(&loaded)?,
    };
    let project = loaded
        .project(&name)
        .map_err(|report| Error::Configuration(or_command(report, &name)))?;
    if args.project.is_none() && choice == Choice::default() {
        choice = pick_parts(project)?;
    }
    let chosen = choice::choose(project, &choice)?;
    let files = loaded.files.iter().map(|file| file.display().to_string());
    let notes = Notes {
        warnings: loaded.warnings_for(&name),
        origin: format!("{name}, from {}", files.collect::<Vec<_>>().join(", ")),
        output: args.life.output,
    };
    let source = Source {
        search: args.config.search(),
        project: name,
        choice,
        files: loaded.files.clone(),
    };
    Ok((chosen, source, notes))
}

/// Adds the command that was probably meant, to a report that there is no project of this name.
fn or_command(mut report: Report, name: &str) -> Report {
    let cli = Cli::command();
    let commands = cli.get_subcommands().map(clap::Command::get_name);
    if let Some(problem) = report.diagnostics.first_mut()
        && problem.code == "unknown-project"
        // A project that is near is nearer to what was meant.
        && !problem.help.iter().any(|help| help.starts_with("did you mean"))
        && let Some(near) = nearest(name, commands)
    {
        let help = format!("did you mean the command `monday-supervisor {near}`?");
        problem.help.insert(0, help);
    }
    report
}

/// Asks what of the project, where somebody can be asked.
fn pick_parts(project: &Project) -> Result<Choice, Error> {
    match picker::pick_parts(project).map_err(Error::Terminal)? {
        Picked::Chosen(choice) => Ok(choice),
        Picked::Cancelled => Err(Error::NothingPicked),
        Picked::NoTerminal => Ok(Choice::default()),
    }
}

/// Asks which project, where somebody can be asked.
fn pick_project(loaded: &Loaded) -> Result<String, Error> {
    if loaded.projects.is_empty() {
        // There is nothing to choose from, and the reason is worth more than a list.
        return Err(Error::Configuration(loaded.report()));
    }
    match picker::pick(loaded).map_err(Error::Terminal)? {
        Picked::Chosen(name) => Ok(name),
        Picked::Cancelled => Err(Error::NothingPicked),
        Picked::NoTerminal => Err(Error::NoProjectNamed {
            names: loaded.names().map(str::to_owned).collect(),
        }),
    }
}

/// Takes the project's control socket: whoever holds it runs the project.
fn begin(args: &RunArgs, folder: &Path, project: &str) -> Result<Life, Error> {
    let mut life = args.life.clone();
    let control = socket(args, folder);
    tracing::debug!(socket = %control.display(), "the control socket");
    life.control = Some(control);
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
    (args, hosts_file): (&RunArgs, Option<&Path>),
) -> Result<Ended, LifeError> {
    let has_command = !args.command.is_empty();
    let too_early = |ending| match ending {
        // A test run that tested nothing must not look like a good one.
        Ending::Shutdown | Ending::ParentGone if has_command => Ended::WithoutCommand(ending),
        ending => Ended::As(ending),
    };
    let environment = tokio::select! {
        environment = session.bring_up() => environment,
        request = life.next_request() => return request.map(too_early),
    };
    let until_ready = until_ready(args);
    let waits = until_ready.is_some();
    if let Some(until_ready) = until_ready {
        let is_ready = tokio::select! {
            is_ready = control::wait(session, until_ready) => is_ready,
            request = life.next_request() => return request.map(too_early),
        };
        if let Err(error) = is_ready {
            last_lines::tell(state, &error).await;
            return Ok(Ended::NotReady(error));
        }
    }
    state.ready();
    let failed = tokio::select! {
        // Everything was ready a moment ago.
        () = std::future::ready(()), if waits => Vec::new(),
        failed = session.until_up(), if !waits => failed,
        request = life.next_request() => return request.map(too_early),
    };
    life.announce();
    state.up(failed);
    // COMMAND is no stray: it has a place among our children for as long as it runs.
    let mut place = None;
    let spawn = |command| {
        let (child, own) = session.nursery().spawn(command)?;
        place = Some(own);
        Ok(child)
    };
    let command = CommandSpec::from_words(args.command.clone(), environment);
    let command = command.map(|command| CommandSpec {
        hosts_file: hosts_file.map(Path::to_owned),
        ..command
    });
    let ended = life.until_end_with(command, spawn).await;
    drop(place);
    ended.map(Ended::As)
}

/// A file for each app, where that is wanted.
fn log_dir(args: &RunArgs, state: &State) -> Result<Option<LogDir>, Error> {
    let start = |path: &PathBuf| {
        LogDir::start(path, state).map_err(|source| Error::LogDir {
            path: path.clone(),
            source,
        })
    };
    args.log_dir.as_ref().map(start).transpose()
}

/// What `--wait` and `--timeout` ask for.
fn until_ready(args: &RunArgs) -> Option<Wait> {
    (args.wait || args.timeout.is_some()).then(|| Wait {
        timeout: args.timeout,
        ..Wait::default()
    })
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
