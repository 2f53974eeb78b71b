//! What happens to the command by itself, or follows from what was asked: the other half of the state machine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use monday_shared::platform::process_tree::Process;
use monday_shared::protocol::run::{Exit, Phase};

use super::{Life, Lived, Machine, Processes, Why};
use crate::request::{How, Refusal};
use crate::restart::{self, Restarts, Verdict};
use crate::spec::CheckedSpec;
use crate::stop::{Sequence, Step};
use crate::words;

impl<P: Processes> Machine<P> {
    /// Some child ended: finds out which.
    pub(crate) fn child_ended(&mut self, now: Instant) {
        let ended = self.processes.reap();
        let leader = match &self.life {
            Life::Running { pid, .. } => Some(*pid),
            Life::Ending { pid, .. } => *pid,
            Life::Resting(_) | Life::Waiting { .. } => None,
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
        match &mut self.life {
            Life::Ending { sequence, .. } => {
                let steps = sequence.time(now);
                self.follow(now, steps);
            }
            Life::Waiting { until } if now >= *until => {
                if let Some(spec) = self.spec.clone() {
                    self.launch_again(now, spec);
                }
            }
            Life::Waiting { .. } | Life::Resting(_) | Life::Running { .. } => {}
        }
    }

    /// A probe has found out whether the command of that generation is ready.
    pub(crate) fn probed(&mut self, now: Instant, generation: u64, ready: Result<(), String>) {
        let Life::Running { lived, .. } = &mut self.life else {
            return;
        };
        if generation != self.generation || lived.ready != Some(false) {
            return;
        }
        match ready {
            Ok(()) => {
                lived.ready = Some(true);
                lived.since = now;
                self.reason = None;
                self.changed();
            }
            Err(why) => self.end(now, Why::NotReady(why), How::default()),
        }
    }

    /// The stop commands of that generation are done.
    pub(crate) fn stop_commands_ended(&mut self, now: Instant, generation: u64) {
        if let Life::Ending { sequence, .. } = &mut self.life
            && generation == self.generation
        {
            self.reason = None;
            let steps = sequence.prepared(now);
            self.follow(now, steps);
        }
    }

    fn leader_ended(&mut self, now: Instant, exit: Exit) {
        self.exit = Some(exit);
        let Some(spec) = self.spec.clone() else {
            return;
        };
        let steps = match &mut self.life {
            Life::Ending { pid, sequence, .. } => {
                *pid = None;
                sequence.leader_ended()
            }
            Life::Running { lived, .. } => {
                let (sequence, steps) =
                    Sequence::ended_by_itself(now, spec.stop_signal(), spec.stop_timeout());
                self.life = Life::Ending {
                    pid: None,
                    why: Why::Itself,
                    lived: *lived,
                    sequence,
                };
                if spec.keep_children() {
                    self.processes.keep();
                    self.over(now, &[]);
                    return;
                }
                steps
            }
            Life::Resting(_) | Life::Waiting { .. } => return,
        };
        self.follow(now, steps);
    }

    /// Begins to stop what runs.
    pub(super) fn end(&mut self, now: Instant, why: Why, how: How) {
        let (Life::Running { pid, lived }, Some(spec)) = (&self.life, self.spec.clone()) else {
            return;
        };
        let (pid, lived) = (*pid, *lived);
        let commands = !spec.stop_commands().is_empty();
        let (sequence, steps) =
            Sequence::asked(now, how.signal(&spec), how.timeout(&spec), commands);
        self.reason = match &why {
            Why::NotReady(why) => Some(why.clone()),
            Why::Request if steps.contains(&Step::RunCommands) => {
                Some("running the stop commands".to_owned())
            }
            Why::Request | Why::Itself => None,
        };
        self.life = Life::Ending {
            pid: Some(pid),
            why,
            lived,
            sequence,
        };
        self.changed();
        self.follow(now, steps);
    }

    /// Does what the sequence says, and what it says to the answers.
    pub(super) fn follow(&mut self, now: Instant, steps: Vec<Step>) {
        let mut steps = VecDeque::from(steps);
        while let Some(step) = steps.pop_front() {
            let rest = match step {
                Step::Look => self.processes.look(),
                Step::Kill => self.processes.kill(),
                Step::Over { survivors } => {
                    self.over(now, &survivors);
                    return;
                }
                other => {
                    self.take(other);
                    continue;
                }
            };
            if let Life::Ending { sequence, .. } = &mut self.life {
                steps.extend(sequence.left(now, rest));
            }
        }
    }

    /// A step that asks for no answer.
    fn take(&mut self, step: Step) {
        match step {
            Step::AskGroup(signal) => {
                if let Err(refusal) = self.processes.ask_group(signal) {
                    tracing::warn!("{refusal}");
                }
            }
            Step::AskRest(signal) => self.processes.ask_rest(signal),
            Step::RunCommands => {
                if let Some(spec) = self.spec.clone() {
                    self.processes.run_stop_commands(self.generation, &spec);
                }
            }
            Step::EndCommands => self.processes.end_stop_commands(),
            Step::Tell {
                waiting_for,
                killed_in,
            } => {
                self.reason = Some(words::waiting(&waiting_for, killed_in));
                self.changed();
            }
            Step::Look | Step::Kill | Step::Over { .. } => {}
        }
    }

    fn over(&mut self, now: Instant, survivors: &[Process]) {
        let Life::Ending { why, lived, .. } = &self.life else {
            return;
        };
        let (why, lived) = (why.clone(), *lived);
        let survived = (!survivors.is_empty()).then(|| words::survived(survivors));
        self.processes.over(survived.is_none());
        self.reason.clone_from(&survived);
        self.life = Life::Resting(match (&why, &survived) {
            (Why::Itself, _) => Phase::Exited,
            (Why::Request, None) => Phase::Stopped,
            (Why::Request, Some(_)) | (Why::NotReady(_), _) => Phase::Failed,
        });
        if let Why::NotReady(why) = &why {
            self.not_ready = true;
            self.reason = Some(why.clone());
        }
        if self.next.is_none() && survived.is_none() && why != Why::Request {
            self.perhaps_again(now, &why, lived);
        }
        self.changed();
        let state = self.state();
        for ticket in std::mem::take(&mut self.waiting_for_end) {
            let answer = survived
                .clone()
                .map_or_else(|| Ok(state.clone()), |text| Err(Refusal::Survivors(text)));
            self.answer(ticket, answer);
        }
        match (self.next.take(), survived) {
            (Some(spec), None) => self.launch(now, spec),
            // Two of the same would be worse than none.
            (Some(_), Some(text)) => {
                for ticket in std::mem::take(&mut self.waiting_for_start) {
                    self.answer(ticket, Err(Refusal::Survivors(text.clone())));
                }
            }
            (None, _) => {}
        }
    }

    /// It ended by itself or was not ready in time: waits for a new start if that is the policy.
    fn perhaps_again(&mut self, now: Instant, why: &Why, lived: Lived) {
        let failed = *why != Why::Itself || self.exit != Some(Exit::Code(0));
        let verdict = self.restarts.ended(restart::Lived {
            well: lived.well(now),
            failed,
        });
        self.heed(now, verdict);
    }

    fn heed(&mut self, now: Instant, verdict: Verdict) {
        let before = self.reason.take();
        let after = match verdict {
            Verdict::Done => None,
            Verdict::Again { after, number } => {
                self.life = Life::Waiting { until: now + after };
                self.not_ready = false;
                let time = words::time(after);
                Some(format!(
                    "started again in {time} (number {number} in a row)"
                ))
            }
            Verdict::GivenUp { restarts } => {
                let starts = if restarts == 1 { "start" } else { "starts" };
                Some(format!("given up after {restarts} new {starts} in a row"))
            }
        };
        let parts: Vec<String> = before.into_iter().chain(after).collect();
        self.reason = (!parts.is_empty()).then(|| parts.join("; "));
    }

    /// A start that somebody asked for.
    pub(super) fn launch(&mut self, now: Instant, spec: Arc<CheckedSpec>) {
        self.restarts = Restarts::new(spec.restart());
        if let Err(text) = self.try_to_launch(now, spec) {
            self.life = Life::Resting(Phase::Failed);
            self.reason = Some(text.clone());
            self.changed();
            for ticket in std::mem::take(&mut self.waiting_for_start) {
                self.answer(ticket, Err(Refusal::Spawn(text.clone())));
            }
        }
    }

    /// A start that the policy asks for; the program may be missing only for a moment, while it is built.
    fn launch_again(&mut self, now: Instant, spec: Arc<CheckedSpec>) {
        if let Err(text) = self.try_to_launch(now, spec) {
            self.life = Life::Resting(Phase::Failed);
            self.reason = Some(text);
            let verdict = self.restarts.ended(restart::Lived {
                well: std::time::Duration::ZERO,
                failed: true,
            });
            self.heed(now, verdict);
            self.changed();
        }
    }

    fn try_to_launch(&mut self, now: Instant, spec: Arc<CheckedSpec>) -> Result<(), String> {
        self.generation += 1;
        self.exit = None;
        self.reason = None;
        self.not_ready = false;
        let started = self.processes.spawn(self.generation, &spec);
        let ready = spec.ready().is_some().then_some(false);
        self.spec = Some(spec);
        let pid = started.map_err(|error| error.to_string())?;
        let lived = Lived { since: now, ready };
        self.life = Life::Running { pid, lived };
        self.changed();
        let state = self.state();
        for ticket in std::mem::take(&mut self.waiting_for_start) {
            self.answer(ticket, Ok(state.clone()));
        }
        Ok(())
    }
}
