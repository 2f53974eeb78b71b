//! What is left of root's power, in each way of standing.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::place::Running;
use crate::realm::{
    CALLER, HELPER, ORIGINAL, Realm, has, pid_behind, refused, run, status_of, text,
};

/// `CAP_NET_BIND_SERVICE` alone (capabilities(7)).
const BIND_LOW_PORTS: &str = "0000000000000400";

#[test]
fn one_capability_is_left_and_none_can_be_regained() {
    let Some(realm) = Realm::enter("rights::one_capability_is_left_and_none_can_be_regained")
    else {
        return;
    };
    let (running, mut client) = realm.serve(CALLER, &CALLER.folder().join("s"));
    let pid = pid_behind(&mut client);
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(status_of(pid, set), [BIND_LOW_PORTS], "{set}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(status_of(pid, set), ["0000000000000000"], "{set}");
    }
    assert_eq!(status_of(pid, "NoNewPrivs"), ["1"]);
    // Real, effective, saved, and that of files.
    assert_eq!(status_of(pid, "Uid"), ["0", "0", "65534", "0"]);
    assert_eq!(status_of(pid, "Gid"), ["0", "0", "65534", "0"]);
    assert_eq!(status_of(pid, "Groups"), Vec::<String>::new());
    assert_eq!(
        fs::read_link(format!("/proc/{pid}/cwd")).unwrap(),
        Path::new("/")
    );
    // The threads that do the work as well.
    client.result("assign", &json!({"name": "api.local"}));
    for thread in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(
            status.contains(&format!("CapEff:\t{BIND_LOW_PORTS}")),
            "{status}"
        );
    }
    running.end();
}

#[test]
fn who_called_has_to_be_clear() {
    let Some(realm) = Realm::enter("rights::who_called_has_to_be_clear") else {
        return;
    };
    for (variable, value) in [
        ("SUDO_UID", "-1"),
        ("SUDO_UID", "4294967295"),
        ("SUDO_GID", "x"),
        ("DOAS_USER", "no-such-user"),
        ("DOAS_USER", "root"),
    ] {
        let output = realm
            .served(CALLER, &["list"])
            .env(variable, value)
            .output()
            .unwrap();
        refused(&output, 1, variable);
    }
    // The set-user-ID bit is no way to become root with it.
    fs::set_permissions(HELPER, fs::Permissions::from_mode(0o4755)).unwrap();
    let output = CALLER.command(&[HELPER, "list"]).output().unwrap();
    refused(&output, 1, "set-user-ID");
}

#[test]
fn root_itself_may_name_any_file_and_keeps_what_that_takes() {
    let Some(_realm) =
        Realm::enter("rights::root_itself_may_name_any_file_and_keeps_what_that_takes")
    else {
        return;
    };
    let theirs = CALLER.folder().join("hosts");
    fs::write(&theirs, ORIGINAL).unwrap();
    std::os::unix::fs::chown(&theirs, Some(65_534), Some(65_534)).unwrap();
    let mut command = std::process::Command::new(HELPER);
    command
        .args(["--output", "json", "--hosts-file"])
        .arg(&theirs)
        .arg("api.local")
        .stdin(Stdio::null());
    let running = Running::start(command);
    assert_eq!(running.ready["hosts"]["state"], "written");
    assert_eq!(fs::metadata(&theirs).unwrap().uid(), 65_534);
    // CHOWN, DAC_OVERRIDE, FOWNER, NET_BIND_SERVICE, SYS_PTRACE.
    assert_eq!(
        status_of(running.pid().as_raw(), "CapEff"),
        ["000000000008040b"]
    );
    assert_eq!(status_of(running.pid().as_raw(), "NoNewPrivs"), ["1"]);
    running.end();
    assert_eq!(fs::read(&theirs).unwrap(), ORIGINAL);

    // Its command has root's rights, as if it had been started without us.
    let output = std::process::Command::new(HELPER)
        .args([
            "api.local",
            "--",
            "grep",
            "-E",
            "CapEff|NoNewPrivs",
            "/proc/self/status",
        ])
        .output()
        .unwrap();
    let own = status_of(std::process::id().cast_signed(), "CapEff");
    assert_eq!(
        text(&output.stdout),
        format!("CapEff:\t{}\nNoNewPrivs:\t0\n", own[0])
    );
}

#[test]
fn what_an_executables_file_gives_a_user_is_dropped_but_for_low_ports() {
    let Some(_realm) =
        Realm::enter("rights::what_an_executables_file_gives_a_user_is_dropped_but_for_low_ports")
    else {
        return;
    };
    if !has("setcap") {
        return;
    }
    run(
        "setcap",
        &["cap_dac_override,cap_net_bind_service=+ep", HELPER],
    );
    let words = [
        HELPER,
        "--output",
        "json",
        "--hosts-file",
        "/etc/precious",
        "api.local",
    ];
    fs::write("/etc/precious", "kept").unwrap();
    let mut command = CALLER.command(&words);
    command.env("XDG_RUNTIME_DIR", CALLER.folder());
    let running = Running::start(command);
    assert_eq!(running.ready["hosts"]["state"], "unwritable");
    assert_eq!(
        status_of(running.pid().as_raw(), "CapPrm"),
        [BIND_LOW_PORTS]
    );
    running.end();
    assert_eq!(fs::read("/etc/precious").unwrap(), b"kept");
}

#[test]
fn a_command_of_root_dies_with_it() {
    let Some(_realm) = Realm::enter("rights::a_command_of_root_dies_with_it") else {
        return;
    };
    let mut helper = std::process::Command::new(HELPER)
        .args(["api.local", "--", "sh", "-c", "echo up; exec sleep 1000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = helper.stdout.take().unwrap();
    let mut up = [0; 3];
    stdout.read_exact(&mut up).unwrap();
    helper.kill().unwrap();
    helper.wait().unwrap();
    // End of file: the command that held the other end is gone.
    stdout.read_to_end(&mut Vec::new()).unwrap();
}
