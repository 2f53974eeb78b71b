//! COMMAND: what is run at each change.
//!
//! [`busy`] decides what a change means, [`echo`] whether it is COMMAND's own, `process` brings a process to life and to its
//! end, `output` reads it; [`Job`] carries out.

pub mod busy;
pub mod echo;
mod output;
mod process;

use std::ffi::OsString;
use std::future::pending;
use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use monday_shared::platform::become_subreaper;
use monday_shared::platform::inherited::Inherited;
use monday_shared::protocol::run::{Exit, Phase, State, Stream};
use monday_shared::protocol::watch::{Changed, Event};
use monday_shared::rpc::hub::Hub;
use monday_shared::start_fault::{Attempt, explain};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use busy::{Busy, Cause, OnBusy, Step};
use echo::{Echo, Verdict};
use process::{Captured, Process, Start, status_of};

/// How long the last output is waited for when nothing of COMMAND is left in its group: somebody may have run away with
/// its pipe.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// Linux takes no variable of more than 128 KiB (execve(2)).
const VARIABLE_BYTES: usize = 100 * 1024;

/// How COMMAND is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// What to do about a change while it runs.
    pub on_busy: OnBusy,
    /// What it is sent, if so.
    pub signal: Signal,
    /// What asks it to stop.
    pub stop_signal: Signal,
    /// How long it may take to stop before all of it is killed.
    pub stop_timeout: Duration,
    /// Whether its output becomes events, and not part of ours.
    pub captured: bool,
}

/// COMMAND.
#[derive(Debug)]
pub struct Job {
    settings: Settings,
    hub: Hub<Event>,
    busy: Busy,
    echo: Echo,
    generation: u64,
    process: Option<Process>,
    /// They are not COMMAND's.
    inherited: Inherited,
    /// It has ended, and its last output is waited for until then.
    ended: Option<(Exit, Instant)>,
    readers: JoinSet<()>,
    child_signal: tokio::signal::unix::Signal,
    /// Nothing is started any more.
    closing: bool,
}

impl Job {
    /// Nothing is started yet. To be called on a runtime whose thread lives as long as the process, and once in it: it
    /// waits for every child.
    ///
    /// # Errors
    /// What the system says when it is asked for orphans and for SIGCHLD.
    pub fn new(settings: Settings, hub: Hub<Event>) -> io::Result<Self> {
        let inherited = Inherited::now()?;
        become_subreaper()?;
        Ok(Self {
            inherited,
            busy: Busy::new(settings.on_busy),
            settings,
            hub,
            echo: Echo::default(),
            generation: 0,
            process: None,
            ended: None,
            readers: JoinSet::new(),
            child_signal: signal(SignalKind::child())?,
            closing: false,
        })
    }

    /// Runs COMMAND although nothing has changed.
    pub fn begin(&mut self) {
        let step = self.busy.begin();
        self.carry_out(Some(step));
    }

    /// Something has changed.
    pub fn changed(&mut self, changed: &Changed) {
        let cause = Cause::from(changed);
        match self.echo.judge(Instant::now(), &cause) {
            Verdict::Run => {}
            Verdict::Echo => return,
            Verdict::Silenced(paths) => {
                let paths = paths.join(", ");
                tracing::warn!(
                    "COMMAND itself seems to change {paths}: ten times in a row that followed its start at once. It is not started for that any more; leave it out with --exclude"
                );
                return;
            }
        }
        let step = self.busy.changed(cause);
        self.carry_out(step);
    }

    /// Waits for the next end of COMMAND; afterwards it may run again. Dropping the future loses nothing.
    pub async fn next_end(&mut self) -> ExitStatus {
        loop {
            if let Some(process) = &mut self.process
                && let Some(exit) = process.go_on(Instant::now(), &mut self.inherited)
            {
                self.process = None;
                self.ended = Some((exit, Instant::now() + LAST_OUTPUT));
            }
            if let Some((exit, until)) = self.ended {
                if self.readers.is_empty() || Instant::now() >= until {
                    self.ended = None;
                    self.readers.detach_all();
                    return self.over(exit);
                }
                tokio::select! {
                    _ = self.readers.join_next() => {}
                    () = at(Some(until)) => {}
                }
                continue;
            }
            let wake_at = self.process.as_ref().and_then(Process::wake_at);
            tokio::select! {
                _ = self.child_signal.recv() => {}
                () = at(wake_at) => {}
            }
        }
    }

