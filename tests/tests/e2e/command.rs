//! `-- COMMAND`: become ready, run it, tear down, end with its status.

use monday_tests::process::Process;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;
use nix::sys::signal::Signal;

use crate::sidecar::{command_in, for_every_executable_with_a_command, socket_in};

for_every_executable_with_a_command! {
    it_ends_with_the_status_of_command,
    standard_input_and_output_are_commands_alone,
    it_is_ready_before_command_runs,
    a_signal_goes_to_command_whose_status_counts,
    a_stubborn_command_is_killed_by_the_second_signal,
    a_command_that_is_killed_gives_128_more_than_the_signal,
    a_command_that_cannot_be_run_is_named_with_status_1,
    shutdown_ends_command_as_well,
    the_end_of_the_lifeline_ends_a_stubborn_command_soon,
    a_killed_executable_takes_command_with_it,
}

/// The executable with a shell script as COMMAND.
fn with_script(world: &World, name: &'static str, script: &str) -> Process {
    Process::start(command_in(world, name, &["--", "sh", "-c", script]))
}

fn it_ends_with_the_status_of_command(name: &'static str) {
    let world = World::new();
    for status in [0, 1, 7, 255] {
        let finished = with_script(&world, name, &format!("exit {status}")).finish();
        let _ = finished.expect_code(status);
    }
    assert!(!socket_in(&world).exists());
    world.assert_hosts_untouched();
}

fn standard_input_and_output_are_commands_alone(name: &'static str) {
    let world = World::new();
    let mut process = with_script(&world, name, "read word; echo \"got $word\"");
    process.write_stdin(b"sugar\n");
    let finished = process.finish().expect_code(0);
    assert_eq!(finished.stdout, "got sugar\n");
    let first = finished
        .stderr
        .lines()
        .next()
        .expect("the events are on standard error");
    let first: serde_json::Value = serde_json::from_str(first).unwrap();
    assert_eq!(first["event"], "ready");
}

fn it_is_ready_before_command_runs(name: &'static str) {
    monday_tests::needs_programs!("nc", "jq");
    let world = World::new();
    let script = format!(
        r#"printf '{{"id":1,"method":"hello"}}\n' | nc -N -U {} | jq -r .result.name"#,
        socket_in(&world).display()
    );
    let finished = with_script(&world, name, &script).finish().expect_code(0);
    assert_eq!(finished.stdout, format!("{name}\n"));
}

fn a_signal_goes_to_command_whose_status_counts(name: &'static str) {
    let world = World::new();
    let mut process = with_script(
        &world,
        name,
        "trap 'echo caught; exit 9' TERM; echo up; while :; do sleep 0.05; done",
    );
    process.line_with("up");
    process.signal(Signal::SIGTERM);
    process.line_with("caught");
    assert_eq!(process.wait(), 9);
}

fn a_stubborn_command_is_killed_by_the_second_signal(name: &'static str) {
    let world = World::new();
    let script = "trap 'echo no' INT; trap '' TERM; echo up; while :; do sleep 0.05; done";
    for second in [Signal::SIGINT, Signal::SIGTERM] {
        let mut process = with_script(&world, name, script);
        process.line_with("up");
        process.signal(Signal::SIGINT);
        process.line_with("no");
        process.signal(second);
        assert_eq!(process.wait(), 137);
        world.assert_no_survivors(PATIENCE);
    }
}

fn a_command_that_is_killed_gives_128_more_than_the_signal(name: &'static str) {
    let world = World::new();
    let finished = with_script(&world, name, "kill -KILL $$").finish();
    let _ = finished.expect_code(137);
}

fn a_command_that_cannot_be_run_is_named_with_status_1(name: &'static str) {
    let world = World::new();
    let command = command_in(&world, name, &["--", "no-such-program-at-all"]);
    let finished = Process::start(command).finish().expect_code(1);
    let named = finished.stderr.lines().any(|line| {
        line.contains(name) && line.contains("no-such-program-at-all") && line.contains("PATH")
    });
    assert!(named, "{}", finished.stderr);
    assert!(!socket_in(&world).exists());
}

fn shutdown_ends_command_as_well(name: &'static str) {
    let world = World::new();
    let mut process = with_script(&world, name, "echo up; exec sleep 1000");
    process.line_with("up");
    monday_tests::control::Control::connect(&socket_in(&world)).ask("shutdown");
    assert_eq!(
        process.wait(),
        143,
        "COMMAND was ended by TERM, and its status counts"
    );
    world.assert_no_survivors(PATIENCE);
}

fn the_end_of_the_lifeline_ends_a_stubborn_command_soon(name: &'static str) {
    let world = World::new();
    let script = "trap '' TERM; echo up; while :; do sleep 0.05; done";
    let flags = ["--lifeline", "--", "sh", "-c", script];
    let mut process = Process::start(command_in(&world, name, &flags));
    process.line_with("up");
    process.close_stdin();
    // One second of grace; what is more is for a busy machine.
    assert_eq!(process.wait_within(std::time::Duration::from_secs(5)), 137);
    world.assert_no_survivors(PATIENCE);
}

fn a_killed_executable_takes_command_with_it(name: &'static str) {
    let world = World::new();
    let mut process = with_script(&world, name, "echo up; exec sleep 1000");
    process.line_with("up");
    process.signal(Signal::SIGKILL);
    assert_eq!(process.wait(), 137);
    world.assert_no_survivors(PATIENCE);
}
