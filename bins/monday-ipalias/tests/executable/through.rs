//! Through the real sudo and doas, as an ordinary user would start it, with lines of their configuration that allow this
//! one program and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::control::Client;
use crate::place::{Place, Running};
use crate::realm::{CALLER, HELPER, ORIGINAL, OTHER, Realm, has, pid_behind, refused, status_of};

/// Lets the caller run the helper as root, in the words that `setup --print` gives.
fn allow(realm: &Realm) {
    let output = CALLER
        .command(&[HELPER, "setup", "--print", "--output", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines: Value = serde_json::from_slice(&output.stdout).unwrap();
    let line = |key: &str| format!("{}\n", lines[key].as_str().unwrap());
    assert!(line("sudoers").starts_with(CALLER.name), "{lines}");
    for (file, text, mode) in [
        ("/etc/sudoers.d/monday", line("sudoers"), 0o440),
        ("/etc/doas.conf", line("doas"), 0o600),
    ] {
        fs::create_dir_all("/etc/sudoers.d").unwrap();
        fs::write(file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }
    assert_eq!(realm.hosts(), ORIGINAL, "printing changes nothing");
}

/// How the supervisor starts it.
fn through(tool: &[&str], socket: &str) -> Running {
    let words = [
        tool,
        &[
            HELPER,
            "--control",
            socket,
            "--output",
            "json",
            "--lifeline",
        ],
    ]
    .concat();
    let mut command = CALLER.command(&words);
    command.stdin(Stdio::piped());
    Running::start(command)
}

fn serves_the_caller(realm: &Realm, tool: &[&str]) {
    allow(realm);
    let socket: PathBuf = CALLER.folder().join("s");
    let mut running = through(tool, socket.to_str().unwrap());
    let mut client = Client::connect(&socket);
    let names = client.result("assign", &json!({"name": "api.local"}));
    assert_eq!(names["names"][0]["resolves"], true, "{names}");
    let pid = pid_behind(&mut client);
    assert_eq!(status_of(pid, "Uid"), ["0", "0", "65534", "0"]);
    assert_eq!(status_of(pid, "CapEff"), ["0000000000000400"]);
    // A second one of the same user hears who has the port, and who started that.
    let second = CALLER.folder().join("t");
    let other = through(tool, second.to_str().unwrap());
    let wish = json!({"name": "api.local", "ports": [18_081]});
    client.result("assign", &json!({"name": "db.local", "ports": [18_081]}));
    client.result("release", &json!({"names": ["api.local"]}));
    client.result("assign", &wish);
    let error = Client::connect(&second).error("assign", &wish);
    assert_eq!(error["data"]["kind"], "conflict", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(
        !message.contains("`sudo") && !message.contains("`doas"),
        "{message}"
    );
    other.kill();
    // The end of the lifeline reaches it, and it cleans up.
    drop(running.stdin());
    assert!(running.wait().success());
    assert!(!socket.exists());
    // What was killed above was the tool, or the helper; `clean` puts the rest right.
    let words = [tool, &[HELPER, "clean"]].concat();
    let cleaned = CALLER.command(&words).output().unwrap();
    assert!(cleaned.status.success(), "{cleaned:?}");
    assert_eq!(realm.hosts(), ORIGINAL);
}

#[test]
fn through_sudo_it_serves_its_caller_and_ends_with_the_lifeline() {
    let test = "through::through_sudo_it_serves_its_caller_and_ends_with_the_lifeline";
    if !has("sudo") {
        return;
    }
    if let Some(realm) = Realm::enter(test) {
        serves_the_caller(&realm, &["sudo", "-n", "--"]);
    }
}

#[test]
fn through_doas_it_serves_its_caller_and_ends_with_the_lifeline() {
    let test = "through::through_doas_it_serves_its_caller_and_ends_with_the_lifeline";
    if !has("doas") {
        return;
    }
    if let Some(realm) = Realm::enter(test) {
        serves_the_caller(&realm, &["doas", "-n", "--"]);
    }
}

#[test]
fn the_lines_that_setup_prints_allow_one_user_one_program() {
    let test = "through::the_lines_that_setup_prints_allow_one_user_one_program";
    if !has("sudo") || !has("doas") {
        return;
    }
    let Some(realm) = Realm::enter(test) else {
        return;
    };
    allow(&realm);
    let checked = Command::new("visudo").arg("--check").output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    for tool in ["sudo", "doas"] {
        let allowed = |user: crate::realm::User, words: &[&str]| {
            let words = [&[tool, "-n", "--"], words].concat();
            user.command(&words).output().unwrap().status.success()
        };
        assert!(allowed(CALLER, &[HELPER, "list"]));
        assert!(!allowed(CALLER, &["id"]));
        assert!(!allowed(CALLER, &["cat", "/etc/shadow"]));
        assert!(!allowed(OTHER, &[HELPER, "list"]));
        // Being root is of no use for anything else.
        assert!(!allowed(CALLER, &[HELPER, "a.local", "--", "id"]));
        assert!(!allowed(
            CALLER,
            &[HELPER, "--hosts-file", "/etc/shadow", "list"]
        ));
        // Nor is a variable of the other tool, should it get through.
        let spoofed = [
            tool,
            "-n",
            "--",
            HELPER,
            "--hosts-file",
            "/etc/shadow",
            "list",
        ];
        let output = CALLER
            .command(&spoofed)
            .env("SUDO_UID", "0")
            .env("SUDO_GID", "0")
            .env("DOAS_USER", "root")
            .output()
            .unwrap();
        assert!(!output.status.success(), "{output:?}");
    }
    // Even where doas was told to keep the environment, a group that is not the caller's cannot be had.
    let line = format!(
        "permit nopass keepenv {} as root cmd {HELPER}\n",
        CALLER.name
    );
    fs::write("/etc/doas.conf", line).unwrap();
    let list = |gid: &str| {
        let mut command = CALLER.command(&["doas", "-n", "--", HELPER, "list"]);
        command
            .env("SUDO_UID", CALLER.uid.to_string())
            .env("SUDO_GID", gid);
        command.output().unwrap()
    };
    assert!(list(&CALLER.uid.to_string()).status.success());
    refused(&list("0"), 1, "SUDO_UID says uid 65534 with group 0");
}

#[test]
fn names_are_taken_over_from_the_go_tool_and_given_again_at_once() {
    let place = Place::new(b"127.0.0.1 localhost\n127.0.1.2 api.svc.local\n");
    let running = place.start(&["api.svc.local"]);
    let note = running.ready["names"][0]["note"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(running.ready["names"][0]["resolves"], false);
    // The note says the command; it is run as it stands there.
    let command = note.split('`').nth(1).unwrap();
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let mut adopt = Command::new(env!("CARGO_BIN_EXE_monday-ipalias"));
    adopt.args(words).env("XDG_RUNTIME_DIR", place.runtime());
    let output = adopt.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let event = running.next_event();
    assert_eq!(event["event"], "rewritten", "{event}");
    let now = String::from_utf8(place.content()).unwrap();
    assert!(
        !now.contains("127.0.1.2") && now.contains("127.77."),
        "{now}"
    );
    running.end();
    assert_eq!(place.content(), b"127.0.0.1 localhost\n");
}