    /// Stops COMMAND for good, with this signal instead of its own, or within this time at most. What is left to do is to wait
    /// for [`next_end`](Self::next_end), if this returns true.
    pub fn close(&mut self, signal: Option<Signal>, at_most: Option<Duration>) -> bool {
        self.closing = true;
        let settings = &self.settings;
        let timeout = at_most.map_or(settings.stop_timeout, |most| {
            settings.stop_timeout.min(most)
        });
        if let Some(process) = &mut self.process {
            process.stop(
                signal.unwrap_or(settings.stop_signal),
                timeout,
                Instant::now(),
            );
        }
        self.process.is_some() || self.ended.is_some()
    }

    fn over(&mut self, exit: Exit) -> ExitStatus {
        self.tell(State {
            phase: if self.closing {
                Phase::Stopped
            } else {
                Phase::Exited
            },
            exit: Some(exit),
            ..State::default()
        });
        let step = self.busy.ended();
        self.carry_out(step);
        status_of(exit)
    }

    fn carry_out(&mut self, step: Option<Step>) {
        let mut step = step.filter(|_| !self.closing);
        while let Some(now) = step.take() {
            match now {
                Step::Start(cause) => {
                    if let Err(error) = self.start(cause) {
                        self.tell(State {
                            phase: Phase::Failed,
                            reason: Some(self.why(error)),
                            ..State::default()
                        });
                        step = self.busy.ended();
                    }
                }
                Step::Stop => {
                    let settings = &self.settings;
                    if let Some(process) = &mut self.process {
                        process.stop(settings.stop_signal, settings.stop_timeout, Instant::now());
                    }
                }
                Step::Signal => {
                    if let Some(process) = &self.process {
                        process.signal(self.settings.signal);
                    }
                }
            }
        }
    }

    fn start(&mut self, cause: Option<Cause>) -> io::Result<()> {
        self.generation += 1;
        self.echo.started(Instant::now());
        let start = Start {
            words: &self.settings.words,
            env: environment(cause),
            captured: self.settings.captured,
        };
        let (process, captured) = Process::start(&start)?;
        let pid = process.leader();
        self.process = Some(process);
        self.tell(State {
            phase: Phase::Running,
            pid: Some(pid),
            ..State::default()
        });
        if let Some(Captured { stdout, stderr }) = captured {
            for (stream, fd) in [(Stream::Stdout, stdout), (Stream::Stderr, stderr)] {
                let reading = output::forward(fd, self.generation, stream, self.hub.clone());
                self.readers.spawn(async move {
                    if let Err(error) = reading.await {
                        tracing::warn!(%error, "what COMMAND writes cannot be read any further");
                    }
                });
            }
        }
        Ok(())
    }

    fn tell(&self, state: State) {
        self.hub.publish(Event::State(State {
            generation: self.generation,
            ..state
        }));
    }

    fn why(&self, error: io::Error) -> String {
        let program = self
            .settings
            .words
            .first()
            .map_or_else(String::new, |word| word.display().to_string());
        let fault = explain(&Attempt::here(&program), error);
        format!("{fault}; it is tried again at the next change")
    }
}

/// What COMMAND finds in its environment.
fn environment(cause: Option<Cause>) -> Vec<(&'static str, Option<String>)> {
    let (paths, count) = match cause {
        Some(cause) => {
            let mut bytes = 0;
            let fitting = cause.paths.iter().take_while(|path| {
                bytes += path.len() + 1;
                bytes < VARIABLE_BYTES
            });
            let fitting: Vec<&str> = fitting.map(String::as_str).collect();
            (Some(fitting.join("\n")), Some(cause.count.to_string()))
        }
        None => (None, None),
    };
    vec![("MONDAY_CHANGED", paths), ("MONDAY_CHANGED_COUNT", count)]
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => pending().await,
    }
}
