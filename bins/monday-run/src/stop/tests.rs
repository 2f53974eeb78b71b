//! A stop, step by step, without processes and without waiting.

use monday_shared::platform::process_tree::Identity;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(10);

fn process(pid: u32) -> Process {
    Process {
        id: Identity { pid, started: 1 },
        parent: 1,
        group: pid,
        session: pid,
        zombie: false,
        name: "x".to_owned(),
    }
}

fn rest(pids: &[u32], of_group: usize) -> Rest {
    Rest {
        alive: pids.iter().map(|&pid| process(pid)).collect(),
        of_group,
        denied: Vec::new(),
    }
}

fn over() -> Vec<Step> {
    vec![Step::Over {
        survivors: Vec::new(),
    }]
}

#[test]
fn a_command_that_obeys_is_signalled_once_and_over_when_nobody_is_left() {
    let now = Instant::now();
    let (mut stop, steps) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, false);
    assert_eq!(steps, [Step::AskGroup(Signal::SIGTERM)]);
    assert!(stop.other_ended().is_empty(), "the command itself is alive");
    assert_eq!(stop.leader_ended(), [Step::Look]);
    assert_eq!(stop.left(now, rest(&[], 0)), over());
}

#[test]
fn a_command_that_does_not_obey_is_killed_at_its_time_out_and_again_until_it_is_gone() {
    let now = Instant::now();
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, false);
    assert!(
        stop.time(now + TIMEOUT.saturating_sub(Duration::from_millis(1)))
            .contains(&Step::Look),
        "only to tell who is waited for"
    );
    let at = now + TIMEOUT;
    assert_eq!(stop.time(at), [Step::Kill]);
    assert!(
        stop.left(at, rest(&[5], 1))
            .iter()
            .all(|step| matches!(step, Step::Tell { .. }))
    );
    assert!(stop.time(at).is_empty(), "it is given a moment to die");
    let next = stop.wake_at();
    assert_eq!(stop.time(next), [Step::Kill]);
    stop.leader_ended();
    assert_eq!(stop.left(next, rest(&[], 0)), over());
}

#[test]
fn no_time_at_all_means_to_be_killed_at_once() {
    let (_, steps) = Sequence::asked(Instant::now(), Signal::SIGTERM, Duration::ZERO, true);
    assert_eq!(steps, [Step::Kill]);
}

#[test]
fn the_rest_of_the_group_has_the_whole_time_out_when_the_command_itself_is_gone() {
    let now = Instant::now();
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, false);
    stop.leader_ended();
    let steps = stop.left(now, rest(&[6, 7], 1));
    assert_eq!(
        steps,
        [Step::AskRest(Signal::SIGTERM)],
        "some may have been born too late to be asked with the group"
    );
    assert!(
        stop.left(now, rest(&[6, 7], 1)).is_empty(),
        "nobody is asked twice"
    );
    let before = now + TIMEOUT.saturating_sub(Duration::from_millis(1));
    assert!(!stop.time(before).contains(&Step::Kill));
    assert_eq!(stop.time(now + TIMEOUT), [Step::Kill]);
}

#[test]
fn strays_outside_the_group_have_a_second_once_they_are_alone() {
    let now = Instant::now();
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, false);
    stop.leader_ended();
    stop.left(now, rest(&[6], 0));
    assert_eq!(stop.wake_at(), now + REST_GRACE);
    stop.left(now + REST_GRACE / 2, rest(&[6], 0));
    assert_eq!(
        stop.time(now + REST_GRACE),
        [Step::Kill],
        "looking again wins no time"
    );
}

#[test]
fn whoever_a_command_leaves_behind_when_it_ends_by_itself_is_asked_and_then_killed() {
    let now = Instant::now();
    let (mut stop, steps) = Sequence::ended_by_itself(now, Signal::SIGINT, TIMEOUT);
    assert_eq!(steps, [Step::Look]);
    assert_eq!(
        stop.left(now, rest(&[6], 1)),
        [Step::AskRest(Signal::SIGINT)]
    );
    assert_eq!(stop.time(now + REST_GRACE), [Step::Kill]);
    assert_eq!(stop.left(now + REST_GRACE, rest(&[], 0)), over());
}

