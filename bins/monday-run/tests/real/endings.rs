//! Whatever ends a command, nothing of it is left, and the status tells how it ended.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use monday_shared::protocol::run::Phase;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{PATIENCE, Run, World, children_of, until};

/// Scripts that leave processes behind in every way there is; each says `up` when they are there. `$1` is the last
/// command of the script: one that stays, or `exit 3` for one that ends by itself.
const FAMILIES: [(&str, &str); 6] = [
    ("a child", "sleep 1000 & echo up; $1"),
    (
        "a grandchild in the background",
        "sh -c 'sleep 1000 & echo up; sleep 1001' & read x < $FIFO; $1",
    ),
    (
        "a grandchild with a session of its own",
        "setsid sh -c 'echo up; exec sleep 1000' & read x < $FIFO; $1",
    ),
    (
        "a daemon that forked twice",
        "( setsid sh -c 'sleep 1000 & echo up; exec sleep 1001' & ) ; read x < $FIFO; $1",
    ),
    (
        "one that ignores TERM, INT and HUP",
        "trap '' TERM INT HUP; sleep 1000 & echo up; $1",
    ),
    (
        "a grandchild that holds standard output and ignores everything",
        "setsid sh -c 'trap \"\" TERM INT HUP; echo up; while :; do sleep 1000; done' & read x < $FIFO; $1",
    ),
];

/// Starts one of the families, and returns it when all of it is up. A script that waits for its fifo goes on when it
/// is told to.
fn family(world: &World, script: &str, last: &str, flags: &[&str]) -> Run {
    let fifo = world.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let env = format!("FIFO={}", fifo.display());
    let script = script.replace("$1", last);
    let args = [flags, &["--env", &env, "--", "sh", "-c", &script]].concat();
    let mut run = world.start(&args);
    run.wait_for("up");
    if script.contains("$FIFO") {
        std::fs::OpenOptions::new()
            .write(true)
            .open(&fifo)
            .unwrap()
            .write_all(b"go\n")
            .unwrap();
    }
    run
}

#[test]
fn a_signal_ends_the_whole_family_whatever_it_is_like() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        for (what, script) in FAMILIES {
            let world = World::new();
            let run = family(
                &world,
                script,
                "sleep 1002 & wait",
                &["--stop-timeout", "200ms"],
            );
            run.signal(signal);
            let (status, _) = run.end();
            let obeyed = 128 + signal as i32;
            assert!(
                [obeyed, 137].contains(&status),
                "{what}, {signal}: {status}"
            );
            world.assert_empty();
        }
    }
}

#[test]
fn a_command_that_ends_by_itself_takes_its_family_with_it_and_its_status_counts() {
    for (what, script) in FAMILIES {
        let world = World::new();
        let run = family(&world, script, "exit 3", &["--stop-timeout", "200ms"]);
        let (status, _) = run.end();
        assert_eq!(status, 3, "{what}");
        world.assert_empty();
    }
}

