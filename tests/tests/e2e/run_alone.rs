//! `monday-run` without a supervisor.

use std::time::Duration;

use monday_tests::control::Control;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::json;

#[test]
fn it_ends_with_the_status_of_its_command() {
    let world = World::new();
    for status in [0, 3, 255] {
        let script = format!("exit {status}");
        let _ = world
            .run("monday-run", ["--", "sh", "-c", &script])
            .expect_code(status);
    }
    let _ = world
        .run("monday-run", ["--", "sh", "-c", "kill -SEGV $$"])
        .expect_code(139);
}

#[test]
fn both_streams_of_the_command_come_out_by_lines_with_its_name() {
    let world = World::new();
    let script = "echo one; echo two >&2; printf 'no line feed'";
    let finished = world
        .run("monday-run", ["--name", "api", "--", "sh", "-c", script])
        .expect_code(0);
    let mut lines: Vec<&str> = finished.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["api | no line feed", "api | one", "api | two"]);
}

#[test]
fn without_a_name_the_output_is_passed_on_as_it_is() {
    let world = World::new();
    let finished = world
        .run(
            "monday-run",
            ["--", "sh", "-c", "echo one; echo; echo ' two'"],
        )
        .expect_code(0);
    assert_eq!(finished.stdout, "one\n\n two\n");
}

#[test]
fn events_are_json_lines_from_ready_to_the_end() {
    let world = World::new();
    let mut process = world.start(
        "monday-run",
        [
            "--output",
            "json",
            "--name",
            "job",
            "--",
            "sh",
            "-c",
            "echo hello; exit 4",
        ],
    );
    assert_eq!(process.ready()["name"], "job");
    let running = process.event("state");
    assert_eq!(
        (&running["phase"], &running["generation"]),
        (&json!("running"), &json!(1))
    );
    assert!(running["pid"].is_u64());
    let output = process.event("output");
    assert_eq!(
        (&output["stream"], &output["lines"]),
        (&json!("stdout"), &json!(["hello"]))
    );
    let exited = process.event("state");
    assert_eq!(
        (&exited["phase"], &exited["exit"]),
        (&json!("exited"), &json!({"code": 4}))
    );
    assert_eq!(process.wait(), 4);
}

#[test]
fn the_environment_and_the_folder_are_as_the_flags_say() {
    let world = World::new();
    let folder = world.runtime_dir();
    let mut command = world.command("monday-run");
    command
        .args(["--env", "WORD=first", "--env", "WORD=last", "--dir"])
        .arg(&folder)
        .args(["--", "sh", "-c", "echo $WORD; pwd"]);
    let finished = monday_tests::process::Process::start(command)
        .finish()
        .expect_code(0);
    assert_eq!(finished.stdout, format!("last\n{}\n", folder.display()));
}

#[test]
fn the_command_reads_an_empty_standard_input() {
    let world = World::new();
    let mut process = world.start("monday-run", ["--", "cat"]);
    process.write_stdin(b"for monday-run at most\n");
    let finished = process.finish_open().expect_code(0);
    assert_eq!(finished.stdout, "");
}

#[test]
fn the_end_of_the_command_ends_all_that_it_left_behind() {
    let world = World::new();
    let script =
        "sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000 & wait' &) ; sleep 0.1; exit 5";
    let finished = world.run(
        "monday-run",
        ["--stop-timeout", "2s", "--", "sh", "-c", script],
    );
    let _ = finished.expect_code(5);
    assert!(world.survivors().is_empty(), "{:?}", world.survivors());
}

#[test]
fn a_signal_ends_the_whole_tree_and_the_status_is_the_commands() {
    for (signal, status) in [
        (Signal::SIGTERM, 143),
        (Signal::SIGINT, 130),
        (Signal::SIGHUP, 129),
    ] {
        let world = World::new();
        let script = "sleep 1000 & setsid sleep 1000 & echo up; wait";
        // A shell's background jobs ignore INT: they are killed in the end.
        let flags = ["--stop-timeout", "300ms", "--", "sh", "-c", script];
        let mut process = world.start("monday-run", flags);
        process.line_with("up");
        process.signal(signal);
        assert_eq!(process.wait(), status, "{signal}");
        assert!(
            world.survivors().is_empty(),
            "{signal}: {:?}",
            world.survivors()
        );
    }
}

#[test]
fn a_command_that_ignores_the_signal_is_killed_after_the_stop_timeout() {
    let world = World::new();
    let script = "trap '' TERM; echo up; while :; do sleep 1; done";
    let mut process = world.start(
        "monday-run",
        ["--stop-timeout", "300ms", "--", "sh", "-c", script],
    );
    process.line_with("up");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 137);
    assert!(world.survivors().is_empty(), "{:?}", world.survivors());
}

