//! What else belongs to a command: stop commands, children that are kept, a terminal, a log file.

use std::io::BufRead as _;

use monday_shared::protocol::run::Phase;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::World;

#[test]
fn stop_commands_run_in_order_before_the_signal_and_their_output_is_shown() {
    let world = World::new();
    let mut run = world.start(&[
        "--stop-command=echo first $A",
        "--stop-command=exit 9",
        "--stop-command=echo third >&2",
        "--env=A=B",
        "--",
        "sh",
        "-c",
        "trap 'echo signal; exit 0' TERM; echo up; while :; do sleep 1000 & wait; done",
    ]);
    run.wait_for("up");
    run.signal(Signal::SIGTERM);
    let (status, text) = run.end();
    assert_eq!(status, 0);
    let mut lines: Vec<&str> = text.lines().collect();
    // Two streams have no order between them.
    lines.sort_unstable();
    assert_eq!(lines, ["first B", "signal", "third", "up"]);
    let first = text.find("first").unwrap();
    assert!(first < text.find("signal").unwrap());
    world.assert_empty();
}

#[test]
fn a_stop_command_that_takes_too_long_is_killed() {
    let world = World::new();
    let mut run = world.start(&[
        "--stop-command=echo hanging; sleep 1000 & wait",
        "--stop-timeout=200ms",
        "--",
        "sh",
        "-c",
        "echo up; exec sleep 1000",
    ]);
    run.wait_for("up");
    run.signal(Signal::SIGTERM);
    let (status, text) = run.end();
    assert_eq!((status, text.as_str()), (143, "up\nhanging\n"));
    world.assert_empty();
}

#[test]
fn a_second_signal_does_not_wait_for_stop_commands() {
    let world = World::new();
    let mut run = world.start(&[
        "--stop-command=echo hanging; sleep 1000 & wait",
        "--stop-timeout=1h",
        "--",
        "sh",
        "-c",
        "echo up; exec sleep 1000",
    ]);
    run.wait_for("up");
    run.signal(Signal::SIGTERM);
    run.wait_for("hanging");
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end().0, 137);
    world.assert_empty();
}

#[test]
fn kept_children_live_on_and_hold_nobody_up() {
    for signal in [None, Some(Signal::SIGTERM)] {
        let world = World::new();
        let last = if signal.is_some() {
            "exec sleep 1000"
        } else {
            "read x < go; exit 3"
        };
        nix::unistd::mkfifo(&world.path("go"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        // It tells its number when it has a session of its own.
        let script = format!("setsid sh -c 'echo $$; exec sleep 1001' & {last}");
        let mut run = world.start(&["--keep-children", "--", "sh", "-c", &script]);
        run.wait_for("\n");
        let kept: i32 = run.text().trim().parse().unwrap();
        if signal.is_none() {
            std::fs::write(world.path("go"), "x\n").unwrap();
        }
        if let Some(signal) = signal {
            run.signal(signal);
        }
        let (status, _) = run.end();
        assert_eq!(status, if signal.is_some() { 143 } else { 3 });
        assert_eq!(world.survivors().len(), 1);
        kill(Pid::from_raw(kept), Signal::SIGKILL).unwrap();
    }
}

#[test]
fn one_that_ends_by_itself_keeps_the_children_of_its_own_group_as_well() {
    let world = World::new();
    let script = "sleep 1001 & exit 3";
    let (status, _) = world
        .start(&["--keep-children", "--", "sh", "-c", script])
        .end();
    assert_eq!(status, 3);
    assert_eq!(world.survivors().len(), 1, "{:?}", world.survivors());
}

#[test]
fn kept_children_may_write_and_are_heard_as_long_as_we_live() {
    let world = World::new();
    let script = "setsid sh -c 'while :; do echo tick; sleep 0.05; done' & exit 0";
    let mut run = world.start(&[
        "--keep-children",
        "--restart=always",
        "--restart-backoff=1h",
        "--log-file=x.log",
        "--",
        "sh",
        "-c",
        script,
    ]);
    run.wait_for_phase(Phase::Waiting);
    run.shown.clear();
    // Far more than a pipe holds would be needed to see that nobody reads; a pipe that is closed is seen at once.
    run.wait_for(&"tick\n".repeat(20));
    run.signal(Signal::SIGTERM);
    run.end();
    let log = std::fs::read_to_string(world.path("x.log")).unwrap();
    assert!(log.lines().count() > 20);
}

#[test]
fn a_command_on_a_terminal_knows_it_and_its_output_is_the_same() {
    let world = World::new();
    let script = "test -t 0 && test -t 1 && test -t 2 && echo yes; echo direct > /dev/tty; echo err >&2; exit 4";
    let (status, text) = world.start(&["--pty", "--", "sh", "-c", script]).end();
    assert_eq!((status, text.as_str()), (4, "yes\ndirect\nerr\n"));
}

#[test]
fn a_hundred_thousand_lines_come_through_a_terminal() {
    let world = World::new();
    let (status, bytes) = world.output(&["--pty", "--", "seq", "100000"]);
    assert!(status.success());
    assert_eq!(bytes.lines().count(), 100_000);
    assert!(bytes.ends_with(b"\n100000\n"));
}

#[test]
fn a_command_on_a_terminal_can_be_stopped_with_its_family() {
    let world = World::new();
    let mut run = world.start(&[
        "--pty",
        "--",
        "sh",
        "-c",
        "setsid sleep 1000 & echo up; exec sleep 1000",
    ]);
    run.wait_for("up");
    run.signal(Signal::SIGINT);
    assert_eq!(run.end().0, 130);
    world.assert_empty();
}

#[test]
fn a_log_file_gets_everything_over_all_starts() {
    let world = World::new();
    let mut run = world.start(&[
        "--log-file=app.log",
        "--restart=always",
        "--max-restarts=1",
        "--restart-backoff=1ms",
        "--",
        "sh",
        "-c",
        "seq 1000; printf last",
    ]);
    run.wait_for_phase(Phase::Exited);
    run.end();
    let text = std::fs::read_to_string(world.path("app.log")).unwrap();
    assert_eq!(text.lines().count(), 2002);
    assert!(text.starts_with("1\n2\n") && text.ends_with("1000\nlast\n"));
}

#[test]
fn a_log_file_is_renamed_before_it_is_too_large_and_no_line_is_lost() {
    let world = World::new();
    let (status, _) = world.output(&[
        "--log-file=app.log",
        "--log-file-bytes=300000",
        "--log-file-keep=9",
        "--",
        "seq",
        "100000",
    ]);
    assert!(status.success());
    let mut lines = 0;
    let mut files = 0;
    for file in world.dir.path().read_dir().unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(text.len() <= 300_000 && text.ends_with('\n'));
        lines += text.lines().count();
        files += 1;
    }
    assert!(files > 1);
    assert_eq!(lines, 100_000);
}

#[test]
fn a_log_file_that_cannot_be_opened_is_an_error_at_once() {
    let world = World::new();
    std::fs::write(world.dir.path().join("file"), "").unwrap();
    let output = world
        .command(&["--log-file=file/app.log", "--", "true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("file/app.log"), "{said}");
}
