//! Where the command is in its life, and what comes next: the state machine of the guardian.
//!
//! It knows nothing of processes but the trait [`Processes`], so that its tests need none, and nothing of time but
//! what it is told. What it has to say is collected in [`Machine::notices`].
//!
//! There is at most one command at any time. What is asked for while an old one is ending is remembered as the one
//! thing that comes next; a later request replaces it, and whoever waited for the earlier one is told so.
//!
//! This file holds what is asked for; what happens by itself is in `course`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use monday_shared::protocol::run::{Exit, Phase, State};
use nix::sys::signal::Signal;

use crate::children::Ended;
use crate::request::{How, Refusal};
use crate::restart::Restarts;
use crate::spawn::SpawnError;
use crate::spec::CheckedSpec;
use crate::stop::{Rest, Sequence};

mod course;

/// What the state machine does to processes.
pub(crate) trait Processes {
    /// Starts the command and returns its process number. Whether it is ready is found out from then on, if it has to
    /// be.
    fn spawn(&mut self, generation: u64, spec: &Arc<CheckedSpec>) -> Result<u32, SpawnError>;
    /// Notices who ended.
    fn reap(&mut self) -> Vec<Ended>;
    /// Sends a signal to the command's group.
    fn signal_group(&self, signal: Signal) -> Result<(), Refusal>;
    /// Asks the command's group to end, who is suspended too.
    fn ask_group(&mut self, signal: Signal) -> Result<(), Refusal>;
    /// Asks everybody who is left and was not asked yet to end.
    fn ask_rest(&self, signal: Signal);
    /// Who is left?
    fn look(&self) -> Rest;
    /// Kills everybody who is left, once.
    fn kill(&self) -> Rest;
    /// Runs the stop commands of this generation.
    fn run_stop_commands(&mut self, generation: u64, spec: &Arc<CheckedSpec>);
    /// Ends the stop commands.
    fn end_stop_commands(&mut self);
    /// Whoever is left of this generation lives on, and is not looked at any more.
    fn keep(&mut self);
    /// Everybody is gone of this generation, or those who are not are given up.
    fn over(&mut self, everybody: bool);
}

/// Names a request that waits for its answer.
pub(crate) type Ticket = u64;

/// What the state machine has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// To everybody: this is how it is now.
    Changed(State),
    /// To whoever asked.
    Answer(Ticket, Result<State, Refusal>),
}

#[derive(Debug)]
enum Life {
    Resting(Phase),
    Running {
        pid: u32,
        lived: Lived,
    },
    Ending {
        /// The command itself, while it is alive.
        pid: Option<u32>,
        why: Why,
        lived: Lived,
        sequence: Sequence,
    },
    /// It ended by itself and is started again.
    Waiting {
        until: Instant,
    },
}

/// What is known of the present life.
#[derive(Clone, Copy, Debug)]
struct Lived {
    /// When it became ready; when it was started, as long as it is not.
    since: Instant,
    /// Whether it is ready, if it has to be.
    ready: Option<bool>,
}

impl Lived {
    /// How long it has been well. One that is not ready has not been, however long it lives.
    fn well(self, now: Instant) -> Duration {
        if self.ready == Some(false) {
            Duration::ZERO
        } else {
            now.saturating_duration_since(self.since)
        }
    }
}

/// Why the command ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    Request,
    Itself,
    /// It was not ready in time.
    NotReady(String),
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Machine<P> {
    processes: P,
    generation: u64,
    life: Life,
    /// What runs, or ran last.
    spec: Option<Arc<CheckedSpec>>,
    restarts: Restarts,
    exit: Option<Exit>,
    reason: Option<String>,
    /// It rests because it was not ready in time.
    not_ready: bool,
    /// What is started when the present one is over.
    next: Option<Arc<CheckedSpec>>,
    /// Who waits for the next start.
    waiting_for_start: Vec<Ticket>,
    /// Who waits for the present one to be over.
    waiting_for_end: Vec<Ticket>,
    notices: Vec<Notice>,
}

