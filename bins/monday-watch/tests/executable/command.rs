//! With COMMAND.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use monday_shared::platform::process_tree::Identity;
use monday_shared::protocol::run::{Exit, Phase};
use nix::sys::signal::Signal;

use crate::harness::{Run, World, until};

/// Says that it runs and for what, and waits to be stopped.
const SERVER: &str = "echo \"run [$MONDAY_CHANGED] $MONDAY_CHANGED_COUNT\"; sleep 1000 & wait";

#[test]
fn it_runs_at_the_start_and_again_at_each_change_which_it_finds_in_its_environment() {
    let world = World::new();
    world.write("tree/a", "1");
    let mut run = world.start(&["tree", "--", "sh", "-c", SERVER]);
    run.wait_for("run [] \n");
    for (number, name) in ["tree/a", "tree/b"].into_iter().enumerate() {
        world.write(name, "2");
        let ended = run.state(Phase::Exited);
        assert_eq!(
            (ended.generation, ended.exit),
            (number as u64 + 1, Some(Exit::Signal(15)))
        );
        let path = world.path(name).canonicalize().unwrap();
        run.wait_for(&format!("run [{}] 1\n", path.display()));
    }
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end().0, 143);
}

#[test]
fn as_text_its_output_is_untouched_and_what_is_said_beside_it_goes_to_standard_error() {
    let world = World::new();
    let script = "printf 'no line feed'; exit 3";
    let mut command = world.command(&["tree", "--once", "--", "sh", "-c", script]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut next = move || said.next().unwrap().unwrap();
    assert_eq!(next(), "monday-watch: watching tree (1 folder)");
    world.write("tree/a", "1");
    assert_eq!(next(), "monday-watch: changed tree/a");
    assert_eq!(next(), "monday-watch: COMMAND ended: exit status 3");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"no line feed");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn everything_that_it_started_ends_with_it_when_it_is_restarted() {
    let world = World::new();
    let script = "setsid sleep 1001 & echo $! >> pids; (sleep 1002 & echo $! >> pids); echo $$ >> pids; echo up; wait";
    let mut run = world.start(&["tree", "--", "sh", "-c", script]);
    run.wait_for("up");
    let first = fs::read_to_string(world.path("pids")).unwrap();
    let before: Vec<Identity> = first
        .lines()
        .map(|pid| Identity::of(pid.parse().unwrap()).unwrap())
        .collect();
    assert_eq!(before.len(), 3);
    run.shown.clear();
    world.write("tree/a", "1");
    run.wait_for("up");
    for process in &before {
        assert!(!process.exists(), "{process:?} of {first}");
    }
    run.signal(Signal::SIGINT);
    assert_eq!(run.end().0, 130);
    for pid in fs::read_to_string(world.path("pids")).unwrap().lines() {
        until("it is gone", || {
            Identity::of(pid.parse().unwrap()).is_none()
        });
    }
}

#[test]
fn a_process_that_a_shell_left_to_us_before_is_not_ended_with_it() {
    let world = World::new();
    let shell = "sleep 1003 >/dev/null 2>&1 & echo $! > before; exec \"$0\" \"$@\"";
    let args = ["--output", "json", "tree", "--", "sh", "-c", SERVER];
    let mut run = Run::start(world.wrapped(&["sh", "-c", shell], &args));
    run.wait_for("run [] \n");
    let before = fs::read_to_string(world.path("before")).unwrap();
    let before = Identity::of(before.trim().parse().unwrap()).unwrap();
    world.write("tree/a", "1");
    run.state(Phase::Exited);
    run.wait_for("] 1\n");
    assert!(before.exists(), "it was ended when COMMAND was restarted");
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end().0, 143);
    assert!(before.exists(), "it was ended with us");
    before.send(Signal::SIGKILL).unwrap();
}

#[test]
fn one_that_does_not_stop_is_killed_after_its_time() {
    let world = World::new();
    let script = "trap '' TERM; echo up; while :; do sleep 0.1; done";
    let mut run = world.start(&["tree", "--stop-timeout", "100ms", "--", "sh", "-c", script]);
    run.wait_for("up");
    world.write("tree/a", "1");
    assert_eq!(run.state(Phase::Exited).exit, Some(Exit::Signal(9)));
    run.state(Phase::Running);
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end().0, 143);
}

