//! A command that ends by itself is started again, if that is wanted.

use monday_shared::protocol::run::{Exit, Phase};
use nix::sys::signal::Signal;

use crate::harness::World;

/// Appends a line to a file and ends with status 1 until there are three.
const FAILS_TWICE: &str = "echo x >> tries; [ $(wc -l < tries) -ge 3 ]";

#[test]
fn a_command_that_fails_is_started_again_until_it_does_not() {
    let world = World::new();
    let flags = ["--restart", "on-failure", "--restart-backoff", "10ms"];
    let mut run = world.start(&[&flags[..], &["--", "sh", "-c", FAILS_TWICE]].concat());
    let waiting = run.wait_for_phase(Phase::Waiting);
    assert_eq!(waiting.exit, Some(Exit::Code(1)));
    assert_eq!(run.wait_for_phase(Phase::Exited).generation, 3);
    assert_eq!(run.end().0, 0);
}

#[test]
fn it_is_given_up_after_so_many_times_with_the_last_status() {
    let world = World::new();
    let mut run = world.start(&[
        "--restart=always",
        "--restart-backoff=1ms",
        "--max-restarts=2",
        "--",
        "sh",
        "-c",
        "exit 7",
    ]);
    let state = run.wait_for_phase(Phase::Exited);
    assert_eq!(state.generation, 3);
    assert!(state.reason.unwrap().contains("given up"));
    assert_eq!(run.end().0, 7);
}

#[test]
fn a_signal_ends_the_waiting() {
    let world = World::new();
    let mut run = world.start(&[
        "--restart=always",
        "--restart-backoff=1h",
        "--",
        "sh",
        "-c",
        "exit 7",
    ]);
    run.wait_for_phase(Phase::Waiting);
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end().0, 7);
    world.assert_empty();
}