#[test]
fn a_second_request_can_only_shorten_the_time() {
    let now = Instant::now();
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, false);
    assert!(
        stop.asked_again(now, Signal::SIGTERM, TIMEOUT * 2)
            .is_empty()
    );
    assert_eq!(
        stop.asked_again(now, Signal::SIGINT, TIMEOUT / 2),
        [Step::AskGroup(Signal::SIGINT)]
    );
    assert_eq!(stop.time(now + TIMEOUT / 2), [Step::Kill]);
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, false);
    assert_eq!(
        stop.asked_again(now, Signal::SIGTERM, Duration::ZERO),
        [Step::Kill]
    );
    assert!(
        stop.asked_again(now, Signal::SIGTERM, Duration::ZERO)
            .is_empty(),
        "it is being killed already"
    );
}

#[test]
fn it_is_told_once_who_is_waited_for() {
    let now = Instant::now();
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, false);
    let at = stop.wake_at();
    assert_eq!(at, now + TELL_AFTER);
    assert_eq!(stop.time(at), [Step::Look]);
    assert_eq!(
        stop.left(at, rest(&[5], 1)),
        [Step::Tell {
            waiting_for: vec![process(5)],
            killed_in: Some(TIMEOUT.saturating_sub(TELL_AFTER))
        }]
    );
    assert_eq!(stop.wake_at(), now + TIMEOUT);
    assert!(stop.left(at, rest(&[5], 1)).is_empty());
}

#[test]
fn whoever_belongs_to_somebody_else_is_given_up_at_once_and_named() {
    let now = Instant::now();
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, Duration::ZERO, false);
    let mut denied = rest(&[5], 1);
    denied.denied = denied.alive.clone();
    assert_eq!(
        stop.left(now, denied),
        [Step::Over {
            survivors: vec![process(5)]
        }]
    );
}

#[test]
fn whoever_hangs_in_the_kernel_is_given_up_after_a_while() {
    let now = Instant::now();
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, Duration::ZERO, false);
    let mut at = now;
    let mut rounds = 0;
    loop {
        at = at.max(stop.wake_at());
        if stop.time(at) == [Step::Kill] {
            rounds += 1;
        }
        let steps = stop.left(at, rest(&[5], 1));
        if steps.iter().any(|step| matches!(step, Step::Over { .. })) {
            break;
        }
        assert!(rounds < 1000, "it never ends");
    }
    assert!(at >= now + KILL_PATIENCE && at < now + KILL_PATIENCE + LONGEST_KILL_PAUSE);
}

#[test]
fn a_time_out_beyond_all_clocks_does_no_harm() {
    let now = Instant::now();
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, Duration::MAX, false);
    stop.asked_again(now, Signal::SIGTERM, Duration::MAX);
    assert!(stop.time(now).is_empty());
}

#[test]
fn stop_commands_come_before_the_signal_which_has_its_whole_time_then() {
    let now = Instant::now();
    let (mut stop, steps) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, true);
    assert_eq!(steps, [Step::RunCommands]);
    let done = now + TIMEOUT / 2;
    assert_eq!(stop.prepared(done), [Step::AskGroup(Signal::SIGTERM)]);
    assert!(!stop.time(now + TIMEOUT).contains(&Step::Kill));
    assert_eq!(stop.time(done + TIMEOUT), [Step::Kill]);
}

#[test]
fn stop_commands_that_take_too_long_are_ended() {
    let now = Instant::now();
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, true);
    assert_eq!(stop.wake_at(), now + TIMEOUT);
    assert_eq!(
        stop.time(now + TIMEOUT),
        [Step::EndCommands, Step::AskGroup(Signal::SIGTERM)]
    );
    assert!(
        stop.prepared(now + TIMEOUT).is_empty(),
        "that is known already"
    );
}

#[test]
fn stop_commands_finish_even_when_the_command_is_gone() {
    let now = Instant::now();
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, true);
    assert!(stop.leader_ended().is_empty());
    assert!(stop.other_ended().is_empty());
    assert_eq!(stop.prepared(now), [Step::Look]);
    assert_eq!(stop.left(now, rest(&[], 0)), over());
}

#[test]
fn who_is_in_a_hurry_does_not_wait_for_stop_commands() {
    let now = Instant::now();
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, true);
    assert_eq!(
        stop.asked_again(now, Signal::SIGTERM, Duration::ZERO),
        [Step::EndCommands, Step::Kill]
    );
    let (mut stop, _) = Sequence::asked(now, Signal::SIGTERM, TIMEOUT, true);
    let second = Duration::from_secs(1);
    assert!(stop.asked_again(now, Signal::SIGINT, second).is_empty());
    assert_eq!(
        stop.time(now + second),
        [Step::EndCommands, Step::AskGroup(Signal::SIGINT)]
    );
    assert_eq!(stop.wake_at(), now + second * 2);
}
