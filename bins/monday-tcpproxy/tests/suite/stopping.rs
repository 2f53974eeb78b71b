//! How the executable says that it is there, and how it ends.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{
    Executable, assert_echoes, assert_reset, command, connect, ctl, echo_server, wait_until,
};

#[test]
fn the_ready_file_is_there_at_once_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready.json");
    let mut started = command();
    started
        .arg("--ready-file")
        .arg(&ready)
        .arg(format!("db@0={}", echo_server()));
    let mut proxy = Executable::start_prepared(&mut started);
    // It was written before anybody was told anything else.
    let line = fs::read_to_string(&ready).unwrap();
    assert_eq!(line, proxy.ready_line);
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["pid"], proxy.child.id());
    let address = told["routes"][0]["listen"].as_str().unwrap();
    assert_echoes(&mut connect(address.parse().unwrap()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    proxy.terminate();
}

#[test]
fn a_script_waits_for_a_file_a_descriptor_or_sources_the_addresses() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("not mine's")).unwrap();
    let script = r#"
        set -eu
        "$0" --ready-file ready --env-file env db@0=1 "not mine's/web.sock=1" >/dev/null 2>&1 &
        pid=$!
        trap 'kill $pid; wait $pid || true' EXIT
        until [ -e ready ]; do sleep 0.01; done
        . ./env
        echo "$MONDAY_ADDR_DB $MONDAY_HOST_DB $MONDAY_PORT_DB"
        mkfifo told
        "$0" --ready-fd 3 0=1 3>told >/dev/null 2>&1 &
        second=$!
        read -r line <told
        kill $second
        echo "$line"
    "#;
    let ended = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_monday-tcpproxy")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    let complaint = String::from_utf8(ended.stderr).unwrap();
    let (addresses, line) = said
        .split_once('\n')
        .unwrap_or_else(|| panic!("{complaint}"));
    let words: Vec<&str> = addresses.split(' ').collect();
    let [address, host, port] = words[..] else {
        panic!("{said}");
    };
    assert_eq!(address, format!("{host}:{port}"));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(line).unwrap()["event"],
        "ready"
    );
}

#[test]
fn a_ready_file_that_cannot_be_written_is_named() {
    for (flag, place, named) in [
        (
            "--ready-file",
            "/no/such/folder/ready",
            "/no/such/folder/ready",
        ),
        ("--env-file", "/no/such/folder/env", "/no/such/folder/env"),
        ("--ready-fd", "77", "descriptor 77"),
    ] {
        let ended = command().args([flag, place, "0=1"]).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(told.contains(named), "{told}");
    }
}

/// An executable that drains, and one of its connections.
fn draining(signal: &str) -> (Executable, TcpStream) {
    let route = format!("0={}", echo_server());
    let proxy = Executable::start(&["--drain-timeout", "1h", &route]);
    let mut client = connect(proxy.routes[0]);
    assert_echoes(&mut client);
    proxy.signal(signal);
    wait_until("new clients are refused", || {
        TcpStream::connect(proxy.routes[0]).is_err()
    });
    assert_echoes(&mut client);
    (proxy, client)
}

#[test]
fn the_first_signal_drains_and_the_second_cuts_at_once() {
    for (first, second, status) in [("TERM", "TERM", 15), ("INT", "TERM", 2), ("HUP", "INT", 1)] {
        let (mut proxy, mut client) = draining(first);
        assert!(proxy.child.try_wait().unwrap().is_none(), "it waits");
        let asked = Instant::now();
        proxy.signal(second);
        assert_reset(&mut client);
        assert_eq!(proxy.child.wait().unwrap().code(), Some(128 + status));
        // Far less than the hour that it had.
        assert!(asked.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn the_last_connection_that_ends_by_itself_ends_the_drain() {
    let (mut proxy, client) = draining("TERM");
    drop(client);
    assert_eq!(proxy.child.wait().unwrap().code(), Some(128 + 15));
}

#[test]
fn whoever_has_not_ended_in_time_is_cut() {
    let route = format!("0={}", echo_server());
    let mut proxy = Executable::start(&["--drain-timeout", "200ms", &route]);
    let mut client = connect(proxy.routes[0]);
    assert_echoes(&mut client);
    let asked = Instant::now();
    proxy.signal("TERM");
    assert_reset(&mut client);
    assert!(asked.elapsed() >= Duration::from_millis(190));
    assert_eq!(proxy.child.wait().unwrap().code(), Some(128 + 15));
}

#[test]
fn a_shutdown_drains_as_well_and_a_signal_cuts_it_short() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let route = format!("0={}", echo_server());
    let mut proxy = Executable::start(&[
        "--drain-timeout",
        "1h",
        "--control",
        socket.to_str().unwrap(),
        &route,
    ]);
    let mut client = connect(proxy.routes[0]);
    assert_echoes(&mut client);
    assert_eq!(ctl(&socket, &["shutdown"]).0, Some(0));
    wait_until("new clients are refused", || {
        TcpStream::connect(proxy.routes[0]).is_err()
    });
    assert_echoes(&mut client);
    proxy.signal("TERM");
    assert_reset(&mut client);
    assert_eq!(proxy.child.wait().unwrap().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn with_a_command_nothing_is_waited_for_when_it_has_ended() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_monday-tcpproxy"))
        .arg(format!("r@0={}", echo_server()))
        .args([
            "--",
            "sh",
            "-c",
            "echo $MONDAY_ADDR_R; read -r line; exit 5",
        ])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = Vec::new();
    let mut output = child.stdout.take().unwrap();
    let mut byte = [0];
    while output.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        address.push(byte[0]);
    }
    let address = String::from_utf8(address).unwrap().parse().unwrap();
    let mut client = connect(address);
    assert_echoes(&mut client);
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_reset(&mut client);
    assert_eq!(child.wait().unwrap().code(), Some(5));
}
