//! The executable as a person or a CI job starts it.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Executable, assert_echoes, assert_reset, command, connect, echo_server};

fn output(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_monday-tcpproxy"))
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_first_json_line_is_ready_with_the_real_ports() {
    let target = echo_server();
    let proxy = Executable::start(&[&format!("db@0={target}"), &format!("127.0.0.2:0={target}")]);
    assert_eq!(proxy.routes.len(), 2);
    for address in &proxy.routes {
        assert_ne!(address.port(), 0);
        assert_echoes(&mut connect(*address));
    }
}

#[test]
fn a_command_finds_the_addresses_and_gives_its_exit_status() {
    let ended = output(&[
        "db@127.0.0.2:0=1",
        "0=2",
        "--",
        "sh",
        "-c",
        "echo $MONDAY_ADDR_DB $MONDAY_HOST_DB $MONDAY_PORT_DB $MONDAY_ADDR_ROUTE1; exit 7",
    ]);
    assert_eq!(ended.status.code(), Some(7), "{}", stderr(&ended));
    let said = String::from_utf8(ended.stdout).unwrap();
    let words: Vec<&str> = said.split_whitespace().collect();
    let [address, host, port, other] = words[..] else {
        panic!("{said}");
    };
    assert_eq!(host, "127.0.0.2");
    assert_eq!(address, format!("{host}:{port}"));
    assert!(
        other.starts_with("127.0.0.1:") && other != "127.0.0.1:0",
        "{other}"
    );
}

#[test]
fn beside_a_command_only_failures_are_told() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_monday-tcpproxy"))
        .args([
            "r@0=127.0.0.1:1",
            "--",
            "sh",
            "-c",
            "echo $MONDAY_ADDR_R; cat",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut address = String::new();
    said.read_line(&mut address).unwrap();
    assert_reset(&mut connect(address.trim().parse().unwrap()));
    // `cat` ends with its input, and with it everything.
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let told = stderr(&ended);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(
        told.starts_with("monday-tcpproxy: r: connection from 127.0.0.1:"),
        "{told}"
    );
    assert!(told.contains("cannot connect to 127.0.0.1:1"), "{told}");
}

#[test]
fn a_taken_port_names_its_holder() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let ended = output(&[&format!("{listen}=80")]);
    assert_eq!(ended.status.code(), Some(1));
    let told = stderr(&ended);
    assert!(
        told.contains(&format!("cannot listen on {listen}")),
        "{told}"
    );
    assert!(
        told.contains(&format!("pid {}", std::process::id())),
        "{told}"
    );
}

#[test]
fn an_address_that_this_machine_does_not_have_is_named() {
    // TEST-NET-1 of RFC 5737 is on no machine.
    let ended = output(&["192.0.2.1:8080=80"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        stderr(&ended).contains("this machine has no such address"),
        "{}",
        stderr(&ended)
    );
}

#[test]
fn two_routes_on_one_port_are_a_usage_error() {
    let ended = output(&["a@8080=1", "b@8080=2"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(
        stderr(&ended).contains("route `a` does"),
        "{}",
        stderr(&ended)
    );
}

#[test]
fn a_mistake_in_the_command_line_exits_with_2_and_names_it() {
    for (arguments, named) in [
        (&["8080"][..], "write [NAME@]LISTEN=TARGET"),
        (&[][..], "LISTEN=TARGET"),
        (&["0=db"][..], "`db` has no valid port"),
    ] {
        let ended = output(arguments);
        assert_eq!(ended.status.code(), Some(2));
        assert!(stderr(&ended).contains(named), "{}", stderr(&ended));
    }
}

#[test]
fn a_missing_command_is_named() {
    let ended = output(&["0=80", "--", "no-such-program"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        stderr(&ended).contains("cannot run `no-such-program`"),
        "{}",
        stderr(&ended)
    );
}

#[test]
fn a_signal_ends_it_with_128_and_the_signal() {
    let mut proxy = Executable::start_command(command().arg("0=80"));
    let pid = Pid::from_raw(i32::try_from(proxy.child.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(proxy.child.wait().unwrap().code(), Some(128 + 15));
}
