//! A command is ready when a probe says so, and has failed when none does in time.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;

use monday_shared::protocol::run::{Event, Phase, State};

use crate::harness::{Run, World};

fn wait_until_ready(run: &mut Run) -> State {
    loop {
        match run.next() {
            Some(Event::State(state)) if state.ready == Some(true) => return state,
            Some(_) => {}
            None => panic!("ended without being ready"),
        }
    }
}

/// Starts a command with this probe, which is up when its fifo is written to.
fn start(world: &World, probe: &str, script: &str) -> Run {
    nix::unistd::mkfifo(&world.path("go"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("read x < go; {script}; exec sleep 1000");
    let mut run = world.start(&[
        "--ready",
        probe,
        "--ready-interval",
        "20ms",
        "--",
        "sh",
        "-c",
        &script,
    ]);
    let state = run.wait_for_phase(Phase::Running);
    assert_eq!(state.ready, Some(false));
    run
}

fn go(world: &World) {
    std::fs::write(world.path("go"), "x\n").unwrap();
}

#[test]
fn a_script_says_so() {
    let world = World::new();
    let mut run = start(&world, "exec=[ -e up ] && [ \"$A\" = \"\" ]", "touch up");
    go(&world);
    wait_until_ready(&mut run);
}

#[test]
fn a_line_says_so() {
    let world = World::new();
    let mut run = start(
        &world,
        "log=listening on .*[0-9]+$",
        "echo listening on nothing; echo listening on port 80",
    );
    go(&world);
    wait_until_ready(&mut run);
    assert!(run.text().contains("port 80"), "the line is shown before");
}

#[test]
fn a_line_that_comes_in_pieces_says_so_whole() {
    let world = World::new();
    // The second half comes when the first was shown as it is.
    let mut run = start(
        &world,
        "log=^Server ready$",
        "printf 'Server '; read x < go; echo ready",
    );
    go(&world);
    run.wait_for("Server ");
    go(&world);
    wait_until_ready(&mut run);
}

#[test]
fn a_connection_says_so() {
    let world = World::new();
    // A port that nobody listens on, until we do.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut run = start(&world, &format!("tcp={address}"), ":");
    let _listener = TcpListener::bind(address).unwrap();
    wait_until_ready(&mut run);
    go(&world);
}

#[test]
fn the_command_says_so_itself() {
    let world = World::new();
    let script = "echo sock=$NOTIFY_SOCKET";
    let mut run = start(&world, "notify", script);
    go(&world);
    run.wait_for("\n");
    let path = run.text().trim().strip_prefix("sock=").unwrap().to_owned();
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(b"STATUS=almost", &path).unwrap();
    sender.send_to(b"READY=1", &path).unwrap();
    wait_until_ready(&mut run);
    // It goes on being read: more than a socket holds.
    for _ in 0..1000 {
        sender.send_to(b"STATUS=busy", &path).unwrap();
    }
    drop(run);
}

#[test]
fn whoever_started_us_is_told_when_the_command_is_ready_and_not_before() {
    let world = World::new();
    let path = world.path("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_nonblocking(true).unwrap();
    let mut command = world.command(&[
        "--output=json",
        "--ready=exec=[ -e up ]",
        "--ready-interval=20ms",
        "--",
        "sleep",
        "1000",
    ]);
    command.env("NOTIFY_SOCKET", &path);
    let mut run = Run::start(command);
    run.wait_for_phase(Phase::Running);
    let mut message = [0; 64];
    assert!(manager.recv(&mut message).is_err());
    std::fs::write(world.path("up"), "").unwrap();
    wait_until_ready(&mut run);
    manager.set_nonblocking(false).unwrap();
    let bytes = manager.recv(&mut message).unwrap();
    assert!(message[..bytes].starts_with(b"READY=1"));
}

#[test]
fn a_command_that_is_not_ready_in_time_is_stopped_with_status_124_and_the_last_reason() {
    let world = World::new();
    let output = world
        .command(&[
            "--ready=exec=exit 9",
            "--ready-within=200ms",
            "--",
            "sleep",
            "1000",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(124));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("not ready within 200ms") && said.contains("exit status 9"),
        "{said}"
    );
    assert_eq!(said.matches("not ready within").count(), 1, "{said}");
    world.assert_empty();
}

#[test]
fn a_probe_that_failed_too_often_is_the_end_as_well() {
    let world = World::new();
    let output = world
        .command(&[
            "--ready=log=never",
            "--ready-within=50ms",
            "--",
            "sleep",
            "1000",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(124));
    let output = world
        .command(&[
            "--ready=tcp=127.0.0.1:1",
            "--ready-retries=1",
            "--ready-interval=10ms",
            "--",
            "sleep",
            "1000",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(124));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("tries") && said.contains("127.0.0.1:1"),
        "{said}"
    );
    world.assert_empty();
}

#[test]
fn a_probe_that_hangs_is_ended_with_everything_it_started() {
    let world = World::new();
    let mut run = world.start(&[
        "--ready=exec=touch probed; sleep 1000 & wait",
        "--ready-timeout=50ms",
        "--ready-within=400ms",
        "--",
        "sleep",
        "1000",
    ]);
    run.wait_for_phase(Phase::Failed);
    assert!(world.path("probed").exists());
    assert_eq!(run.end().0, 124);
    world.assert_empty();
}

/// It is tried for as long as it takes; the reason is not kept for the end of that.
#[test]
fn a_probe_that_fails_for_long_says_why() {
    let world = World::new();
    let mut command = world.command(&[
        "--ready",
        "tcp=nobody.knows.invalid:80",
        "--",
        "sleep",
        "1000",
    ]);
    command.stderr(std::process::Stdio::piped());
    let mut run = Run::start(command);
    let log = std::io::BufReader::new(run.child.stderr.take().unwrap());
    let told = "not ready yet, and tried again: cannot connect to nobody.knows.invalid:80";
    let mut lines = std::io::BufRead::lines(log).map_while(Result::ok);
    assert!(lines.any(|line| line.contains(told)));
}
