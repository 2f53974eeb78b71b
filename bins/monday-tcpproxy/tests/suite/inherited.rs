//! Listeners that somebody opened before us and keeps when we are gone (`sd_listen_fds(3)`).

use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output, Stdio};

use crate::harness::{
    Executable, HANGS, assert_echoes, assert_reset, connect, ctl, echo_server, wait_until,
};

/// A shell that hands its standard input and error over as the first two listeners, and becomes the executable.
fn started_with(first: OwnedFd, second: OwnedFd, variables: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!(
            "exec 3<&0 4<&2 0</dev/null 2>/dev/null; export {variables}; exec \"$0\" --output json \"$@\""
        ))
        .arg(env!("CARGO_BIN_EXE_monday-tcpproxy"))
        .args(arguments)
        .stdin(Stdio::from(first))
        .stderr(Stdio::from(second))
        .stdout(Stdio::piped());
    command
}

const OURS: &str = "LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=web:";

fn copy(listener: &TcpListener) -> OwnedFd {
    listener.try_clone().unwrap().into()
}

#[test]
fn a_listener_is_taken_by_its_name_or_its_number_with_the_clients_that_wait_already() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db.sock");
    let db = UnixListener::bind(&path).unwrap();
    let mut early = connect(address);

    let target = echo_server();
    let mut started = started_with(
        web.into(),
        db.into(),
        OURS,
        &[
            &format!("web@fd:web={target}"),
            &format!("db@fd:4={target}"),
        ],
    );
    let mut proxy = Executable::start_prepared(&mut started);
    assert_eq!(proxy.routes, [address]);
    assert_echoes(&mut early);
    assert_echoes(&mut connect(address));
    let mut db = UnixStream::connect(&path).unwrap();
    db.set_read_timeout(Some(HANGS)).unwrap();
    assert_echoes(&mut db);
    proxy.terminate();
    assert!(path.exists(), "the file is not ours to remove");
}

#[test]
fn a_listener_lives_on_without_us_and_its_clients_wait_for_the_next() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    let route = format!("web@fd:web={}", echo_server());
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let start = || {
        let arguments = ["--control", socket.to_str().unwrap(), &route];
        let mut started = started_with(copy(&web), copy(&web), OURS, &arguments);
        Executable::start_prepared(&mut started)
    };
    let mut first = start();
    let mut old = connect(address);
    assert_echoes(&mut old);
    // It drains: the old one has its time, a new one is not for the first any more.
    first.signal("TERM");
    wait_until("it takes nobody any more", || {
        ctl(&socket, &["list"]).1.contains(r#""draining":true"#)
    });
    let mut waiting = connect(address);
    assert_echoes(&mut old);
    drop(old);
    assert_eq!(first.child.wait().unwrap().code(), Some(128 + 15));
    let mut second = start();
    assert_echoes(&mut waiting);
    second.terminate();
}

#[test]
fn a_refused_client_is_reset_and_the_listener_is_as_it_was_afterwards() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let mut started = started_with(
        copy(&web),
        copy(&web),
        OURS,
        &[
            "--control",
            socket.to_str().unwrap(),
            &format!("web@fd:web={}", echo_server()),
        ],
    );
    let mut proxy = Executable::start_prepared(&mut started);
    assert_eq!(ctl(&socket, &["fault", "refuse=true"]).0, Some(0));
    assert_reset(&mut connect(address));
    assert_eq!(ctl(&socket, &["clear"]).0, Some(0));
    assert_echoes(&mut connect(address));
    assert_eq!(ctl(&socket, &["fault", "unanswered=true"]).0, Some(0));
    proxy.terminate();
    // The next one that accepts finds a listener that listens. What had filled its queue comes first.
    let client = connect(address);
    let own = client.local_addr().unwrap();
    wait_until("the client is accepted", || {
        web.accept().is_ok_and(|(_, peer)| peer == own)
    });
}

fn fails(variables: &str, listen: &str) -> Output {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = format!("exec 3<&0 0</dev/null; export {variables}; exec \"$0\" {listen}=1");
    Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_monday-tcpproxy")])
        .stdin(Stdio::from(OwnedFd::from(web)))
        .output()
        .unwrap()
}

#[test]
fn what_was_not_handed_over_is_named_with_what_was() {
    for (variables, listen, status, named) in [
        ("X=1", "fd:web", 1, "none was: start this with LISTEN_FDS"),
        ("LISTEN_FDS=1 LISTEN_PID=1", "fd:3", 1, "none was"),
        (
            "LISTEN_FDS=1 LISTEN_FDNAMES=web",
            "fd:wbe",
            1,
            "those that were are web (3)",
        ),
        ("LISTEN_FDS=1", "fd:4", 1, "those that were are 3"),
        ("LISTEN_FDS=many", "fd:3", 2, "LISTEN_FDS is `many`"),
        ("LISTEN_FDS=40", "fd:3", 2, "descriptor 4 of LISTEN_FDS"),
        ("LISTEN_FDS=1", "fd:", 2, "fd:"),
    ] {
        let ended = fails(variables, listen);
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(status), "{variables}: {told}");
        assert!(told.contains(named), "{variables}: {told}");
    }
}

#[test]
fn the_command_is_not_told_of_listeners_that_were_handed_to_us() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let started = started_with(
        copy(&web),
        copy(&web),
        OURS,
        &[
            "web@fd:web=1",
            "--",
            "sh",
            "-c",
            "echo \"$MONDAY_ADDR_WEB:${LISTEN_FDS-}${LISTEN_PID-}${LISTEN_FDNAMES-}\"; ls -l /proc/self/fd",
        ],
    )
    .output()
    .unwrap();
    let said = String::from_utf8(started.stdout).unwrap();
    let (told, open) = said.split_once('\n').unwrap();
    assert_eq!(told, format!("{}:", web.local_addr().unwrap()));
    let own = format!("/proc/self/fd/{}", web.as_raw_fd());
    let listener = std::fs::read_link(own).unwrap();
    assert!(!open.contains(listener.to_str().unwrap()), "{open}");
}