#[test]
fn a_second_signal_kills_at_once() {
    let world = World::new();
    let script = "trap '' TERM INT; echo up; while :; do sleep 0.1; done";
    let mut run = world.start(&["tree", "--stop-timeout", "1h", "--", "sh", "-c", script]);
    run.wait_for("up");
    run.signal(Signal::SIGINT);
    // Signals of one kind that are not taken yet are one, so it is another kind.
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn queued_changes_wait_for_its_end_and_are_one_run() {
    let world = World::new();
    // It ends when somebody has made the file `go`, which is outside of what is watched.
    let script = "echo \"run $MONDAY_CHANGED_COUNT\"; until rm go 2>/dev/null; do sleep 0.05; done";
    let mut run = world.start(&["tree", "--on-busy", "queue", "--", "sh", "-c", script]);
    run.wait_for("run \n");
    world.write("tree/a", "1");
    run.changed();
    world.write("tree/b", "1");
    run.changed();
    world.write("go", "");
    assert_eq!(run.state(Phase::Exited).exit, Some(Exit::Code(0)));
    run.wait_for("run 2\n");
    world.write("go", "");
    run.state(Phase::Exited);
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn ignored_changes_lead_to_nothing_while_it_runs() {
    let world = World::new();
    let script = "echo \"run $MONDAY_CHANGED_COUNT\"; until rm go 2>/dev/null; do sleep 0.05; done";
    let mut run = world.start(&["tree", "--on-busy", "ignore", "--", "sh", "-c", script]);
    run.wait_for("run \n");
    world.write("tree/a", "1");
    run.changed();
    world.write("go", "");
    run.state(Phase::Exited);
    world.write("tree/b", "1");
    run.wait_for("run 1\n");
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn a_change_may_be_a_signal() {
    let world = World::new();
    let script = "trap 'echo reloaded' USR1; echo up; while :; do sleep 0.05; done";
    let args = [
        "tree",
        "--on-busy",
        "signal",
        "--signal",
        "usr1",
        "--",
        "sh",
        "-c",
        script,
    ];
    let mut run = world.start(&args);
    run.wait_for("up");
    world.write("tree/a", "1");
    run.wait_for("reloaded");
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn postponed_it_runs_at_the_first_change_only() {
    let world = World::new();
    let mut run = world.start(&["tree", "--postpone", "--", "sh", "-c", SERVER]);
    world.write("tree/a", "1");
    assert_eq!(run.state(Phase::Running).generation, 1);
    run.wait_for("] 1\n");
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn once_it_runs_for_the_first_change_and_gives_its_status() {
    let world = World::new();
    let mut run = world.start(&["tree", "--once", "--", "sh", "-c", "echo ran; exit 7"]);
    world.write("tree/a", "1");
    run.wait_for("ran");
    assert_eq!(run.end().0, 7);
}

#[test]
fn a_program_that_is_missing_is_tried_again_at_the_next_change() {
    let world = World::new();
    let mut run = world.start(&["tree", "--", "tree/program"]);
    let reason = run.state(Phase::Failed).reason.unwrap();
    assert!(
        reason.contains("`tree/program`") && reason.contains("no such file"),
        "{reason}"
    );
    let program = world.path("tree/program");
    std::os::unix::fs::symlink("/bin/echo", program).unwrap();
    assert_eq!(run.state(Phase::Exited).exit, Some(Exit::Code(0)));
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn one_that_changes_what_is_watched_itself_is_not_run_for_ever() {
    let world = World::new();
    world.write("tree/src", "1");
    let mut command = world.command(&[
        "--output",
        "json",
        "--debounce",
        "10ms",
        "tree",
        "--",
        "sh",
        "-c",
        // One change, however slowly all this goes.
        "echo run; echo x > out; mv out tree/out; exec sleep 1000",
    ]);
    command.stderr(Stdio::piped());
    let mut run = Run::start(command);
    // The tenth such change is the last one that is looked at.
    for _ in 0..10 {
        while !run.changed().paths[0].ends_with("/out") {}
    }
    run.shown.clear();
    world.write("tree/src", "2");
    run.wait_for("run");
    run.signal(Signal::SIGTERM);
    let (_, stderr) = run.end();
    assert!(
        stderr.contains("tree/out") && stderr.contains("--exclude"),
        "{stderr}"
    );
}

#[test]
fn all_that_it_writes_becomes_events_down_to_the_last_byte() {
    let world = World::new();
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; printf last; printf err >&2";
    let mut run = world.start(&["tree", "--", "sh", "-c", script]);
    run.state(Phase::Exited);
    assert!(run.shown.contains("line 0\n") && run.shown.contains("line 1999\n"));
    assert!(run.shown.contains("last\n") && run.shown.contains("err\n"));
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn dots_that_come_slowly_are_seen_before_their_line_ends() {
    let world = World::new();
    // It ends its line only when somebody has made the file `go`.
    let script = "until rm go 2>/dev/null; do printf .; sleep 0.05; done; echo; exec sleep 1000";
    let mut run = world.start(&["tree", "--", "sh", "-c", script]);
    run.wait_for(".");
    world.write("go", "");
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn it_dies_with_us_even_if_we_are_killed() {
    let world = World::new();
    let mut run = world.start(&["tree", "--", "sh", "-c", "echo up; exec sleep 1000"]);
    let pid = run.state(Phase::Running).pid.unwrap();
    run.wait_for("up");
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    until("it is gone", || Identity::of(pid).is_none());
}
