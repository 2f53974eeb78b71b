//! As root for a user who called through sudo or doas: names come and go, and everything belongs to whom it should.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;

use monday_shared::handover::socket_beside;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::realm::{CALLER, ORIGINAL, OTHER, Realm, says_hello, text};

#[test]
fn names_come_and_go_and_what_is_made_belongs_to_whom_it_should() {
    let Some(realm) =
        Realm::enter("served::names_come_and_go_and_what_is_made_belongs_to_whom_it_should")
    else {
        return;
    };
    let socket = CALLER.folder().join("s");
    let before = fs::metadata("/etc/hosts").unwrap();
    let (running, mut client) = realm.serve(CALLER, &socket);
    let assigned = client.result("assign", &json!({"name": "api.local"}));
    assert_eq!(assigned["hosts"]["state"], "written", "{assigned}");
    assert_eq!(assigned["names"][0]["resolves"], true);
    // A new file took the old one's place, with everything of the old one.
    let after = fs::metadata("/etc/hosts").unwrap();
    assert_ne!(after.ino(), before.ino());
    assert_eq!(
        (after.uid(), after.gid(), after.mode()),
        (0, 0, before.mode())
    );
    for path in [socket.clone(), socket_beside(&socket)] {
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(
            (meta.uid(), meta.gid(), meta.mode() & 0o777),
            (65_534, 65_534, 0o600)
        );
    }
    let leases = CALLER.folder().join("monday/.ipalias");
    for entry in fs::read_dir(&leases).unwrap() {
        let meta = entry.unwrap().metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (65_534, 65_534));
    }
    client.result("shutdown", &json!({}));
    assert!(running.wait().success());
    assert_eq!(realm.hosts(), ORIGINAL);
    assert_eq!(fs::read_dir(leases).unwrap().count(), 0);
    let left: Vec<_> = fs::read_dir(CALLER.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["monday"], "no socket and no lock is left");
}

#[test]
fn the_caller_may_stop_it_and_the_next_start_cleans_up() {
    let Some(realm) = Realm::enter("served::the_caller_may_stop_it_and_the_next_start_cleans_up")
    else {
        return;
    };
    let socket = CALLER.folder().join("s");
    let (running, mut client) = realm.serve(CALLER, &socket);
    let ip = client.result("assign", &json!({"name": "api.local"}))["names"][0]["ip"].clone();
    let kill = |user: crate::realm::User| {
        let pid = running.pid().to_string();
        user.command(&["kill", "-KILL", &pid])
            .stderr(Stdio::null())
            .status()
            .unwrap()
    };
    assert!(!kill(OTHER).success());
    assert!(kill(CALLER).success());
    running.wait();
    assert_ne!(realm.hosts(), ORIGINAL);
    let (running, mut client) = realm.serve(CALLER, &socket);
    assert_eq!(realm.hosts(), ORIGINAL);
    let again = client.result("assign", &json!({"name": "api.local"}));
    assert_eq!(again["names"][0]["ip"], ip);
    assert_eq!(running.end_by(Signal::SIGTERM).code(), Some(143));
    assert_eq!(realm.hosts(), ORIGINAL);
}

#[test]
fn two_users_share_nothing_but_the_file() {
    let Some(realm) = Realm::enter("served::two_users_share_nothing_but_the_file") else {
        return;
    };
    let (one_socket, two_socket) = (CALLER.folder().join("s"), OTHER.folder().join("s"));
    let (one, mut of_one) = realm.serve(CALLER, &one_socket);
    let (two, mut of_two) = realm.serve(OTHER, &two_socket);
    let first = of_one.result(
        "assign",
        &json!({"names": [{"name": "a.local"}, {"name": "shared.local"}]}),
    );
    let second = of_two.result(
        "assign",
        &json!({"names": [{"name": "b.local"}, {"name": "shared.local"}]}),
    );
    // One name leads to one place, whosever it is.
    assert_eq!(first["names"][1]["ip"], second["names"][1]["ip"]);
    assert!(!says_hello(OTHER.uid, &one_socket) && !says_hello(CALLER.uid, &two_socket));
    assert_eq!(
        of_one.result("list", &json!({}))["names"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let none = of_two.result("release", &json!({"names": ["a.local"]}));
    assert_eq!(none["released"], json!([]));
    // An end in order and a kill with `clean` of the other user: each takes back its own.
    one.end();
    let now = text(&realm.hosts());
    assert!(!now.contains("a.local") && now.contains("b.local") && now.contains("shared.local"));
    let output = realm.served(CALLER, &["clean"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&realm.hosts()), now, "the other one lives");
    two.end();
    assert_eq!(realm.hosts(), ORIGINAL);
}

#[test]
fn the_callers_processes_are_named_where_they_hold_a_port() {
    let Some(realm) =
        Realm::enter("served::the_callers_processes_are_named_where_they_hold_a_port")
    else {
        return;
    };
    let (running, mut client) = realm.serve(CALLER, &CALLER.folder().join("s"));
    let mut holder = CALLER
        .command(&["nc", "-v", "-l", "-s", "0.0.0.0", "-p", "18080"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It says when it listens.
    let mut said = [0; 1];
    holder
        .stderr
        .as_mut()
        .unwrap()
        .read_exact(&mut said)
        .unwrap();
    let wish = json!({"name": "api.local", "ports": [18_080]});
    let note = client.result("assign", &wish)["names"][0]["note"].clone();
    let note = note.as_str().unwrap();
    assert!(note.contains(&format!("pid {}", holder.id())), "{note}");
    assert!(note.contains("every address"), "{note}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    running.end();
}
