//! The control socket, as a script uses it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Executable, HANGS, assert_echoes, assert_reset, connect, echo_server};

/// An executable with a control socket and no routes.
fn start() -> (Executable, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let proxy = Executable::start(&["--control", socket.to_str().unwrap()]);
    (proxy, folder)
}

fn call(folder: &Path, method: &str, params: &Value) -> Value {
    let mut stream = UnixStream::connect(folder.join("control.sock")).unwrap();
    stream.set_read_timeout(Some(HANGS)).unwrap();
    writeln!(
        stream,
        "{}",
        json!({"id": 1, "method": method, "params": params})
    )
    .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

fn address(route: &Value) -> SocketAddr {
    route["listen"].as_str().unwrap().parse().unwrap()
}

#[test]
fn routes_are_opened_listed_and_closed() {
    let (_proxy, folder) = start();
    let target = echo_server().to_string();
    let spec = json!({"id": "db", "listen": "127.0.0.1:0", "target": target});
    let opened = call(folder.path(), "open", &spec);
    let route = &opened["result"]["routes"][0];
    let mut client = connect(address(route));
    assert_echoes(&mut client);

    let listed = call(folder.path(), "list", &json!({}));
    assert_eq!(listed["result"]["routes"][0]["accepted"], 1);
    let status = call(folder.path(), "status", &json!({}));
    assert_eq!(status["result"]["connections"], 1);
    assert!(status["result"]["open_files_limit"].as_u64().unwrap() > 0);

    let closed = call(folder.path(), "close", &json!({"ids": ["db", "ghost"]}));
    assert_eq!(closed["result"]["closed"], json!(["db"]));
    assert_reset(&mut client);
}

#[test]
fn errors_have_a_kind_for_programs() {
    let (_proxy, folder) = start();
    let kind =
        |params: Value| call(folder.path(), "open", &params)["error"]["data"]["kind"].clone();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    assert_eq!(
        kind(json!({"id": "a", "listen": taken, "target": "1"})),
        "port_in_use"
    );
    assert_eq!(
        kind(json!({"id": "a", "listen": "x", "target": "1"})),
        "invalid_params"
    );
    assert_eq!(kind(json!({"id": "a"})), "invalid_params");
    let route = json!({"id": "a", "listen": "0", "target": "1"});
    assert_eq!(kind(json!({"routes": [route, route]})), "invalid_params");
    let opened = call(folder.path(), "open", &route);
    let listen = opened["result"]["routes"][0]["listen"].clone();
    assert_eq!(
        kind(json!({"id": "b", "listen": listen, "target": "1"})),
        "conflict"
    );
}

fn ctl(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    crate::harness::ctl(&folder.join("control.sock"), words)
}

#[test]
fn a_script_opens_a_route_waits_for_its_target_and_its_connections_and_ends_everything() {
    let (mut proxy, folder) = start();
    let target = format!("target={}", echo_server());
    let (status, opened) = ctl(
        folder.path(),
        &["open", "id=db", "listen=127.0.0.1:0", &target],
    );
    assert_eq!(status, Some(0), "{opened}");
    let opened: Value = serde_json::from_str(&opened).unwrap();
    assert_eq!(
        ctl(folder.path(), &["wait", "until=target", "timeout=10s"]).0,
        Some(0)
    );

    let waiting = {
        let folder = folder.path().to_owned();
        std::thread::spawn(move || ctl(&folder, &["wait", "until=connections", "count:=2"]))
    };
    let mut clients = [(); 2].map(|()| connect(address(&opened["routes"][0])));
    clients.iter_mut().for_each(assert_echoes);
    assert_eq!(waiting.join().unwrap().0, Some(0));

    let (status, told) = ctl(folder.path(), &["wait", "until=idle", "timeout=0"]);
    assert_eq!(status, Some(124));
    assert!(
        told.contains("route `db`: 2 connections are open"),
        "{told}"
    );
    drop(clients);
    assert_eq!(ctl(folder.path(), &["wait", "until=idle"]).0, Some(0));
    let (status, closed) = ctl(folder.path(), &["close", "ids=db"]);
    assert_eq!(status, Some(0), "{closed}");
    assert!(closed.contains(r#""closed":["db"]"#), "{closed}");

    assert_eq!(ctl(folder.path(), &["shutdown"]).0, Some(0));
    assert_eq!(proxy.child.wait().unwrap().code(), Some(0));
}

#[test]
fn waiting_in_vain_says_for_what_and_exits_with_124() {
    let (_proxy, folder) = start();
    let route = ["open", "id=db", "listen=127.0.0.1:0", "target=127.0.0.1:1"];
    assert_eq!(ctl(folder.path(), &route).0, Some(0));
    let (status, told) = ctl(folder.path(), &["wait", "until=target", "timeout=50ms"]);
    assert_eq!(status, Some(124));
    assert!(told.contains("waited 50ms in vain"), "{told}");
    assert!(told.contains("cannot connect to 127.0.0.1:1"), "{told}");
}

#[test]
fn a_question_that_makes_no_sense_exits_with_2_and_names_the_mistake() {
    let (_proxy, folder) = start();
    for (words, named) in [
        (&["frobnicate"][..], "frobnicate"),
        (&["wait", "until=dinner"], "dinner"),
        (&["wait", "until=idle", "count:=2"], "`count`"),
        (&["close", "ids:=7"], "a text or a list of them"),
        (&["list", "all"], "NAME=TEXT"),
    ] {
        let (status, told) = ctl(folder.path(), words);
        assert_eq!(status, Some(2), "{told}");
        assert!(told.contains(named), "{told}");
    }
    let (status, told) = ctl(folder.path(), &["wait", "until=idle", "ids:=[\"ghost\"]"]);
    assert_eq!(status, Some(1));
    assert!(told.contains("`ghost`"), "{told}");
}

#[test]
fn the_help_of_ctl_says_how_it_is_called() {
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_monday-tcpproxy"))
        .args(["ctl", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(ended.stdout).unwrap();
    assert!(
        help.contains("Usage: monday-tcpproxy ctl SOCKET METHOD"),
        "{help}"
    );
    assert!(help.lines().all(|line| line.len() <= 100), "{help}");
}