#[test]
fn a_second_signal_kills_at_once() {
    let world = World::new();
    let script = "trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done";
    let mut process = world.start(
        "monday-run",
        ["--stop-timeout", "1000s", "--", "sh", "-c", script],
    );
    process.line_with("up");
    process.signal(Signal::SIGTERM);
    process.line_with("asked");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 137);
    world.assert_no_survivors(PATIENCE);
}

#[test]
fn the_stop_signal_is_the_one_that_was_asked_for() {
    let world = World::new();
    let script =
        "trap 'echo quit; exit 6' QUIT; trap '' TERM; echo up; while :; do sleep 0.05; done";
    let mut process = world.start(
        "monday-run",
        [
            "--control",
            "run.sock",
            "--stop-signal",
            "QUIT",
            "--",
            "sh",
            "-c",
            script,
        ],
    );
    process.line_with("up");
    let state = Control::connect(&world.home().join("run.sock")).ask("stop");
    assert_eq!(
        (&state["phase"], &state["exit"]),
        (&json!("stopped"), &json!({"code": 6}))
    );
}

#[test]
fn a_killed_monday_run_takes_its_command_with_it() {
    let world = World::new();
    let mut process = world.start("monday-run", ["--", "sh", "-c", "echo up; exec sleep 1000"]);
    process.line_with("up");
    process.signal(Signal::SIGKILL);
    assert_eq!(process.wait(), 137);
    world.assert_no_survivors(PATIENCE);
}

#[test]
fn a_missing_program_a_missing_folder_and_no_command_are_told() {
    let world = World::new();
    let finished = world
        .run("monday-run", ["--", "no-such-program-at-all"])
        .expect_code(1);
    assert!(
        finished.stderr.contains("no-such-program-at-all") && finished.stderr.contains("PATH"),
        "{}",
        finished.stderr
    );
    let finished = world
        .run("monday-run", ["--dir", "no/such/folder", "--", "true"])
        .expect_code(1);
    assert!(
        finished.stderr.contains("no/such/folder"),
        "{}",
        finished.stderr
    );
    let none: [&str; 0] = [];
    let finished = world.run("monday-run", none).expect_code(2);
    assert!(finished.stderr.contains("--control"), "{}", finished.stderr);
}

#[test]
fn it_is_started_stopped_and_started_again_over_its_socket() {
    let world = World::new();
    let mut process = world.start("monday-run", ["--control", "run.sock", "--output", "json"]);
    process.ready();
    let mut control = Control::connect(&world.home().join("run.sock"));
    let spec = json!({"command": ["sh", "-c", "echo up; exec sleep 1000"], "stop_timeout": "5s"});
    let first = control.call("start", &spec).unwrap();
    assert_eq!(
        (&first["phase"], &first["generation"]),
        (&json!("running"), &json!(1))
    );
    assert_eq!(
        control.call("start", &spec).unwrap(),
        first,
        "the same again changes nothing"
    );
    let second = control.ask("restart");
    assert_eq!(second["generation"], 2);
    assert_ne!(second["pid"], first["pid"]);
    let stopped = control.ask("stop");
    assert_eq!(
        (&stopped["phase"], &stopped["exit"]),
        (&json!("stopped"), &json!({"signal": 15}))
    );
    let other = json!({"command": ["sh", "-c", "exit 3"]});
    assert_eq!(control.call("start", &other).unwrap()["generation"], 3);
    let exited = process.event_where("the end of the third", |event| {
        event["generation"] == 3 && event["phase"] == "exited"
    });
    assert_eq!(exited["exit"], json!({"code": 3}));
    control.ask("shutdown");
    assert_eq!(process.wait(), 0);
}

#[test]
fn lines_are_not_lost_when_there_are_many() {
    let world = World::new();
    let finished = world
        .run("monday-run", ["--name", "n", "--", "seq", "1", "200000"])
        .expect_code(0);
    assert_eq!(finished.stdout.lines().count(), 200_000);
    assert_eq!(finished.stdout.lines().last(), Some("n | 200000"));
}

#[test]
fn output_of_a_process_that_ran_away_does_not_hold_up_the_end() {
    let world = World::new();
    // It holds the pipe and is ended with the rest; the end must not wait for the pipe.
    let script = "setsid sh -c 'trap \"\" TERM HUP; sleep 1000' & sleep 0.1; exit 0";
    let mut process = world.start(
        "monday-run",
        ["--stop-timeout", "200ms", "--", "sh", "-c", script],
    );
    assert_eq!(process.wait_within(Duration::from_secs(10)), 0);
    world.assert_no_survivors(PATIENCE);
}
