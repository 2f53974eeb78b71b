//! The state machine over a double of the processes: what it does is written down, what they do is told.

use std::cell::RefCell;
use std::io;

use std::time::Duration;

use monday_shared::platform::process_tree::{Identity, Process};
use monday_shared::protocol::run::{Probe, Readiness, RestartPolicy, RestartWhen, RunSpec};
use monday_shared::start_fault::StartFault;
use proptest::prelude::*;

use super::*;

/// Processes that exist only on paper.
#[derive(Debug, Default)]
struct Double {
    last_pid: u32,
    /// The command, until its end was noticed.
    leader: Option<u32>,
    /// What the command left behind.
    strays: u32,
    ended: Vec<Ended>,
    fails_to_start: bool,
    belongs_to_another: bool,
    did: RefCell<Vec<Did>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Spawn(u64),
    SignalGroup(Signal),
    AskGroup(Signal),
    AskRest(Signal),
    Kill,
    RunStopCommands,
    EndStopCommands,
    Keep,
    Over,
}

impl Double {
    fn did(&self, did: Did) {
        self.did.borrow_mut().push(did);
    }

    fn end_leader(&mut self, exit: Exit) {
        if let Some(pid) = self.leader.take() {
            self.ended.push(Ended { pid, exit });
        }
    }

    fn alive(&self) -> Rest {
        let process = |pid| Process {
            id: Identity { pid, started: 1 },
            parent: 1,
            group: pid,
            session: pid,
            zombie: false,
            name: "x".to_owned(),
        };
        let strays = (0..self.strays).map(|number| process(10_000 + number));
        let alive: Vec<Process> = self.leader.into_iter().map(process).chain(strays).collect();
        Rest {
            of_group: usize::from(self.leader.is_some()),
            denied: if self.belongs_to_another {
                alive.clone()
            } else {
                Vec::new()
            },
            alive,
        }
    }
}

impl Processes for Double {
    fn spawn(&mut self, generation: u64, spec: &Arc<CheckedSpec>) -> Result<u32, SpawnError> {
        assert!(self.leader.is_none(), "two commands at once");
        assert_eq!(
            self.strays, 0,
            "a new command beside processes of the old one"
        );
        if self.fails_to_start {
            return Err(SpawnError::Program(StartFault::Os {
                program: spec.program().to_owned(),
                source: io::ErrorKind::Other.into(),
            }));
        }
        self.did(Did::Spawn(generation));
        self.last_pid += 1;
        self.leader = Some(self.last_pid);
        Ok(self.last_pid)
    }

