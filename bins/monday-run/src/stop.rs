//! How a command is brought to its end, as a pure state machine: it is told what happened and when, and says what to
//! do next. `state` drives it, `guardian` does what it says.
//!
//! ```text
//! asked:           stop commands -> signal to the group -> stop timeout -> KILL until nobody is left
//! leader is gone:  who is left outside the group is asked too, and has at most a second
//! ended by itself: who is left is asked and has at most a second -> KILL until nobody is left
//! ```

use std::time::{Duration, Instant};

use monday_shared::platform::process_tree::Process;
use nix::sys::signal::Signal;

/// How long processes that the command left behind may take when they are asked to end: they lost who they worked for.
const REST_GRACE: Duration = Duration::from_secs(1);

/// After this long it is said what is waited for.
const TELL_AFTER: Duration = Duration::from_secs(2);

/// The pause between two rounds of killing grows from this, about what a killed process needs to vanish, …
const FIRST_KILL_PAUSE: Duration = Duration::from_millis(5);

/// … to this.
const LONGEST_KILL_PAUSE: Duration = Duration::from_millis(100);

/// A process that did not die of KILL in this time hangs in the kernel (a dead network drive) and is given up.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// No stop takes longer; it keeps a time-out of a million years from being added to a clock that ends before.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Run the stop commands, and tell [`Sequence::prepared`] when they are done.
    RunCommands,
    /// End the stop commands: they have had their time.
    EndCommands,
    /// Send this to the command's group.
    AskGroup(Signal),
    /// Send this to everybody who is left and was not asked with the group.
    AskRest(Signal),
    /// Look who is left, and tell [`Sequence::left`].
    Look,
    /// Kill everybody who is left, and tell [`Sequence::left`] who that was.
    Kill,
    /// Say who is waited for, and when they are killed.
    Tell {
        /// Who.
        waiting_for: Vec<Process>,
        /// How long until they are killed; `None` if they are being killed already.
        killed_in: Option<Duration>,
    },
    /// It is over. Whoever could not be ended is named.
    Over {
        /// Who could not be ended; normally nobody.
        survivors: Vec<Process>,
    },
}

/// Who is left, seen from the sequence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rest {
    /// Everybody who is alive.
    pub(crate) alive: Vec<Process>,
    /// How many of them belong to the command's group.
    pub(crate) of_group: usize,
    /// Who of them cannot be signalled, being somebody else's.
    pub(crate) denied: Vec<Process>,
}

/// One stop from its beginning to its end.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    signal: Signal,
    /// The command itself has not ended yet.
    leader_alive: bool,
    /// Everybody else was asked too.
    rest_asked: bool,
    stage: Stage,
    /// When to say what is waited for; `None` once it was said.
    tell_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The stop commands run and have until then.
    Preparing {
        deadline: Instant,
        timeout: Duration,
    },
    /// They were asked and have until then.
    Asked { deadline: Instant },
    /// They are being killed.
    Killing {
        since: Instant,
        next: Instant,
        pause: Duration,
    },
}

impl Sequence {
    /// A stop on request, with commands to be run before, or without.
    pub(crate) fn asked(
        now: Instant,
        signal: Signal,
        timeout: Duration,
        commands: bool,
    ) -> (Self, Vec<Step>) {
        let mut sequence = Self {
            signal,
            leader_alive: true,
            rest_asked: false,
            stage: Stage::Asked {
                deadline: after(now, timeout),
            },
            tell_at: Some(now + TELL_AFTER),
        };
        let steps = if timeout.is_zero() {
            sequence.kill(now)
        } else if commands {
            let deadline = after(now, timeout);
            sequence.stage = Stage::Preparing { deadline, timeout };
            sequence.tell_at = None;
            vec![Step::RunCommands]
        } else {
            vec![Step::AskGroup(signal)]
        };
        (sequence, steps)
    }

    /// The command ended by itself; whoever it left behind shall end too.
    pub(crate) fn ended_by_itself(
        now: Instant,
        signal: Signal,
        timeout: Duration,
    ) -> (Self, Vec<Step>) {
        let sequence = Self {
            signal,
            leader_alive: false,
            rest_asked: false,
            stage: Stage::Asked {
                deadline: now + timeout.min(REST_GRACE),
            },
            tell_at: Some(now + TELL_AFTER),
        };
        (sequence, vec![Step::Look])
    }

    /// Another stop came meanwhile: a nearer deadline counts, a further one does not, and another signal is sent.
    pub(crate) fn asked_again(
        &mut self,
        now: Instant,
        signal: Signal,
        timeout: Duration,
    ) -> Vec<Step> {
        let preparing = matches!(self.stage, Stage::Preparing { .. });
        match &mut self.stage {
            Stage::Killing { .. } => return Vec::new(),
            Stage::Asked { deadline } => *deadline = (*deadline).min(after(now, timeout)),
            Stage::Preparing {
                deadline,
                timeout: then,
            } => {
                *deadline = (*deadline).min(after(now, timeout));
                *then = (*then).min(timeout);
            }
        }
        if timeout.is_zero() {
            let mut steps = Vec::from_iter(preparing.then_some(Step::EndCommands));
            steps.extend(self.kill(now));
            return steps;
        }
        if signal == self.signal || !self.leader_alive {
            return Vec::new();
        }
        self.signal = signal;
        // Those who prepare are let finish; the signal is sent then.
        Vec::from_iter((!preparing).then_some(Step::AskGroup(signal)))
    }

