//! What an executable holds while it lives: control socket, signals, lifeline, the events that are printed.

use std::fmt::Display;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Serialize;
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::args::{LifeArgs, OutputFormat};
use super::command::{self, CommandSpec, Running};
use super::exit::{Ending, Failure};
use super::lifeline;
use super::report::{Json, Reporter, Sink, Text};
use crate::identity::Identity;
use crate::platform::SignalSource;
use crate::protocol::common::Bulk;
use crate::rpc::hub::{Event, Hub};
use crate::rpc::server::serve;
use crate::rpc::service::{Service, Switches};
use crate::socket::{ControlSocket, SocketError};
use crate::start_fault::StartFault;

/// How long COMMAND may take to end after `shutdown` or a signal that ends: as long as an app by default.
const COMMAND_GRACE: Duration = Duration::from_secs(10);

/// How long COMMAND may take to end when the parent is gone.
const LIFELINE_GRACE: Duration = Duration::from_secs(1);

/// A reader of our output that takes nothing for so long is a slow one: it loses lines, and is told how many, rather
/// than holding up everything.
const STALLED_READER: Duration = Duration::from_secs(1);

/// Why an executable cannot lead its life.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    /// The control socket cannot be served.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// COMMAND cannot be run.
    #[error(transparent)]
    Command(#[from] StartFault),
    /// The operating system refused something basic.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl Failure for LifeError {}

/// An executable that lives. See the [module](super) for the order of calls.
#[derive(Debug)]
pub struct Sidecar {
    args: LifeArgs,
    has_command: bool,
    signals: SignalSource,
    parent_gone: Option<CancellationToken>,
    /// Bound, but not served yet.
    socket: Option<ControlSocket>,
    switches: Switches,
    /// The `shutdown` that came was passed on.
    shutdown_taken: bool,
    server: Option<JoinHandle<()>>,
    reporter: Option<Reporter>,
}

impl Sidecar {
    /// Takes the control socket, listens for signals and holds the lifeline. `has_command` says whether a COMMAND
    /// will run, to which standard input and output belong then.
    ///
    /// # Errors
    /// [`LifeError`] if one of them cannot be had.
    pub fn begin(args: &LifeArgs, has_command: bool) -> Result<Self, LifeError> {
        Self::begin_for(args, has_command, None)
    }

    /// The same for a process that runs as root for a user: the control socket is that user's and serves nobody else.
    ///
    /// # Errors
    /// [`LifeError`] if one of them cannot be had.
    pub fn begin_for(
        args: &LifeArgs,
        has_command: bool,
        user: Option<Identity>,
    ) -> Result<Self, LifeError> {
        let signals = SignalSource::new().map_err(|source| LifeError::Io {
            what: "listen for signals",
            source,
        })?;
        let parent_gone = if args.lifeline {
            Some(lifeline::watch().map_err(|source| LifeError::Io {
                what: "watch the lifeline",
                source,
            })?)
        } else {
            None
        };
        let socket = match &args.control {
            Some(path) => Some(ControlSocket::bind_for(path, user)?),
            None => None,
        };
        Ok(Self {
            args: args.clone(),
            has_command,
            signals,
            parent_gone,
            socket,
            switches: Switches::default(),
            shutdown_taken: false,
            server: None,
            reporter: None,
        })
    }

    /// Serves the control socket, if one was asked for, until [`finish`](Self::finish).
    pub fn serve<S: Service>(&mut self, service: S, hub: &Hub<S::Event>) {
        if let Some(socket) = self.socket.take() {
            self.server = Some(tokio::spawn(serve(
                socket,
                service,
                hub.clone(),
                self.switches.clone(),
            )));
        }
    }

    /// Prints every event from now on, in the way that `--output` and COMMAND ask for: JSON on standard output, or on
    /// standard error where standard output is COMMAND's; text on standard output, or not at all.
    ///
    /// # Errors
    /// [`LifeError::Io`] if no thread can be made.
    pub fn report<E>(&mut self, hub: &Hub<E>) -> Result<(), LifeError>
    where
        E: Event + Serialize + Display,
    {
        match (self.args.output, self.has_command) {
            (OutputFormat::Json, false) => self.report_with(hub, Sink::Stdout, Json),
            (OutputFormat::Json, true) => self.report_with(hub, Sink::Stderr, Json),
            (OutputFormat::Text, false) => self.report_with(hub, Sink::Stdout, Text),
            (OutputFormat::Text, true) => Ok(()),
        }
    }

    /// Prints every event from now on, in a way of the caller's own.
    ///
    /// # Errors
    /// [`LifeError::Io`] if no thread can be made.
    pub fn report_with<E: Event>(
        &mut self,
        hub: &Hub<E>,
        sink: Sink,
        format: impl super::report::Format<E>,
    ) -> Result<(), LifeError> {
        let (_, subscription) = hub.subscribe_with_patience(Bulk::Lossless, STALLED_READER);
        let reporter =
            Reporter::start(subscription, sink, format).map_err(|source| LifeError::Io {
                what: "start to print events",
                source,
            })?;
        self.reporter = Some(reporter);
        Ok(())
    }

    /// Tells everybody that the executable is ready: the hub, and whoever `NOTIFY_SOCKET` names (`sd_notify(3)`).
    pub fn ready<E: Event>(&self, hub: &Hub<E>, ready: E) {
        hub.publish(ready);
        self.announce();
    }

    /// Tells whoever `NOTIFY_SOCKET` names that the executable is ready (`sd_notify(3)`).
    pub fn announce(&self) {
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
            tracing::warn!(%error, "NOTIFY_SOCKET is set but cannot be told that we are ready");
        }
    }

    /// Waits until there is a reason to end; with COMMAND, runs it and waits for its end, passing signals on.
    ///
    /// # Errors
    /// [`LifeError::Command`] if COMMAND cannot be started.
    pub async fn until_end(&mut self, command: Option<CommandSpec>) -> Result<Ending, LifeError> {
        self.until_end_with(command, command::spawn).await
    }

    /// The same for an executable that has to know of every child that it gets: `spawn` makes COMMAND's process.
    ///
    /// # Errors
    /// As [`until_end`](Self::until_end).
    pub async fn until_end_with(
        &mut self,
        command: Option<CommandSpec>,
        spawn: impl FnOnce(std::process::Command) -> io::Result<Child>,
    ) -> Result<Ending, LifeError> {
        match command {
            None => self.next_request().await,
            Some(spec) => self.until_command_ends(&spec, spawn).await,
        }
    }

    /// The next request to end, whoever makes it. Dropping the future loses nothing. For executables whose COMMAND is
    /// the job itself; others call [`until_end`](Self::until_end).
    ///
    /// # Errors
    /// [`LifeError::Io`] if signals cannot be read.
    pub async fn next_request(&mut self) -> Result<Ending, LifeError> {
        self.next_caught().await.map(|(ending, _)| ending)
    }

    /// The same, with whether a signal came from the terminal.
    async fn next_caught(&mut self) -> Result<(Ending, bool), LifeError> {
        let parent_gone = self.parent_gone.as_ref();
        let request = tokio::select! {
            caught = self.signals.next() => match caught {
                Ok(caught) => Ok((Ending::Signal(caught.signal), caught.from_terminal)),
                Err(source) => Err(LifeError::Io { what: "read a signal", source }),
            },
            () = self.switches.shutdown.cancelled(), if !self.shutdown_taken => Ok((Ending::Shutdown, false)),
            () = async {
                match parent_gone {
                    Some(token) => token.cancelled().await,
                    None => std::future::pending().await,
                }
            } => Ok((Ending::ParentGone, false)),
        };
        // Those two are states that last, and requests that are made once.
        match request {
            Ok((Ending::ParentGone, _)) => self.parent_gone = None,
            Ok((Ending::Shutdown, _)) => self.shutdown_taken = true,
            _ => {}
        }
        request
    }

    async fn until_command_ends(
        &mut self,
        spec: &CommandSpec,
        spawn: impl FnOnce(std::process::Command) -> io::Result<Child>,
    ) -> Result<Ending, LifeError> {
        let mut running = Running::start(spec, !self.args.lifeline, spawn)?;
        let ended = |status: io::Result<ExitStatus>| {
            status.map(Ending::Command).map_err(|source| LifeError::Io {
                what: "wait for COMMAND",
                source,
            })
        };
        let mut asked = false;
        let mut killed_at = None;
        loop {
            let request = tokio::select! {
                status = running.wait() => return ended(status),
                () = at(killed_at) => {
                    killed_at = None;
                    running.signal(Signal::SIGKILL);
                    continue;
                }
                request = self.next_caught() => request?,
            };
            match request {
                // The terminal has told COMMAND as well, being in the same foreground group. What it makes of that is its
                // affair: to some programs it means that they are to give up a line.
                (Ending::Signal(Signal::SIGINT), true) => {}
                (Ending::Signal(_), _) if asked => running.signal(Signal::SIGKILL),
                (Ending::Signal(signal), from_terminal) => {
                    asked = true;
                    if !from_terminal {
                        running.signal(signal);
                    }
                    // Whoever interrupts by hand can do so again.
                    if signal != Signal::SIGINT {
                        killed_at = Some(Instant::now() + COMMAND_GRACE);
                    }
                }
                (Ending::ParentGone, _) => return ended(running.stop(LIFELINE_GRACE).await),
                (Ending::Shutdown | Ending::Command(_), _) => {
                    return ended(running.stop(COMMAND_GRACE).await);
                }
            }
        }
    }

    /// Ends the server and prints the last events. The control socket and its lock are gone afterwards.
    pub async fn finish(mut self) {
        self.switches.end.cancel();
        if let Some(server) = self.server.take()
            && let Err(error) = server.await
        {
            tracing::warn!(%error, "the control server ended badly");
        }
        if let Some(reporter) = self.reporter.take() {
            reporter.finish().await;
        }
    }
}

/// Ends then; without a moment, never.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