    fn reap(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    fn signal_group(&self, signal: Signal) -> Result<(), Refusal> {
        self.did(Did::SignalGroup(signal));
        Ok(())
    }

    fn ask_group(&mut self, signal: Signal) -> Result<(), Refusal> {
        self.did(Did::AskGroup(signal));
        Ok(())
    }

    fn ask_rest(&self, signal: Signal) {
        self.did(Did::AskRest(signal));
    }

    fn look(&self) -> Rest {
        self.alive()
    }

    fn kill(&self) -> Rest {
        self.did(Did::Kill);
        self.alive()
    }

    fn run_stop_commands(&mut self, _: u64, _: &Arc<CheckedSpec>) {
        self.did(Did::RunStopCommands);
    }

    fn end_stop_commands(&mut self) {
        self.did(Did::EndStopCommands);
    }

    fn keep(&mut self) {
        self.did(Did::Keep);
    }

    fn over(&mut self, _: bool) {
        self.did(Did::Over);
    }
}

fn spec(program: &str) -> CheckedSpec {
    CheckedSpec::try_from(RunSpec::new(vec![program.to_owned()])).unwrap()
}

/// One of several specifications, with all that can happen to one.
fn some_spec(number: u8) -> CheckedSpec {
    with(|spec| {
        spec.command = vec![number.to_string()];
        spec.ready = (number == 1).then(|| Readiness::new(Probe::Notify));
        if number == 2 {
            spec.restart.when = RestartWhen::Always;
            spec.stop_commands = vec![vec!["x".to_owned()]];
        }
    })
}

/// A machine whose command runs; the first request has the ticket 1.
fn running(now: Instant) -> Machine<Double> {
    let mut machine = Machine::new(Double::default());
    machine.start(now, 1, spec("a"));
    machine.notices();
    machine.processes.did.borrow_mut().clear();
    machine
}

fn answers(machine: &mut Machine<Double>) -> Vec<(Ticket, Result<Phase, Refusal>)> {
    let answers = |notice| match notice {
        Notice::Answer(ticket, answer) => Some((ticket, answer.map(|state| state.phase))),
        Notice::Changed(_) => None,
    };
    machine.notices().into_iter().filter_map(answers).collect()
}

fn end_leader(machine: &mut Machine<Double>, now: Instant, exit: Exit) {
    machine.processes.end_leader(exit);
    machine.child_ended(now);
}

#[test]
fn a_start_is_answered_when_the_command_runs() {
    let mut machine = Machine::new(Double::default());
    machine.start(Instant::now(), 1, spec("a"));
    let state = machine.state();
    assert_eq!(
        (state.phase, state.generation, state.pid),
        (Phase::Running, 1, Some(1))
    );
    assert_eq!(
        machine.notices(),
        [Notice::Changed(state.clone()), Notice::Answer(1, Ok(state))]
    );
}

#[test]
fn the_same_start_again_changes_nothing() {
    let now = Instant::now();
    let mut machine = running(now);
    machine.start(now, 2, spec("a"));
    assert_eq!(answers(&mut machine), [(2, Ok(Phase::Running))]);
    assert_eq!(machine.state().generation, 1);
    assert!(machine.processes.did.borrow().is_empty());
}

#[test]
fn another_start_stops_the_old_command_before_the_new_one_begins() {
    let now = Instant::now();
    let mut machine = running(now);
    machine.start(now, 2, spec("b"));
    assert_eq!(machine.state().phase, Phase::Stopping);
    assert_eq!(answers(&mut machine), []);
    end_leader(&mut machine, now, Exit::Signal(15));
    assert_eq!(answers(&mut machine), [(2, Ok(Phase::Running))]);
    assert_eq!(
        *machine.processes.did.borrow(),
        [Did::AskGroup(Signal::SIGTERM), Did::Over, Did::Spawn(2)]
    );
}

#[test]
fn a_start_that_fails_says_why_and_can_be_tried_again() {
    let now = Instant::now();
    let mut machine = Machine::new(Double {
        fails_to_start: true,
        ..Double::default()
    });
    machine.start(now, 1, spec("a"));
    assert!(matches!(
        answers(&mut machine)[..],
        [(1, Err(Refusal::Spawn(_)))]
    ));
    let state = machine.state();
    assert_eq!(state.phase, Phase::Failed);
    assert!(state.reason.unwrap().contains("`a`"));
    machine.processes.fails_to_start = false;
    machine.restart(now, 2);
    assert_eq!(answers(&mut machine), [(2, Ok(Phase::Running))]);
    assert_eq!(machine.state().generation, 2);
}

#[test]
fn a_stop_is_answered_when_nobody_is_left() {
    let now = Instant::now();
    let mut machine = running(now);
    machine.processes.strays = 2;
    machine.stop(now, 2, How::default());
    end_leader(&mut machine, now, Exit::Code(0));
    assert_eq!(answers(&mut machine), []);
    assert_eq!(machine.state().exit, Some(Exit::Code(0)));
    machine.processes.strays = 0;
    machine.processes.ended.push(Ended {
        pid: 10_000,
        exit: Exit::Signal(15),
    });
    machine.child_ended(now);
    assert_eq!(answers(&mut machine), [(2, Ok(Phase::Stopped))]);
    assert_eq!(
        *machine.processes.did.borrow(),
        [
            Did::AskGroup(Signal::SIGTERM),
            Did::AskRest(Signal::SIGTERM),
            Did::Over
        ]
    );
}

#[test]
fn a_stop_of_what_does_not_run_is_answered_at_once() {
    let mut machine = Machine::new(Double::default());
    machine.stop(Instant::now(), 1, How::default());
    assert_eq!(answers(&mut machine), [(1, Ok(Phase::Idle))]);
}

#[test]
fn a_stop_takes_back_a_start_that_waits() {
    let now = Instant::now();
    let mut machine = running(now);
    machine.restart(now, 2);
    machine.stop(now, 3, How::default());
    assert!(matches!(
        answers(&mut machine)[..],
        [(2, Err(Refusal::Superseded(_)))]
    ));
    end_leader(&mut machine, now, Exit::Signal(15));
    assert_eq!(answers(&mut machine), [(3, Ok(Phase::Stopped))]);
    assert!(machine.is_resting());
}

#[test]
fn a_start_during_a_stop_begins_when_the_stop_is_done() {
    let now = Instant::now();
    let mut machine = running(now);
    machine.stop(now, 2, How::default());
    machine.start(now, 3, spec("a"));
    end_leader(&mut machine, now, Exit::Signal(15));
    assert_eq!(
        answers(&mut machine),
        [(2, Ok(Phase::Stopped)), (3, Ok(Phase::Running))]
    );
}

#[test]
fn of_two_different_starts_that_wait_the_later_one_counts() {
    let now = Instant::now();
    let mut machine = running(now);
    machine.start(now, 2, spec("b"));
    machine.start(now, 3, spec("c"));
    machine.restart(now, 4);
    assert!(matches!(
        answers(&mut machine)[..],
        [(2, Err(Refusal::Superseded(_)))]
    ));
    end_leader(&mut machine, now, Exit::Signal(15));
    assert_eq!(
        answers(&mut machine),
        [(3, Ok(Phase::Running)), (4, Ok(Phase::Running))]
    );
    assert_eq!(machine.spec.as_deref(), Some(&spec("c")));
}

#[test]
fn a_restart_without_anything_to_restart_is_refused() {
    let mut machine = Machine::new(Double::default());
    machine.restart(Instant::now(), 1);
    assert_eq!(answers(&mut machine), [(1, Err(Refusal::NothingToRestart))]);
}

#[test]
fn a_command_that_ends_by_itself_takes_everything_it_left_behind_with_it() {
    let now = Instant::now();
    let mut machine = running(now);
    machine.processes.strays = 1;
    end_leader(&mut machine, now, Exit::Code(3));
    assert_eq!(machine.state().phase, Phase::Stopping);
    let at = machine.wake_at().unwrap();
    machine.time(at);
    machine.processes.strays = 0;
    machine.time(machine.wake_at().unwrap());
    let state = machine.state();
    assert_eq!(
        (state.phase, state.exit),
        (Phase::Exited, Some(Exit::Code(3)))
    );
    assert_eq!(
        *machine.processes.did.borrow(),
        [
            Did::AskRest(Signal::SIGTERM),
            Did::Kill,
            Did::Kill,
            Did::Over
        ]
    );
}

#[test]
fn no_second_command_is_started_beside_one_that_cannot_be_ended() {
    let now = Instant::now();
    let mut machine = running(now);
    machine.processes.belongs_to_another = true;
    machine.restart(now, 2);
    machine.time(machine.wake_at().unwrap());
    machine.time(machine.wake_at().unwrap());
    assert!(matches!(
        answers(&mut machine)[..],
        [(2, Err(Refusal::Survivors(_)))]
    ));
    let state = machine.state();
    assert_eq!(state.phase, Phase::Failed);
    assert!(state.reason.unwrap().contains("1 (x)"));
}

#[test]
fn who_is_waited_for_is_told_with_the_time_that_is_left() {
    let now = Instant::now();
    let mut machine = running(now);
    machine.stop(now, 2, How::default());
    machine.notices();
    machine.time(machine.wake_at().unwrap());
    assert_eq!(
        machine.state().reason.as_deref(),
        Some("waiting for 1 (x); killed in 8 s")
    );
    assert!(matches!(machine.notices()[..], [Notice::Changed(_)]));
}

#[test]
fn a_signal_reaches_only_a_command_that_is_alive() {
    let now = Instant::now();
    let mut machine = running(now);
    assert_eq!(machine.signal(Signal::SIGHUP), Ok(()));
    end_leader(&mut machine, now, Exit::Code(0));
    assert!(matches!(
        machine.signal(Signal::SIGHUP),
        Err(Refusal::NotRunning(_))
    ));
}

fn with(change: impl FnOnce(&mut RunSpec)) -> CheckedSpec {
    let mut spec = RunSpec::new(vec!["a".to_owned()]);
    change(&mut spec);
    CheckedSpec::try_from(spec).unwrap()
}

fn restarting(when: RestartWhen, max_restarts: Option<u32>) -> CheckedSpec {
    with(|spec| {
        spec.restart = RestartPolicy {
            when,
            max_restarts,
            ..RestartPolicy::default()
        };
    })
}

fn started(now: Instant, spec: CheckedSpec) -> Machine<Double> {
    let mut machine = Machine::new(Double::default());
    machine.start(now, 1, spec);
    machine.notices();
    machine.processes.did.borrow_mut().clear();
    machine
}

#[test]
fn a_command_that_fails_is_started_again_after_a_while_and_given_up_at_last() {
    let mut now = Instant::now();
    let mut machine = started(now, restarting(RestartWhen::OnFailure, Some(2)));
    for generation in 2..=3 {
        end_leader(&mut machine, now, Exit::Code(1));
        let state = machine.state();
        assert_eq!(
            (state.phase, state.exit),
            (Phase::Waiting, Some(Exit::Code(1)))
        );
        assert!(state.reason.unwrap().contains("started again in"));
        machine.time(now);
        assert_eq!(machine.state().phase, Phase::Waiting, "not before its time");
        now = machine.wake_at().unwrap();
        machine.time(now);
        let state = machine.state();
        assert_eq!(
            (state.phase, state.generation),
            (Phase::Running, generation)
        );
    }
    end_leader(&mut machine, now, Exit::Code(1));
    let state = machine.state();
    assert_eq!(
        (state.phase, state.exit),
        (Phase::Exited, Some(Exit::Code(1)))
    );
    assert!(state.reason.unwrap().contains("given up after 2"));
}

#[test]
fn a_command_that_ends_well_is_started_again_only_if_always() {
    let now = Instant::now();
    for (when, phase) in [
        (RestartWhen::OnFailure, Phase::Exited),
        (RestartWhen::Always, Phase::Waiting),
    ] {
        let mut machine = started(now, restarting(when, None));
        end_leader(&mut machine, now, Exit::Code(0));
        assert_eq!(machine.state().phase, phase);
    }
}

#[test]
fn a_stop_ends_the_waiting_and_a_restart_cuts_it_short() {
    let now = Instant::now();
    let mut machine = started(now, restarting(RestartWhen::Always, None));
    end_leader(&mut machine, now, Exit::Code(0));
    machine.stop(now, 2, How::default());
    assert_eq!(answers(&mut machine), [(2, Ok(Phase::Stopped))]);
    assert_eq!(machine.wake_at(), None);
    machine.restart(now, 3);
    end_leader(&mut machine, now, Exit::Code(0));
    machine.restart(now, 4);
    assert_eq!(
        answers(&mut machine),
        [(3, Ok(Phase::Running)), (4, Ok(Phase::Running))]
    );
}

#[test]
fn a_stop_is_not_followed_by_a_new_start() {
    let now = Instant::now();
    let mut machine = started(now, restarting(RestartWhen::Always, None));
    machine.stop(now, 2, How::default());
    end_leader(&mut machine, now, Exit::Code(1));
    assert_eq!(machine.state().phase, Phase::Stopped);
    // Not even when it came just after an end that would have been.
    machine.restart(now, 3);
    machine.processes.strays = 1;
    end_leader(&mut machine, now, Exit::Code(1));
    machine.stop(now, 4, How::default());
    machine.processes.strays = 0;
    machine.time(machine.wake_at().unwrap());
    assert_eq!(machine.state().phase, Phase::Exited);
}

#[test]
fn a_program_that_is_missing_when_it_is_started_again_is_tried_again() {
    let mut now = Instant::now();
    let mut machine = started(now, restarting(RestartWhen::OnFailure, None));
    end_leader(&mut machine, now, Exit::Code(1));
    machine.processes.fails_to_start = true;
    now = machine.wake_at().unwrap();
    machine.time(now);
    let state = machine.state();
    assert_eq!(state.phase, Phase::Waiting);
    assert!(state.reason.unwrap().contains("cannot run `a`"));
    machine.processes.fails_to_start = false;
    machine.time(machine.wake_at().unwrap());
    assert_eq!(machine.state().phase, Phase::Running);
}

fn probed() -> CheckedSpec {
    with(|spec| spec.ready = Some(Readiness::new(Probe::Notify)))
}

#[test]
fn a_command_is_ready_when_its_probe_says_so() {
    let now = Instant::now();
    let mut machine = started(now, probed());
    assert_eq!(machine.state().ready, Some(false));
    machine.probed(now, 7, Ok(()));
    assert_eq!(
        machine.state().ready,
        Some(false),
        "that was about another one"
    );
    machine.probed(now, 1, Ok(()));
    assert_eq!(machine.state().ready, Some(true));
    assert!(matches!(machine.notices()[..], [Notice::Changed(_)]));
    machine.probed(now, 1, Err("late".to_owned()));
    assert_eq!(
        machine.state().phase,
        Phase::Running,
        "once ready, it stays so"
    );
}

#[test]
fn a_command_that_is_not_ready_in_time_is_stopped_and_has_failed() {
    let now = Instant::now();
    let mut machine = started(now, probed());
    machine.probed(now, 1, Err("too late".to_owned()));
    assert_eq!(machine.state().phase, Phase::Stopping);
    end_leader(&mut machine, now, Exit::Signal(15));
    let state = machine.state();
    assert_eq!((state.phase, state.ready), (Phase::Failed, Some(false)));
    assert_eq!(state.reason.as_deref(), Some("too late"));
}

#[test]
fn a_command_that_is_not_ready_in_time_is_started_again_if_that_is_the_policy() {
    let now = Instant::now();
    let spec = with(|spec| {
        spec.ready = Some(Readiness::new(Probe::Notify));
        spec.restart.when = RestartWhen::OnFailure;
    });
    let mut machine = started(now, spec);
    machine.probed(now, 1, Err("too late".to_owned()));
    // It obeys, with a status that would be no failure.
    end_leader(&mut machine, now, Exit::Code(0));
    let state = machine.state();
    assert_eq!(state.phase, Phase::Waiting);
    assert!(
        state
            .reason
            .unwrap()
            .starts_with("too late; started again in")
    );
}

#[test]
fn neither_a_life_that_was_never_ready_nor_one_that_was_ready_for_a_moment_is_forgotten() {
    let long = Duration::from_secs(60);
    for ready_for in [None, Some(Duration::from_secs(1))] {
        let mut now = Instant::now();
        let mut machine = started(
            now,
            with(|spec| {
                spec.ready = Some(Readiness::new(Probe::Notify));
                spec.restart.when = RestartWhen::OnFailure;
                spec.restart.max_restarts = Some(1);
            }),
        );
        for generation in 1..=2 {
            now += long;
            match ready_for {
                None => machine.probed(now, generation, Err("too late".to_owned())),
                Some(time) => {
                    machine.probed(now, generation, Ok(()));
                    now += time;
                }
            }
            end_leader(&mut machine, now, Exit::Code(1));
            if generation == 1 {
                assert_eq!(machine.state().phase, Phase::Waiting);
                now = machine.wake_at().unwrap();
                machine.time(now);
            }
        }
        let reason = machine.state().reason.unwrap();
        assert!(reason.contains("given up after 1 new start in"), "{reason}");
    }
}

#[test]
fn one_that_was_ready_for_long_begins_a_new_row() {
    let mut now = Instant::now();
    let mut machine = started(
        now,
        with(|spec| {
            spec.ready = Some(Readiness::new(Probe::Notify));
            spec.restart.when = RestartWhen::OnFailure;
            spec.restart.max_restarts = Some(1);
        }),
    );
    for generation in 1..=3 {
        machine.probed(now, generation, Ok(()));
        now += Duration::from_secs(11);
        end_leader(&mut machine, now, Exit::Code(1));
        assert_eq!(machine.state().phase, Phase::Waiting, "{generation}");
        now = machine.wake_at().unwrap();
        machine.time(now);
    }
}

#[test]
fn stop_commands_run_before_the_signal() {
    let now = Instant::now();
    let spec = with(|spec| spec.stop_commands = vec![vec!["x".to_owned()]]);
    let mut machine = started(now, spec);
    machine.stop(now, 2, How::default());
    assert_eq!(
        machine.state().reason.as_deref(),
        Some("running the stop commands")
    );
    machine.stop_commands_ended(now, 7);
    assert_eq!(*machine.processes.did.borrow(), [Did::RunStopCommands]);
    machine.stop_commands_ended(now, 1);
    end_leader(&mut machine, now, Exit::Signal(15));
    assert_eq!(answers(&mut machine), [(2, Ok(Phase::Stopped))]);
    assert_eq!(
        *machine.processes.did.borrow(),
        [
            Did::RunStopCommands,
            Did::AskGroup(Signal::SIGTERM),
            Did::Over
        ]
    );
}

#[test]
fn what_a_command_leaves_behind_lives_on_if_it_shall() {
    let now = Instant::now();
    let mut machine = started(now, with(|spec| spec.keep_children = true));
    machine.processes.strays = 1;
    end_leader(&mut machine, now, Exit::Code(0));
    assert_eq!(machine.state().phase, Phase::Exited);
    assert_eq!(*machine.processes.did.borrow(), [Did::Keep, Did::Over]);
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Start(u8),
    Stop { at_once: bool },
    Restart,
    LeaderEnds { strays: u8 },
    StrayEnds,
    TimePasses,
    Probed { ready: bool },
    StopCommandsEnd,
    StartFails,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..3_u8).prop_map(Event::Start),
        any::<bool>().prop_map(|at_once| Event::Stop { at_once }),
        Just(Event::Restart),
        (0..3_u8).prop_map(|strays| Event::LeaderEnds { strays }),
        Just(Event::StrayEnds),
        Just(Event::TimePasses),
        any::<bool>().prop_map(|ready| Event::Probed { ready }),
        Just(Event::StopCommandsEnd),
        Just(Event::StartFails),
    ]
}

