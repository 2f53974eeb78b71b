//! The guardian: the task that owns the command and everything below it.
//!
//! The handle [`Guardian`] sends it requests, each of which is answered when it is done; what happens meanwhile is
//! published in the hub. The decisions are made in `state` and `stop`; this module only carries them out.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use monday_shared::ask::ask;
use monday_shared::lease;
use monday_shared::protocol::run::{Event, State};
use monday_shared::rpc::hub::Hub;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::helper::Inside;
use crate::live::Live;
use crate::request::{How, Refusal};
use crate::spec::CheckedSpec;
use crate::state::{Machine, Notice, Ticket};

/// How many requests wait for the guardian; it takes each in less time than a client needs to send one.
const REQUESTS_AHEAD: usize = 64;

/// Speaks to the guardian. Clones speak to the same one. When the last is gone, the guardian stops the command and
/// ends.
#[derive(Clone, Debug)]
pub struct Guardian {
    requests: mpsc::Sender<Request>,
    state: watch::Receiver<State>,
}

type Reply = oneshot::Sender<Result<State, Refusal>>;

#[derive(Debug)]
enum Request {
    Start(Box<CheckedSpec>, Reply),
    Stop(How, Reply),
    Restart(Reply),
    Signal(Signal, oneshot::Sender<Result<(), Refusal>>),
    Status(oneshot::Sender<State>),
    CloseOutput,
    End(How, oneshot::Sender<State>),
}

impl Guardian {
    /// Begins to guard; nothing is started yet. What a guardian with the same lease left behind when it was killed is
    /// ended first. To be called on a runtime whose thread lives as long as the process
    /// (on Linux a command dies with the thread that started it), and once in a process: the guardian waits for every
    /// child of it.
    ///
    /// # Errors
    /// What the system says when it is asked for orphans and for SIGCHLD.
    pub fn begin(hub: Hub<Event>, lease: Option<PathBuf>) -> io::Result<Self> {
        if let Some(path) = &lease {
            end_survivors(path);
        }
        let child_signal = signal(SignalKind::child())?;
        let (requests, incoming) = mpsc::channel(REQUESTS_AHEAD);
        let (published, state) = watch::channel(State::default());
        let (inside, from_inside) = mpsc::unbounded_channel();
        let task = Task {
            machine: Machine::new(Live::new(hub.clone(), inside, lease)?),
            hub,
            published,
            unpublished: Vec::new(),
            tickets: HashMap::new(),
            last_ticket: 0,
            ending: None,
            abandoned: false,
        };
        tokio::spawn(task.run(incoming, from_inside, child_signal));
        Ok(Self { requests, state })
    }

    /// Starts the command. While it runs, the same specification again changes nothing; another one stops it first.
    ///
    /// # Errors
    /// [`Refusal::Spawn`], or another request came in between.
    pub async fn start(&self, spec: CheckedSpec) -> Result<State, Refusal> {
        self.ask(|reply| Request::Start(Box::new(spec), reply))
            .await?
    }

    /// Stops the command and every descendant; returns when none is left.
    ///
    /// # Errors
    /// [`Refusal::Survivors`].
    pub async fn stop(&self, how: How) -> Result<State, Refusal> {
        self.ask(|reply| Request::Stop(how, reply)).await?
    }

    /// Stops the command if it runs and starts it again.
    ///
    /// # Errors
    /// [`Refusal::NothingToRestart`], or as [`start`](Self::start) and [`stop`](Self::stop).
    pub async fn restart(&self) -> Result<State, Refusal> {
        self.ask(Request::Restart).await?
    }

    /// Sends a signal to the command's group.
    ///
    /// # Errors
    /// [`Refusal::NotRunning`] or [`Refusal::Signal`].
    pub async fn signal(&self, signal: Signal) -> Result<(), Refusal> {
        self.ask(|reply| Request::Signal(signal, reply)).await?
    }

    /// How it is at this moment.
    ///
    /// # Errors
    /// [`Refusal::Ending`] when the guardian has ended.
    pub async fn status(&self) -> Result<State, Refusal> {
        self.ask(Request::Status).await
    }

    /// Closes the command's output: nobody takes it any more.
    pub async fn close_output(&self) {
        // A guardian that has ended has closed it.
        let _ = self.requests.send(Request::CloseOutput).await;
    }

    /// Stops the command, publishes all of its output and ends. Returns how it ended.
    ///
    /// # Errors
    /// [`Refusal::Ending`] when it has ended already.
    pub async fn end(&self, how: How) -> Result<State, Refusal> {
        self.ask(|reply| Request::End(how, reply)).await
    }

    /// The states as they are published: an end comes after the last line of output.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Refusal> {
        ask(&self.requests, request).await.ok_or(Refusal::Ending)
    }
}

