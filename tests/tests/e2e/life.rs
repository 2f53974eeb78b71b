//! The one life that every executable leads: flags, socket, protocol errors, signals, lifeline, exit status.

use std::os::unix::fs::PermissionsExt as _;

use monday_shared::protocol::common::Hello;
use monday_tests::control::{Control, ask};
use monday_tests::needs_programs;
use monday_tests::process::Process;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::ready;
use crate::sidecar::{
    Sidecar, command_in, command_serving, for_every_executable, socket_in, start_in,
};

for_every_executable! {
    it_tells_its_version,
    it_explains_its_flags,
    wrong_flags_are_refused_with_status_2,
    a_script_asks_for_its_name_with_nc_and_jq,
    our_own_client_understands_it,
    its_socket_is_for_its_user_alone,
    shutdown_ends_it_with_status_0_and_without_its_socket,
    a_signal_ends_it_with_128_more_than_its_number,
    the_end_of_the_lifeline_ends_it,
    without_a_lifeline_the_end_of_standard_input_means_nothing,
    a_socket_that_is_served_is_refused_with_the_pid_of_its_server,
    the_socket_of_a_killed_process_is_replaced,
    a_file_in_the_place_of_the_socket_is_left_alone,
    a_socket_path_that_is_too_long_is_refused_with_its_length,
    it_tells_notify_socket_when_it_is_ready,
    it_lives_on_when_nobody_reads_its_events,
    its_log_goes_to_standard_error_only,
}