impl<P: Processes> Machine<P> {
    pub(crate) fn new(processes: P) -> Self {
        Self {
            processes,
            generation: 0,
            life: Life::Resting(Phase::Idle),
            spec: None,
            restarts: Restarts::new(monday_shared::protocol::run::RestartPolicy::default()),
            exit: None,
            reason: None,
            not_ready: false,
            next: None,
            waiting_for_start: Vec::new(),
            waiting_for_end: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// What there is to say since the last time.
    pub(crate) fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// What it acts on.
    pub(crate) fn processes_mut(&mut self) -> &mut P {
        &mut self.processes
    }

    /// How it is now.
    pub(crate) fn state(&self) -> State {
        let (phase, pid, ready) = match &self.life {
            Life::Resting(phase) => (*phase, None, self.not_ready.then_some(false)),
            Life::Waiting { .. } => (Phase::Waiting, None, None),
            Life::Running { pid, lived } => (Phase::Running, Some(*pid), lived.ready),
            Life::Ending { pid, .. } => (Phase::Stopping, *pid, None),
        };
        State {
            phase,
            generation: self.generation,
            pid,
            ready,
            exit: self.exit,
            reason: self.reason.clone(),
        }
    }

    /// Nothing runs, and nothing will unless somebody asks for it.
    pub(crate) fn is_resting(&self) -> bool {
        matches!(self.life, Life::Resting(_))
    }

    /// Nothing runs at this moment.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.life, Life::Resting(_) | Life::Waiting { .. })
    }

    /// When [`time`](Self::time) should be called next.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        match &self.life {
            Life::Ending { sequence, .. } => Some(sequence.wake_at()),
            Life::Waiting { until } => Some(*until),
            Life::Resting(_) | Life::Running { .. } => None,
        }
    }

    /// Starts the command; another one that runs is stopped first.
    pub(crate) fn start(&mut self, now: Instant, ticket: Ticket, spec: CheckedSpec) {
        let spec = Arc::new(spec);
        match &self.life {
            Life::Resting(_) | Life::Waiting { .. } => {
                self.waiting_for_start.push(ticket);
                self.launch(now, spec);
            }
            Life::Running { .. } if self.spec.as_ref() == Some(&spec) => {
                let state = self.state();
                self.answer(ticket, Ok(state));
            }
            Life::Running { .. } => {
                self.next = Some(spec);
                self.waiting_for_start.push(ticket);
                self.end(now, Why::Request, How::default());
            }
            Life::Ending { .. } => {
                if self.next.as_ref() != Some(&spec) {
                    self.supersede("another `start`");
                }
                self.next = Some(spec);
                self.waiting_for_start.push(ticket);
            }
        }
    }

    /// Stops the command if it runs.
    pub(crate) fn stop(&mut self, now: Instant, ticket: Ticket, how: How) {
        self.next = None;
        self.supersede("a `stop`");
        match &mut self.life {
            Life::Resting(_) => {
                let state = self.state();
                self.answer(ticket, Ok(state));
            }
            Life::Waiting { .. } => {
                self.life = Life::Resting(Phase::Stopped);
                self.reason = None;
                self.changed();
                let state = self.state();
                self.answer(ticket, Ok(state));
            }
            Life::Running { .. } => {
                self.waiting_for_end.push(ticket);
                self.end(now, Why::Request, how);
            }
            Life::Ending { sequence, why, .. } => {
                self.waiting_for_end.push(ticket);
                let Some(spec) = self.spec.clone() else {
                    return;
                };
                // It ended by itself all the same, but nobody wants it again.
                self.restarts.give_up();
                if matches!(why, Why::NotReady(_)) {
                    *why = Why::Request;
                }
                let steps = sequence.asked_again(now, how.signal(&spec), how.timeout(&spec));
                self.follow(now, steps);
            }
        }
    }

    /// Stops the command if it runs, and starts it again.
    pub(crate) fn restart(&mut self, now: Instant, ticket: Ticket) {
        let Some(spec) = self.spec.clone() else {
            self.answer(ticket, Err(Refusal::NothingToRestart));
            return;
        };
        self.waiting_for_start.push(ticket);
        match &self.life {
            Life::Resting(_) | Life::Waiting { .. } => self.launch(now, spec),
            Life::Running { .. } => {
                self.next = Some(spec);
                self.end(now, Why::Request, How::default());
            }
            Life::Ending { .. } => {
                self.next.get_or_insert(spec);
            }
        }
    }

    /// Sends a signal to the command's group.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Refusal> {
        match &self.life {
            Life::Running { .. } | Life::Ending { pid: Some(_), .. } => {
                self.processes.signal_group(signal)
            }
            _ => Err(Refusal::NotRunning(self.state())),
        }
    }

    /// Whoever waits for a start will not get it.
    fn supersede(&mut self, by: &'static str) {
        for ticket in std::mem::take(&mut self.waiting_for_start) {
            self.answer(ticket, Err(Refusal::Superseded(by)));
        }
    }

    fn changed(&mut self) {
        let state = self.state();
        self.notices.push(Notice::Changed(state));
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<State, Refusal>) {
        self.notices.push(Notice::Answer(ticket, answer));
    }
}

#[cfg(test)]
mod tests;