proptest! {
    /// The double itself objects to two commands at once.
    #[test]
    fn whatever_happens_in_whatever_order_every_request_is_answered_once_and_all_come_to_rest(
        events in prop::collection::vec(event(), 0..40)
    ) {
        let mut now = Instant::now();
        let mut machine = Machine::new(Double::default());
        let mut asked = Vec::new();
        let mut answered = Vec::new();
        let mut generation = 0;
        let end = [Event::Stop { at_once: true }];
        for (at, event) in events.into_iter().chain(end).enumerate() {
            let ticket = at as Ticket;
            match event {
                Event::Start(number) => {
                    asked.push(ticket);
                    machine.start(now, ticket, some_spec(number));
                }
                Event::Stop { at_once } => {
                    asked.push(ticket);
                    let timeout = at_once.then_some(Duration::ZERO);
                    machine.stop(now, ticket, How { timeout, ..How::default() });
                }
                Event::Restart => {
                    asked.push(ticket);
                    machine.restart(now, ticket);
                }
                Event::LeaderEnds { strays } => {
                    if machine.processes.leader.is_some() {
                        machine.processes.strays += u32::from(strays);
                    }
                    machine.processes.end_leader(Exit::Code(0));
                    machine.child_ended(now);
                }
                Event::StrayEnds => {
                    if machine.processes.strays > 0 {
                        machine.processes.strays -= 1;
                        machine.processes.ended.push(Ended { pid: 10_000, exit: Exit::Code(0) });
                        machine.child_ended(now);
                    }
                }
                Event::Probed { ready } => {
                    let ready = ready.then_some(()).ok_or_else(|| "no".to_owned());
                    machine.probed(now, machine.state().generation, ready);
                }
                Event::StopCommandsEnd => {
                    machine.stop_commands_ended(now, machine.state().generation);
                }
                Event::StartFails => machine.processes.fails_to_start ^= true,
                Event::TimePasses => {
                    now = machine.wake_at().unwrap_or(now).max(now);
                    machine.time(now);
                }
            }
            prop_assert!(machine.state().generation >= generation);
            generation = machine.state().generation;
            answered.extend(answers(&mut machine).into_iter().map(|(ticket, _)| ticket));
        }
        // Killed at once, everything ends as soon as it is noticed.
        machine.processes.strays = 0;
        machine.processes.end_leader(Exit::Signal(9));
        machine.child_ended(now);
        if let Some(at) = machine.wake_at() {
            machine.time(at);
        }
        answered.extend(answers(&mut machine).into_iter().map(|(ticket, _)| ticket));
        prop_assert!(machine.is_resting());
        answered.sort_unstable();
        prop_assert_eq!(answered, asked);
    }
}