    /// The stop commands are done.
    pub(crate) fn prepared(&mut self, now: Instant) -> Vec<Step> {
        let Stage::Preparing { timeout, .. } = self.stage else {
            return Vec::new();
        };
        self.tell_at = Some(now + TELL_AFTER);
        let timeout = if self.leader_alive {
            timeout
        } else {
            timeout.min(REST_GRACE)
        };
        self.stage = Stage::Asked {
            deadline: after(now, timeout),
        };
        if self.leader_alive {
            vec![Step::AskGroup(self.signal)]
        } else {
            vec![Step::Look]
        }
    }

    /// The command itself has ended.
    pub(crate) fn leader_ended(&mut self) -> Vec<Step> {
        self.leader_alive = false;
        self.look_unless_preparing()
    }

    /// Some other process below us has ended.
    pub(crate) fn other_ended(&mut self) -> Vec<Step> {
        if self.leader_alive {
            Vec::new()
        } else {
            self.look_unless_preparing()
        }
    }

    /// Stop commands may have something to do even when the command is gone.
    fn look_unless_preparing(&self) -> Vec<Step> {
        Vec::from_iter((!matches!(self.stage, Stage::Preparing { .. })).then_some(Step::Look))
    }

    /// The answer to [`Step::Look`] and [`Step::Kill`].
    pub(crate) fn left(&mut self, now: Instant, rest: Rest) -> Vec<Step> {
        if matches!(self.stage, Stage::Preparing { .. }) {
            return Vec::new();
        }
        if !self.leader_alive && rest.alive.is_empty() {
            return vec![Step::Over {
                survivors: Vec::new(),
            }];
        }
        let mut steps = Vec::new();
        match &mut self.stage {
            Stage::Preparing { .. } => return Vec::new(),
            Stage::Asked { deadline } => {
                if !self.leader_alive {
                    if !self.rest_asked {
                        self.rest_asked = true;
                        steps.push(Step::AskRest(self.signal));
                    }
                    if rest.of_group == 0 {
                        // Whom the command itself did not end has no claim to its whole time-out.
                        *deadline = (*deadline).min(now + REST_GRACE);
                    }
                }
            }
            Stage::Killing { since, .. } => {
                let nobody_can_be_killed = !rest.alive.is_empty()
                    && rest
                        .alive
                        .iter()
                        .all(|process| rest.denied.contains(process));
                if nobody_can_be_killed || now >= *since + KILL_PATIENCE {
                    return vec![Step::Over {
                        survivors: rest.alive,
                    }];
                }
            }
        }
        if self.tell_at.is_some_and(|at| now >= at) {
            self.tell_at = None;
            steps.push(Step::Tell {
                waiting_for: rest.alive,
                killed_in: match self.stage {
                    Stage::Asked { deadline } => Some(deadline.saturating_duration_since(now)),
                    Stage::Preparing { .. } | Stage::Killing { .. } => None,
                },
            });
        }
        steps
    }

    /// Time passed; to be called at [`wake_at`](Self::wake_at) or later.
    pub(crate) fn time(&mut self, now: Instant) -> Vec<Step> {
        match self.stage {
            Stage::Preparing { deadline, .. } if now >= deadline => {
                let mut steps = vec![Step::EndCommands];
                steps.extend(self.prepared(now));
                steps
            }
            Stage::Asked { deadline } if now >= deadline => self.kill(now),
            Stage::Killing { since, next, pause } if now >= next => {
                let pause = (pause * 2).min(LONGEST_KILL_PAUSE);
                self.stage = Stage::Killing {
                    since,
                    next: now + pause,
                    pause,
                };
                vec![Step::Kill]
            }
            _ if self.tell_at.is_some_and(|at| now >= at) => vec![Step::Look],
            _ => Vec::new(),
        }
    }

    /// When time matters next.
    pub(crate) fn wake_at(&self) -> Instant {
        let stage = match self.stage {
            Stage::Preparing { deadline, .. } | Stage::Asked { deadline } => deadline,
            Stage::Killing { next, .. } => next,
        };
        self.tell_at.map_or(stage, |tell| tell.min(stage))
    }

    fn kill(&mut self, now: Instant) -> Vec<Step> {
        self.stage = Stage::Killing {
            since: now,
            next: now + FIRST_KILL_PAUSE,
            pause: FIRST_KILL_PAUSE,
        };
        vec![Step::Kill]
    }
}

fn after(now: Instant, timeout: Duration) -> Instant {
    now + timeout.min(LONGEST_TIMEOUT)
}

#[cfg(test)]
mod tests;