/// The task's own state.
struct Task {
    machine: Machine<Live>,
    hub: Hub<Event>,
    published: watch::Sender<State>,
    /// Ends that wait until all output that came before them is published.
    unpublished: Vec<State>,
    tickets: HashMap<Ticket, Reply>,
    last_ticket: Ticket,
    /// Who asked for the end of the guardian; nothing new is started then.
    ending: Option<Vec<oneshot::Sender<State>>>,
    /// The last handle is gone.
    abandoned: bool,
}

impl Task {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut inside: mpsc::UnboundedReceiver<Inside>,
        mut child_signal: tokio::signal::unix::Signal,
    ) {
        loop {
            let wake_at = self.machine.wake_at();
            tokio::select! {
                biased;
                _ = child_signal.recv() => self.machine.child_ended(Instant::now()),
                () = at(wake_at) => self.machine.time(Instant::now()),
                () = self.machine.processes_mut().output_ended() => {}
                Some(inside) = inside.recv() => self.hear(inside),
                request = requests.recv(), if !self.abandoned => {
                    self.abandoned = request.is_none();
                    let end = || Request::End(How::default(), oneshot::channel().0);
                    self.take(request.unwrap_or_else(end));
                }
            }
            self.say();
            let done = self.machine.is_resting() && self.unpublished.is_empty();
            if self.ending.is_some() && done && !self.machine.processes_mut().has_helpers() {
                break;
            }
        }
        self.machine.processes_mut().finish().await;
        let state = self.machine.state();
        for reply in self.ending.into_iter().flatten() {
            let _ = reply.send(state.clone());
        }
    }

    fn take(&mut self, request: Request) {
        let now = Instant::now();
        // Whoever asked may have gone meanwhile; what was asked for is done all the same.
        match request {
            Request::Start(_, reply) | Request::Restart(reply) if self.ending.is_some() => {
                let _ = reply.send(Err(Refusal::Ending));
            }
            Request::Start(spec, reply) => {
                let ticket = self.ticket(reply);
                self.machine.start(now, ticket, *spec);
            }
            Request::Stop(how, reply) => {
                let ticket = self.ticket(reply);
                self.machine.stop(now, ticket, how);
            }
            Request::Restart(reply) => {
                let ticket = self.ticket(reply);
                self.machine.restart(now, ticket);
            }
            Request::Signal(signal, reply) => {
                let _ = reply.send(self.machine.signal(signal));
            }
            Request::Status(reply) => {
                let _ = reply.send(self.machine.state());
            }
            Request::CloseOutput => self.machine.processes_mut().close_output(),
            Request::End(how, reply) => {
                self.ending.get_or_insert_default().push(reply);
                let ticket = self.ticket(oneshot::channel().0);
                self.machine.stop(now, ticket, how);
            }
        }
    }

    fn hear(&mut self, inside: Inside) {
        let now = Instant::now();
        let live = self.machine.processes_mut();
        match inside {
            Inside::Start {
                spec,
                output,
                reply,
            } => {
                let started = live.start_helper(&spec, output);
                if let Err(Ok(unwanted)) = reply.send(started) {
                    live.kill_helper(unwanted.pid);
                }
            }
            Inside::Kill(pid) => live.kill_helper(pid),
            Inside::Probed(generation, ready) => self.machine.probed(now, generation, ready),
            Inside::StopCommandsEnded(generation) => {
                self.machine.stop_commands_ended(now, generation);
            }
        }
    }

    fn ticket(&mut self, reply: Reply) -> Ticket {
        self.last_ticket += 1;
        self.tickets.insert(self.last_ticket, reply);
        self.last_ticket
    }

    /// Passes on what the machine has to say: answers at once, ends after the output that came before them.
    fn say(&mut self) {
        for notice in self.machine.notices() {
            match notice {
                Notice::Answer(ticket, answer) => {
                    if let Some(reply) = self.tickets.remove(&ticket) {
                        let _ = reply.send(answer);
                    }
                }
                Notice::Changed(state) => self.unpublished.push(state),
            }
        }
        // An end is the last to be said, and only if it is still over: what began since does not wait.
        let hold = self.machine.is_over() && self.machine.processes_mut().output_is_open();
        let keep = usize::from(hold && !self.unpublished.is_empty());
        let ready = self.unpublished.len() - keep;
        for state in self.unpublished.drain(..ready) {
            tracing::info!("{state}");
            self.hub.publish(Event::State(state.clone()));
            self.published.send_replace(state);
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => pending().await,
    }
}

/// Ends what a killed guardian left behind. What goes wrong is said; it is no reason to start nothing.
fn end_survivors(path: &std::path::Path) {
    match lease::end(path) {
        Ok(ended) => {
            for process in ended.ended {
                tracing::warn!(
                    "ended process {process}, which a killed monday-run had left behind"
                );
            }
            for process in ended.survivors {
                tracing::warn!(
                    "cannot end process {process}, which a killed monday-run had left behind"
                );
            }
        }
        Err(error) => tracing::warn!("{error}"),
    }
}