fn it_tells_its_version(name: &'static str) {
    let told = World::new().run(name, ["--version"]).expect_code(0);
    assert_eq!(
        told.stdout,
        format!("{name} {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(told.stderr, "");
}

fn it_explains_its_flags(name: &'static str) {
    let world = World::new();
    let mut told = world.run(name, ["--help"]).expect_code(0);
    assert_eq!(told.stderr, "");
    assert!(
        told.stdout.contains("Usage:") && told.stdout.contains("Examples:"),
        "{}",
        told.stdout
    );
    assert!(told.stdout.contains("--version"), "{}", told.stdout);
    if name == "monday-supervisor" {
        // It has commands, each with flags of its own; the way to them has to be told.
        assert!(told.stdout.contains("run --help"), "{}", told.stdout);
        told = world.run(name, ["run", "--help"]).expect_code(0);
    }
    for expected in ["--control", "--output", "--log-level", "--lifeline"] {
        assert!(
            told.stdout.contains(expected),
            "no {expected} in:\n{}",
            told.stdout
        );
    }
}

fn wrong_flags_are_refused_with_status_2(name: &'static str) {
    let world = World::new();
    for (flags, named) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--output", "yaml"], "yaml"),
        (&["--log-level", "loud"], "loud"),
        (&["--control"], "--control"),
    ] {
        let refused = world.run(name, flags).expect_code(2);
        assert!(refused.stderr.contains(named), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
}

fn a_script_asks_for_its_name_with_nc_and_jq(name: &'static str) {
    needs_programs!("nc", "jq");
    let sidecar = Sidecar::start(name);
    let script = format!(
        r#"printf '{{"id":1,"method":"hello"}}\n' | nc -N -U {} | jq -r .result.name"#,
        sidecar.socket.display()
    );
    let told = sidecar.world.sh(&script).expect_code(0);
    assert_eq!(told.stdout, format!("{name}\n"));
}

fn our_own_client_understands_it(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let hello = ask(&sidecar.socket, &Hello::default()).unwrap();
    assert_eq!(
        (hello.name.as_str(), hello.pid),
        (name, sidecar.process.pid())
    );
    assert_eq!(hello.version, env!("CARGO_PKG_VERSION"));
    for method in ["hello", "subscribe", "status", "shutdown"] {
        assert!(
            hello.methods.iter().any(|known| known == method),
            "{method}"
        );
    }
}

fn its_socket_is_for_its_user_alone(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mode = std::fs::metadata(&sidecar.socket)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

fn shutdown_ends_it_with_status_0_and_without_its_socket(name: &'static str) {
    let Sidecar {
        mut process,
        socket,
        world,
        ..
    } = Sidecar::start(name);
    let mut client = Control::connect(&socket);
    assert_eq!(client.ask("shutdown"), json!({}));
    // The connection closes when all is done.
    let _ = client.rest();
    assert_eq!(process.wait(), 0);
    assert_nothing_left(&world);
}

fn a_signal_ends_it_with_128_more_than_its_number(name: &'static str) {
    for (signal, status) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
    ] {
        let Sidecar {
            mut process, world, ..
        } = Sidecar::start(name);
        process.signal(signal);
        assert_eq!(process.wait(), status, "{signal}");
        assert_nothing_left(&world);
    }
}

fn the_end_of_the_lifeline_ends_it(name: &'static str) {
    let world = World::new();
    let (mut process, _) = start_in(&world, name, &["--lifeline"]);
    process.write_stdin(b"what comes in is read and dropped\n");
    Control::connect(&socket_in(&world)).ask("hello");
    process.close_stdin();
    assert_eq!(process.wait(), 0);
    assert_nothing_left(&world);
}

fn without_a_lifeline_the_end_of_standard_input_means_nothing(name: &'static str) {
    let mut sidecar = Sidecar::start(name);
    sidecar.process.close_stdin();
    sidecar.assert_alive();
    sidecar.process.signal(Signal::SIGTERM);
    assert_eq!(sidecar.process.wait(), 143);
}

fn a_socket_that_is_served_is_refused_with_the_pid_of_its_server(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let second = Process::start(command_in(&sidecar.world, name, &[]))
        .finish()
        .expect_code(1);
    let pid = format!("pid {}", sidecar.process.pid());
    assert!(
        second.stderr.contains(&pid),
        "{pid} is not in: {}",
        second.stderr
    );
    sidecar.assert_alive();
}

fn the_socket_of_a_killed_process_is_replaced(name: &'static str) {
    let Sidecar {
        mut process,
        socket,
        world,
        ..
    } = Sidecar::start(name);
    process.signal(Signal::SIGKILL);
    assert_eq!(process.wait(), 137);
    assert!(socket.exists(), "a killed process removes nothing");
    world.assert_no_survivors(PATIENCE);
    let (second, _) = start_in(&world, name, &[]);
    let hello = Control::connect(&socket).ask("hello");
    assert_eq!(hello["pid"], second.pid());
}

fn a_file_in_the_place_of_the_socket_is_left_alone(name: &'static str) {
    let world = World::new();
    world.write("control.sock", "precious");
    let refused = Process::start(command_in(&world, name, &[]))
        .finish()
        .expect_code(1);
    assert!(
        refused.stderr.contains("control.sock"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        std::fs::read_to_string(socket_in(&world)).unwrap(),
        "precious"
    );
}

fn a_socket_path_that_is_too_long_is_refused_with_its_length(name: &'static str) {
    let world = World::new();
    let long = world.path(&"x".repeat(200));
    let refused = Process::start(command_serving(&world, name, &long, &[]))
        .finish()
        .expect_code(1);
    let length = format!("{} bytes", long.as_os_str().len());
    assert!(refused.stderr.contains(&length), "{}", refused.stderr);
}

fn it_tells_notify_socket_when_it_is_ready(name: &'static str) {
    let world = World::new();
    let _process = ready::start(&world, command_in(&world, name, &[]));
    // The socket is served by then.
    assert_eq!(
        Control::connect(&socket_in(&world)).ask("hello")["name"],
        name
    );
}

fn it_lives_on_when_nobody_reads_its_events(name: &'static str) {
    let world = World::new();
    // A shell that takes the first line and closes the pipe, as `head -1` does; the executable goes on behind it.
    let mut words = vec!["-c".into(), r#""$@" | head -1"#.into(), "sh".into()];
    let command = command_in(&world, name, &[]);
    words.push(command.get_program().to_owned());
    words.extend(command.get_args().map(std::ffi::OsStr::to_owned));
    let mut shell = world.start("sh", words);
    shell.ready();
    let mut client = Control::connect(&socket_in(&world));
    client.ask("status");
    assert_eq!(client.ask("hello")["name"], name);
    client.ask("shutdown");
    let _ = client.rest();
    assert_eq!(shell.wait(), 0);
}

fn its_log_goes_to_standard_error_only(name: &'static str) {
    let world = World::new();
    let (process, _) = start_in(&world, name, &["--log-level", "trace"]);
    Control::connect(&socket_in(&world)).ask("hello");
    process.signal(Signal::SIGTERM);
    let finished = process.finish_open().expect_code(143);
    for line in finished.stdout.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event.get("event").is_some(), "not an event: {line}");
    }
    assert!(
        finished
            .stderr
            .lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "with --output json the log is JSON as well: {}",
        finished.stderr
    );
}

fn assert_nothing_left(world: &World) {
    assert!(!socket_in(world).exists(), "the socket is left");
    assert!(
        !world.path("control.sock.lock").exists(),
        "the socket's lock is left"
    );
    assert_eq!(world.runtime_files(), Vec::<std::path::PathBuf>::new());
    world.assert_hosts_untouched();
    world.assert_no_survivors(PATIENCE);
}

#[test]
fn who_is_started_with_hangups_ignored_outlives_the_terminal() {
    let world = World::new();
    let script = "trap '' HUP; exec monday-tcpproxy --output json 0=1";
    let mut process = world.start("sh", ["-c", script]);
    process.ready();
    process.signal(Signal::SIGHUP);
    // The first one is taken before the second, if it is taken at all.
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
}
