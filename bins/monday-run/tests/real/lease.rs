//! What survives when nobody is left to end it, and how the next one ends it.

use monday_shared::lease;
use nix::sys::signal::Signal;

use crate::harness::{World, until};

/// Leaves processes that the death of their guardian does not end.
const RUNS_AWAY: &str =
    "setsid sleep 1000 & (setsid sh -c 'sleep 1001 & sleep 1002' &); sleep 1003 & echo up; wait";

#[test]
fn the_next_one_with_the_same_lease_ends_what_survived() {
    let world = World::new();
    let mut run = world.start(&["--lease", "api.lease", "--", "sh", "-c", RUNS_AWAY]);
    run.wait_for("up");
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    // The command itself dies with its guardian, the others do not.
    until("the command is gone", || world.survivors().len() == 5);
    let (status, _) = world.output(&["--lease", "api.lease", "--", "true"]);
    assert!(status.success());
    world.assert_empty();
    assert!(!world.path("api.lease").exists());
}

#[test]
fn a_clean_up_ends_what_survived() {
    let world = World::new();
    let mut run = world.start(&["--lease", "api.lease", "--", "sh", "-c", RUNS_AWAY]);
    run.wait_for("up");
    let path = world.path("api.lease");
    let held = lease::end(&path).unwrap();
    assert!(held.ended.is_empty(), "its guardian is alive");
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    let ended = lease::end(&path).unwrap();
    assert!(
        !ended.ended.is_empty() && ended.survivors.is_empty(),
        "{ended:?}"
    );
    until("they are gone", || world.survivors().is_empty());
}

#[test]
fn an_orderly_end_leaves_no_lease() {
    let world = World::new();
    let mut run = world.start(&["--lease", "api.lease", "--", "sh", "-c", RUNS_AWAY]);
    run.wait_for("up");
    assert!(world.path("api.lease").exists());
    run.signal(Signal::SIGTERM);
    run.end();
    world.assert_empty();
    assert!(!world.path("api.lease").exists());
}