#[test]
fn a_killed_guardian_takes_its_command_with_it_and_leaves_the_rest_to_the_one_above() {
    for (what, script) in FAMILIES {
        let world = World::new();
        let inner = env!("CARGO_BIN_EXE_monday-run");
        let fifo = world.path("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let env = format!("FIFO={}", fifo.display());
        let script = script.replace("$1", "sleep 1002 & wait");
        let args = [
            "--stop-timeout",
            "200ms",
            "--env",
            &env,
            "--",
            inner,
            "--",
            "sh",
            "-c",
            &script,
        ];
        let mut run = world.start(&args);
        let inner = run.wait_for_phase(Phase::Running).pid.unwrap();
        run.wait_for("up");
        kill(Pid::from_raw(inner.try_into().unwrap()), Signal::SIGKILL).unwrap();
        let (status, _) = run.end();
        assert_eq!(status, 137, "{what}");
        world.assert_empty();
    }
}

#[test]
fn a_command_dies_with_its_guardian_even_when_nobody_is_above() {
    let world = World::new();
    let mut run = world.start(&["--", "sleep", "1000"]);
    run.wait_for_phase(Phase::Running);
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    until("the command is gone", || world.survivors().is_empty());
}

#[test]
fn the_status_is_the_command_s() {
    let world = World::new();
    for (script, expected) in [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
        // A real-time signal, which has no name.
        ("kill -35 $$", 163),
    ] {
        let (status, _) = world.output(&["--", "sh", "-c", script]);
        assert_eq!(status.code(), Some(expected), "{script}");
    }
}

#[test]
fn a_command_that_handles_the_signal_gives_the_status() {
    let world = World::new();
    let mut run = world.start(&[
        "--",
        "sh",
        "-c",
        "trap 'echo bye; exit 7' HUP; echo up; sleep 1000 & wait",
    ]);
    run.wait_for("up");
    run.signal(Signal::SIGHUP);
    let (status, text) = run.end();
    assert_eq!((status, text.as_str()), (7, "up\nbye\n"));
    world.assert_empty();
}

#[test]
fn the_stop_signal_is_sent_when_the_lifeline_is_cut() {
    let world = World::new();
    let script = "trap 'echo bye; exit 7' USR2; echo up; sleep 1000 & wait";
    let mut command = world.command(&["--output", "json", "--stop-signal", "usr2", "--lifeline"]);
    command
        .stdin(std::process::Stdio::piped())
        .args(["--", "sh", "-c", script]);
    let mut run = Run::start(command);
    run.wait_for("up");
    drop(run.child.stdin.take());
    let (status, text) = run.end();
    assert_eq!((status, text.as_str()), (7, "up\nbye\n"));
    world.assert_empty();
}

#[test]
fn a_cut_lifeline_leaves_a_command_that_ignores_it_one_second_and_no_more() {
    let world = World::new();
    let mut command = world.command(&["--output", "json", "--stop-timeout", "1h", "--lifeline"]);
    command.stdin(std::process::Stdio::piped()).args([
        "--",
        "sh",
        "-c",
        "trap '' TERM; echo up; sleep 1000 & wait; wait",
    ]);
    let mut run = Run::start(command);
    run.wait_for("up");
    let cut = Instant::now();
    drop(run.child.stdin.take());
    let (status, _) = run.end();
    assert_eq!(status, 137);
    assert!(cut.elapsed() >= Duration::from_secs(1));
    world.assert_empty();
}

#[test]
fn a_cut_lifeline_shortens_a_stop_that_is_under_way() {
    let world = World::new();
    let mut command = world.command(&["--output", "json", "--stop-timeout", "1h", "--lifeline"]);
    command.stdin(std::process::Stdio::piped()).args([
        "--",
        "sh",
        "-c",
        "trap 'echo asked' TERM; echo up; while :; do sleep 1000 & wait; done",
    ]);
    let mut run = Run::start(command);
    run.wait_for("up");
    run.signal(Signal::SIGTERM);
    run.wait_for("asked");
    drop(run.child.stdin.take());
    assert_eq!(run.end().0, 137);
    world.assert_empty();
}

#[test]
fn a_second_signal_kills_at_once() {
    let world = World::new();
    let script = "trap 'echo asked' INT; echo up; while :; do sleep 1000 & wait; done";
    let mut run = world.start(&["--stop-timeout", "1h", "--", "sh", "-c", script]);
    run.wait_for("up");
    run.signal(Signal::SIGINT);
    run.wait_for("asked");
    run.signal(Signal::SIGINT);
    assert_eq!(run.end().0, 137);
    world.assert_empty();
}

#[test]
fn it_is_said_who_is_waited_for() {
    let world = World::new();
    let script = "trap '' TERM; echo up; while :; do sleep 1000; done";
    let mut run = world.start(&["--stop-timeout", "1h", "--", "sh", "-c", script]);
    run.wait_for("up");
    run.signal(Signal::SIGTERM);
    run.wait_for_phase(Phase::Stopping);
    let state = run.wait_for_phase(Phase::Stopping);
    let reason = state.reason.unwrap();
    assert!(
        reason.contains("(sh)") && reason.contains("killed in"),
        "{reason}"
    );
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end().0, 137);
}

#[test]
fn a_suspended_command_can_be_stopped() {
    let world = World::new();
    let mut run = world.start(&[
        "--stop-timeout",
        "1h",
        "--",
        "sh",
        "-c",
        "echo up; kill -STOP $$",
    ]);
    let pid = run.wait_for_phase(Phase::Running).pid.unwrap();
    run.wait_for("up");
    until("it is suspended", || {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
    });
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end().0, 143);
}

#[test]
fn orphans_that_end_are_not_left_as_zombies_while_the_command_runs() {
    let world = World::new();
    let script = "for i in 1 2 3 4 5; do (sh -c 'exit 0' & ) ; done; echo up; read x < /dev/zero";
    let mut run = world.start(&["--", "sh", "-c", &format!("{script}; sleep 1000")]);
    let pid = run.wait_for_phase(Phase::Running).pid.unwrap();
    run.wait_for("up");
    let zombies = || {
        use monday_shared::platform::process_tree::Table;
        let own = run.child.id();
        Table::read().unwrap().ended_children(own, &[]).len()
    };
    until("no zombie is left", || zombies() == 0);
    assert!(children_of(run.child.id()).contains(&pid));
    run.signal(Signal::SIGKILL);
}

/// Opens the command's standard output for this process, which is no descendant of it.
fn hold_output(pid: u32) -> OwnedFd {
    std::fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/{pid}/fd/1"))
        .unwrap()
        .into()
}

#[test]
fn a_stranger_who_holds_the_output_delays_the_end_only_a_moment() {
    let world = World::new();
    let mut run = world.start(&["--", "sh", "-c", "echo up; sleep 1000 & wait"]);
    let pid = run.wait_for_phase(Phase::Running).pid.unwrap();
    run.wait_for("up");
    let held = hold_output(pid);
    let asked = Instant::now();
    run.signal(Signal::SIGTERM);
    let (status, _) = run.end();
    assert_eq!(status, 143);
    // Two tenths of a second on an idle machine; without an end of the listening it would be for ever.
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    drop(held);
}

#[test]
fn a_stranger_who_goes_on_writing_is_heard_and_not_listened_to_for_ever() {
    let world = World::new();
    let mut run = world.start(&["--", "sh", "-c", "echo up; sleep 1000 & wait"]);
    let pid = run.wait_for_phase(Phase::Running).pid.unwrap();
    run.wait_for("up");
    let mut held = std::fs::File::from(hold_output(pid));
    let asked = Instant::now();
    run.signal(Signal::SIGTERM);
    // Ends with an error when nobody reads any more; the test's process ignores SIGPIPE as all Rust programs do.
    let writer = std::thread::spawn(move || while held.write_all(b"stranger\n").is_ok() {});
    let (status, text) = run.end();
    assert_eq!(status, 143);
    assert!(text.contains("stranger"));
    assert!(asked.elapsed() < PATIENCE);
    writer.join().unwrap();
}
