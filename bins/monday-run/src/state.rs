//! Where the command is in its life, and what comes next: the state machine of the guardian.
//!
//! It knows nothing of processes but the trait [`Processes`], so that its tests need none, and nothing of time but
//! what it is told. What it has to say is collected in [`Machine::notices`].
//!
//! There is at most one command at any time. What is asked for while an old one is ending is remembered as the one
//! thing that comes next; a later request replaces it, and whoever waited for the earlier one is told so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use monday_shared::platform::process_tree::Process;
use monday_shared::protocol::run::{Exit, Phase, State};
use nix::sys::signal::Signal;

use crate::children::Ended;
use crate::spawn::SpawnError;
use crate::spec::CheckedSpec;
use crate::stop::{Rest, Sequence, Step};

/// What the state machine does to processes.
pub(crate) trait Processes {
    /// Starts the command and returns its process number.
    fn spawn(&mut self, generation: u64, spec: &CheckedSpec) -> Result<u32, SpawnError>;
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
    /// Nobody is left of this generation, so its output has nothing to wait for.
    fn over(&mut self);
}

/// Names a request that waits for its answer.
pub(crate) type Ticket = u64;

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The command could not be started.
    #[error("{0}")]
    Spawn(String),
    /// Another request came in before this one was done.
    #[error("the command was not started, because {0} came in meanwhile")]
    Superseded(&'static str),
    /// Nothing was ever started.
    #[error("there is nothing to restart: `start` says what to run")]
    NothingToRestart,
    /// The command does not run.
    #[error("there is nothing to signal: the command does not run ({0})")]
    NotRunning(State),
    /// The signal was not delivered.
    #[error("cannot send {signal} to the command: {why}")]
    Signal {
        /// Which signal.
        signal: Signal,
        /// What the system says.
        why: String,
    },
    /// Some processes could not be ended.
    #[error("{0}")]
    Survivors(String),
    /// The guardian takes nothing new.
    #[error("monday-run is about to end and starts nothing new")]
    Ending,
}

/// How a stop deviates from the specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Instead of the stop signal.
    pub signal: Option<Signal>,
    /// Instead of the stop time-out.
    pub timeout: Option<Duration>,
    /// Whatever the time-out is, no longer than this.
    pub at_most: Option<Duration>,
}

impl How {
    fn signal(&self, spec: &CheckedSpec) -> Signal {
        self.signal.unwrap_or_else(|| spec.stop_signal())
    }

