//! The life of the executable around the guardian: what is printed, what ends it, and with which status.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use monday_shared::lease::EXTENSION;
use monday_shared::life::exit::FAILED;
use monday_shared::life::report::{Json, Reporter, Sink};
use monday_shared::life::{Ending, LifeArgs, LifeError, OutputFormat, Sidecar};
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::run::{Event, Exit, Phase, Served, State};
use monday_shared::rpc::history::Limits;
use monday_shared::rpc::hub::Hub;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::control::Control;
use crate::error::RunError;
use crate::guardian::Guardian;
use crate::request::{How, Refusal};
use crate::spec::CheckedSpec;
use crate::text::Text;

/// How long a command may take to stop when our parent is gone.
const LIFELINE_GRACE: Duration = Duration::from_secs(1);

/// How long the last output may take to be read when our parent is gone: whoever read it is most likely gone as well.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// How long a reader of standard output may stall before it loses lines, if there are other readers, who must not be
/// held up.
const STALLED_READER: Duration = Duration::from_secs(1);

/// What the flags say.
#[derive(Debug)]
pub struct Settings {
    /// What stands before each line of output.
    pub name: Option<String>,
    /// What to run; nothing: wait until a client says so.
    pub spec: Option<CheckedSpec>,
    /// The file that lets the next one end what we leave behind when we are killed; nothing: the control socket's path
    /// with `.lease` instead of `.sock`, if there is one.
    pub lease: Option<PathBuf>,
    /// How many lines of output are kept for clients who come late.
    pub history: usize,
    /// What every executable is told.
    pub life: LifeArgs,
}

/// Runs until the command ends, or until somebody ends us, and returns the status to exit with.
///
/// # Errors
/// [`RunError`] if the command cannot be started, or something that is needed for that cannot be had.
pub async fn run(settings: Settings) -> Result<u8, RunError> {
    let Settings {
        name,
        spec,
        lease,
        history,
        life,
    } = settings;
    let mut sidecar = Sidecar::begin(&life, false)?;
    // Without a control socket nobody can come late.
    let hub = match life.control {
        Some(_) => Hub::with_history(Limits {
            lines: history,
            ..Limits::default()
        }),
        None => Hub::new(),
    };
    // The socket is ours, so whoever held the lease beside it is gone.
    let lease = lease.or_else(|| Some(life.control.as_ref()?.with_extension(EXTENSION)));
    let guardian = Guardian::begin(hub.clone(), lease).map_err(|source| RunError::Io {
        what: "become the parent of orphans",
        source,
    })?;
    let only_printed = life.control.is_none();
    let reporter = report(&hub, name.as_deref(), life.output, only_printed)?;
    sidecar.serve(Served(Control::new(guardian.clone())), &hub);
    let name = name.unwrap_or_else(|| spec.as_ref().map_or_else(String::new, program_name));
    hub.publish(Event::Ready { name });
    let ready_later = spec.as_ref().is_some_and(|spec| spec.ready().is_some());
    if !ready_later {
        sidecar.announce();
    }
    let mut run = Run {
        states: guardian.states(),
        guardian,
        reporter,
        printing: true,
        only_printed,
        give_up_at: None,
        ready_later,
        said: String::new(),
        unready: false,
        asked: false,
        sidecar,
    };
    let status = match spec {
        Some(spec) => run.command(spec).await,
        None => run.idle().await,
    };
    run.finish().await;
    status
}