    fn timeout(&self, spec: &CheckedSpec) -> Duration {
        let timeout = self.timeout.unwrap_or_else(|| spec.stop_timeout());
        self.at_most.map_or(timeout, |most| timeout.min(most))
    }
}

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
    },
    Ending {
        /// The command itself, while it is alive.
        pid: Option<u32>,
        /// Whether it was asked to end, rather than having ended by itself.
        on_request: bool,
        sequence: Sequence,
    },
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Machine<P> {
    processes: P,
    generation: u64,
    life: Life,
    /// What runs, or ran last.
    spec: Option<Arc<CheckedSpec>>,
    exit: Option<Exit>,
    reason: Option<String>,
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
            exit: None,
            reason: None,
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
        let (phase, pid) = match &self.life {
            Life::Resting(phase) => (*phase, None),
            Life::Running { pid } => (Phase::Running, Some(*pid)),
            Life::Ending { pid, .. } => (Phase::Stopping, *pid),
        };
        State {
            phase,
            generation: self.generation,
            pid,
            exit: self.exit,
            reason: self.reason.clone(),
        }
    }

    /// Nothing runs.
    pub(crate) fn is_resting(&self) -> bool {
        matches!(self.life, Life::Resting(_))
    }

    /// When [`time`](Self::time) should be called next.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        match &self.life {
            Life::Ending { sequence, .. } => Some(sequence.wake_at()),
            Life::Resting(_) | Life::Running { .. } => None,
        }
    }

    /// Starts the command; another one that runs is stopped first.
    pub(crate) fn start(&mut self, now: Instant, ticket: Ticket, spec: CheckedSpec) {
        let spec = Arc::new(spec);
        match &self.life {
            Life::Resting(_) => {
                self.waiting_for_start.push(ticket);
                self.launch(spec);
            }
            Life::Running { .. } if self.spec.as_ref() == Some(&spec) => {
                let state = self.state();
                self.answer(ticket, Ok(state));
            }
            Life::Running { .. } => {
                self.next = Some(spec);
                self.waiting_for_start.push(ticket);
                self.end(now, How::default());
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
            Life::Running { .. } => {
                self.waiting_for_end.push(ticket);
                self.end(now, how);
            }
            Life::Ending { sequence, .. } => {
                self.waiting_for_end.push(ticket);
                let Some(spec) = self.spec.clone() else {
                    return;
                };
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
            Life::Resting(_) => self.launch(spec),
            Life::Running { .. } => {
                self.next = Some(spec);
                self.end(now, How::default());
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

    /// Some child ended: finds out which.
    pub(crate) fn child_ended(&mut self, now: Instant) {
        let ended = self.processes.reap();
        let leader = match &self.life {
            Life::Running { pid } => Some(*pid),
            Life::Ending { pid, .. } => *pid,
            Life::Resting(_) => None,
        };
        let of_leader = ended.iter().find(|ended| Some(ended.pid) == leader);
        if let Some(ended) = of_leader {
            self.leader_ended(now, ended.exit);
        } else if let Life::Ending { sequence, .. } = &mut self.life
            && !ended.is_empty()
        {
            let steps = sequence.other_ended();
            self.follow(now, steps);
        }
    }

    /// Time passed.
    pub(crate) fn time(&mut self, now: Instant) {
        if let Life::Ending { sequence, .. } = &mut self.life {
            let steps = sequence.time(now);
            self.follow(now, steps);
        }
    }

    fn leader_ended(&mut self, now: Instant, exit: Exit) {
        self.exit = Some(exit);
        let Some(spec) = self.spec.clone() else {
            return;
        };
        let steps = if let Life::Ending { pid, sequence, .. } = &mut self.life {
            *pid = None;
            sequence.leader_ended()
        } else {
            let (sequence, steps) =
                Sequence::ended_by_itself(now, spec.stop_signal(), spec.stop_timeout());
            self.life = Life::Ending {
                pid: None,
                on_request: false,
                sequence,
            };
            steps
        };
        self.follow(now, steps);
    }

    /// Begins to stop what runs.
    fn end(&mut self, now: Instant, how: How) {
        let (Life::Running { pid }, Some(spec)) = (&self.life, self.spec.clone()) else {
            return;
        };
        let pid = *pid;
        let (sequence, steps) = Sequence::asked(now, how.signal(&spec), how.timeout(&spec));
        self.life = Life::Ending {
            pid: Some(pid),
            on_request: true,
            sequence,
        };
        self.changed();
        self.follow(now, steps);
    }

    /// Does what the sequence says, and what it says to the answers.
    fn follow(&mut self, now: Instant, steps: Vec<Step>) {
        let mut steps = std::collections::VecDeque::from(steps);
        while let Some(step) = steps.pop_front() {
            let rest = match step {
                Step::AskGroup(signal) => {
                    if let Err(refusal) = self.processes.ask_group(signal) {
                        tracing::warn!("{refusal}");
                    }
                    continue;
                }
                Step::AskRest(signal) => {
                    self.processes.ask_rest(signal);
                    continue;
                }
                Step::Tell {
                    waiting_for,
                    killed_in,
                } => {
                    self.reason = Some(waiting(&waiting_for, killed_in));
                    self.changed();
                    continue;
                }
                Step::Over { survivors } => {
                    self.over(&survivors);
                    return;
                }
                Step::Look => self.processes.look(),
                Step::Kill => self.processes.kill(),
            };
            if let Life::Ending { sequence, .. } = &mut self.life {
                steps.extend(sequence.left(now, rest));
            }
        }
    }

    fn over(&mut self, survivors: &[Process]) {
        let on_request = matches!(
            self.life,
            Life::Ending {
                on_request: true,
                ..
            }
        );
        let refusal = (!survivors.is_empty()).then(|| survived(survivors));
        self.reason.clone_from(&refusal);
        self.life = Life::Resting(match (on_request, &refusal) {
            (false, _) => Phase::Exited,
            (true, None) => Phase::Stopped,
            (true, Some(_)) => Phase::Failed,
        });
        self.processes.over();
        self.changed();
        let state = self.state();
        for ticket in std::mem::take(&mut self.waiting_for_end) {
            let answer = refusal
                .clone()
                .map_or_else(|| Ok(state.clone()), |text| Err(Refusal::Survivors(text)));
            self.answer(ticket, answer);
        }
        match (self.next.take(), refusal) {
            (Some(spec), None) => self.launch(spec),
            // Two of the same would be worse than none.
            (Some(_), Some(text)) => {
                for ticket in std::mem::take(&mut self.waiting_for_start) {
                    self.answer(ticket, Err(Refusal::Survivors(text.clone())));
                }
            }
            (None, _) => {}
        }
    }

    fn launch(&mut self, spec: Arc<CheckedSpec>) {
        self.generation += 1;
        self.exit = None;
        self.reason = None;
        let started = self.processes.spawn(self.generation, &spec);
        self.spec = Some(spec);
        let answer = match started {
            Ok(pid) => {
                self.life = Life::Running { pid };
                Ok(self.state())
            }
            Err(error) => {
                let text = error.to_string();
                self.life = Life::Resting(Phase::Failed);
                self.reason = Some(text.clone());
                Err(Refusal::Spawn(text))
            }
        };
        self.changed();
        for ticket in std::mem::take(&mut self.waiting_for_start) {
            self.answer(ticket, answer.clone());
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

/// How many processes are named before the rest is only counted.
const NAMED: usize = 3;

fn names(processes: &[Process]) -> String {
    let mut text = processes
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more @ 1..) = processes.len().checked_sub(NAMED) {
        text = format!("{text} and {more} more");
    }
    text
}

fn waiting(processes: &[Process], killed_in: Option<Duration>) -> String {
    let who = names(processes);
    match killed_in {
        Some(time) => format!("waiting for {who}; killed in {} s", time.as_secs()),
        None => format!("killing {who}"),
    }
}

fn survived(processes: &[Process]) -> String {
    format!(
        "cannot end {}: it belongs to another user, or hangs in the kernel; end it by hand (`sudo kill -9 {}`)",
        names(processes),
        processes.first().map_or(0, |process| process.id.pid)
    )
}

#[cfg(test)]
mod tests;