fn program_name(spec: &CheckedSpec) -> String {
    let program = Path::new(spec.program());
    program.file_name().map_or_else(
        || spec.program().to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn report(
    hub: &Hub<Event>,
    name: Option<&str>,
    format: OutputFormat,
    only_printed: bool,
) -> Result<Reporter, RunError> {
    let patience = if only_printed {
        // As for any program in a pipe: who looks at a page for an hour misses nothing.
        Duration::MAX
    } else {
        STALLED_READER
    };
    let (_, subscription) = hub.subscribe_with_patience(Bulk::Lossless, patience);
    let reporter = match format {
        OutputFormat::Json => Reporter::start(subscription, Sink::Stdout, Json),
        OutputFormat::Text => {
            let colour = AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
            Reporter::start(subscription, Sink::Stdout, Text::new(name, colour))
        }
    };
    reporter.map_err(|source| RunError::Io {
        what: "start to print output",
        source,
    })
}

struct Run {
    guardian: Guardian,
    states: watch::Receiver<State>,
    reporter: Reporter,
    /// Whether what is printed is still read.
    printing: bool,
    /// Whether printing is the only use of the output.
    only_printed: bool,
    /// The last reason that was said.
    said: String,
    /// Whether the last state was that of a command that is not ready yet.
    unready: bool,
    /// Somebody asked for the end.
    asked: bool,
    /// Whether we are ready only when the command is, and it was not yet.
    ready_later: bool,
    /// When output that nobody reads is given up.
    give_up_at: Option<Instant>,
    sidecar: Sidecar,
}

/// What happened while a command runs.
enum Happened {
    Request(Ending),
    State(State),
    NobodyReads,
}

impl Run {
    /// Runs the command until it ends by itself, or until somebody ends us.
    async fn command(&mut self, spec: CheckedSpec) -> Result<u8, RunError> {
        self.guardian.start(spec).await?;
        loop {
            match self.next().await? {
                Happened::NobodyReads => self.guardian.close_output().await,
                Happened::State(state) if state.phase == Phase::Exited => {
                    return Ok(status(&self.guardian.end(How::default()).await?));
                }
                Happened::State(State {
                    phase: Phase::Failed,
                    ready: Some(false),
                    reason,
                    ..
                }) => {
                    self.guardian.end(How::default()).await?;
                    return Err(RunError::NotReady(reason.unwrap_or_default()));
                }
                Happened::State(State {
                    ready: Some(true), ..
                }) if self.ready_later => {
                    self.ready_later = false;
                    self.sidecar.announce();
                }
                Happened::State(State {
                    phase: Phase::Failed,
                    reason,
                    ..
                }) if self.only_printed => {
                    self.guardian.end(How::default()).await?;
                    return Err(Refusal::Spawn(reason.unwrap_or_default()).into());
                }
                // What a client stopped or could not restart, a client may start again.
                Happened::State(_) => {}
                Happened::Request(ending) => {
                    self.hurry(ending);
                    let state = self.end(how(ending)).await?;
                    return Ok(status(&state));
                }
            }
        }
    }

    /// Waits for clients, who start commands, until somebody ends us.
    async fn idle(&mut self) -> Result<u8, RunError> {
        let ending = self.sidecar.next_request().await?;
        self.hurry(ending);
        let how = How {
            // The command was started with a stop signal of its own; ours was not meant for it.
            signal: None,
            ..how(ending)
        };
        self.end(how).await?;
        Ok(ending.exit_code())
    }

    async fn next(&mut self) -> Result<Happened, LifeError> {
        let watched = self.printing && self.only_printed;
        tokio::select! {
            request = self.sidecar.next_request() => request.map(Happened::Request),
            changed = self.states.changed() => match changed {
                Ok(()) => {
                    let state = self.states.borrow_and_update().clone();
                    self.say(&state);
                    Ok(Happened::State(state))
                }
                // The guardian ends only when it is told to, and its answer is waited for then.
                Err(_) => std::future::pending().await,
            },
            () = self.reporter.printed(), if watched => {
                self.printing = false;
                Ok(Happened::NobodyReads)
            }
            () = at(self.give_up_at) => {
                self.give_up_at = None;
                self.printing = false;
                Ok(Happened::NobodyReads)
            }
        }
    }

    /// Says what is waited for, or could not be done, once. A client gets it as an event.
    fn say(&mut self, state: &State) {
        let was_unready = std::mem::replace(&mut self.unready, state.ready == Some(false));
        // That it was not ready in time is what is said last, or when it is started again.
        let is_said_later = match state.phase {
            Phase::Stopping => was_unready && !self.asked,
            Phase::Failed => state.ready == Some(false),
            _ => false,
        };
        if let Some(reason) = &state.reason
            && self.only_printed
            && !is_said_later
            && self.said != *reason
        {
            tracing::warn!("{reason}");
            self.said.clone_from(reason);
        }
    }

    /// Without a parent, nothing is waited for that may never come.
    fn hurry(&mut self, ending: Ending) {
        if ending == Ending::ParentGone {
            self.give_up_at = Some(Instant::now() + LIFELINE_GRACE + LAST_OUTPUT);
        }
    }

    /// Stops the command and the guardian; a second signal meanwhile kills.
    async fn end(&mut self, how: How) -> Result<State, RunError> {
        self.asked = true;
        let guardian = self.guardian.clone();
        let mut end = std::pin::pin!(guardian.end(how));
        loop {
            let happened = tokio::select! {
                state = &mut end => return Ok(state?),
                happened = self.next() => happened?,
            };
            match happened {
                Happened::Request(again) => {
                    self.hurry(again);
                    if matches!(again, Ending::Signal(_)) {
                        self.give_up_at = Some(Instant::now());
                    }
                    let guardian = guardian.clone();
                    // Answered when all is over, which is waited for here.
                    tokio::spawn(async move { guardian.stop(hurried(again)).await });
                }
                Happened::NobodyReads => guardian.close_output().await,
                Happened::State(_) => {}
            }
        }
    }

    /// Prints what is left, as long as somebody reads it and nobody is in a hurry.
    async fn finish(mut self) {
        self.reporter.last();
        if self.printing {
            tokio::select! {
                () = self.reporter.printed() => {}
                () = at(self.give_up_at) => {}
                _ = self.sidecar.next_request() => {}
            }
        }
        self.sidecar.finish().await;
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// How a command is stopped for that reason: a signal is passed on to it.
fn how(ending: Ending) -> How {
    match ending {
        Ending::Signal(signal) => How {
            signal: Some(signal),
            ..How::default()
        },
        Ending::ParentGone => How {
            at_most: Some(LIFELINE_GRACE),
            ..How::default()
        },
        Ending::Shutdown | Ending::Command(_) => How::default(),
    }
}

/// The same for a second reason: who sends a second signal does not want to wait.
fn hurried(ending: Ending) -> How {
    How {
        timeout: matches!(ending, Ending::Signal(_)).then_some(Duration::ZERO),
        ..how(ending)
    }
}

fn status(state: &State) -> u8 {
    state.exit.map_or(FAILED, Exit::shell_status)
}
