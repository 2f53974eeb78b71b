//! The executable alone: names, COMMAND, `list`, `clean`, and how it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::namespace;
use crate::place::{Place, Running};

const ORIGINAL: &[u8] = b"127.0.0.1 localhost\r\n# no end";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}

#[test]
fn a_command_finds_the_addresses_and_its_status_is_the_exit_status() {
    let place = Place::new(ORIGINAL);
    let script = "echo $MONDAY_HOST_API_SVC_LOCAL; cat \"$0\"; exit 7";
    let hosts = place.hosts.to_str().unwrap();
    let output = place.output(&["api.svc.local", "db.local", "--", "sh", "-c", script, hosts]);
    assert_eq!(output.status.code(), Some(7));
    let printed = text(&output.stdout);
    let ip = printed.lines().next().unwrap();
    assert!(ip.starts_with("127.77."), "{printed}");
    assert!(
        printed.contains(&format!("{ip}\tapi.svc.local\r\n")),
        "{printed}"
    );
    assert_eq!(text(&output.stderr), "");
    assert_eq!(place.content(), ORIGINAL);
}

#[test]
fn names_resolve_for_programs_that_ask_the_system() {
    if !namespace::enter("alone::names_resolve_for_programs_that_ask_the_system") {
        return;
    }
    let mut place = Place::new(b"127.0.0.1 localhost\n");
    namespace::mount(&["--bind", place.hosts.to_str().unwrap(), "/etc/hosts"]);
    place.hosts = "/etc/hosts".into();
    let script =
        "set -- $(getent ahostsv4 api.svc.local) && test \"$1\" = \"$MONDAY_HOST_API_SVC_LOCAL\"";
    let output = place.output(&["api.svc.local", "--", "sh", "-c", script]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.content(), b"127.0.0.1 localhost\n");
}

#[test]
fn every_ending_leaves_the_file_as_it_was() {
    for (signal, status) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
    ] {
        let place = Place::new(ORIGINAL);
        let running = place.start(&["api.local"]);
        assert_ne!(place.content(), ORIGINAL);
        assert_eq!(running.end_by(signal).code(), Some(status));
        assert_eq!(place.content(), ORIGINAL);
        let leases = place.runtime().join("monday/.ipalias");
        assert_eq!(fs::read_dir(leases).unwrap().count(), 0);
    }
}

#[test]
fn the_end_of_the_lifeline_leaves_the_file_as_it_was() {
    let place = Place::new(ORIGINAL);
    let mut command = place.command(&["--output", "json", "--lifeline", "api.local"]);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    assert_ne!(place.content(), ORIGINAL);
    drop(running.stdin());
    assert!(running.wait().success());
    assert_eq!(place.content(), ORIGINAL);
}

#[test]
fn after_a_kill_the_next_start_and_clean_leave_no_stale_line_and_the_address_stays() {
    let place = Place::new(ORIGINAL);
    let first = place.start(&["api.local"]);
    let ip = first.first_ip();
    first.kill();
    assert!(stdout(&place.output(&["list"])).contains("does not run any more"));

    let second = place.start(&["api.local"]);
    assert_eq!(second.first_ip(), ip);
    assert_eq!(text(&place.content()).matches("api.local").count(), 1);
    second.kill();

    let preview = stdout(&place.output(&["clean", "--dry-run", "--output", "json"]));
    let preview: Value = serde_json::from_str(&preview).unwrap();
    assert_eq!(preview["names"][0]["name"], "api.local");
    assert_ne!(place.content(), ORIGINAL);
    assert!(stdout(&place.output(&["clean"])).contains("api.local"));
    assert_eq!(place.content(), ORIGINAL);
    assert_eq!(stdout(&place.output(&["list"])), "nothing\n");
}

#[test]
fn clean_leaves_the_living_alone() {
    let place = Place::new(ORIGINAL);
    let living = place.start(&["living.local"]);
    place.start(&["dead.local"]).kill();
    stdout(&place.output(&["clean"]));
    let now = text(&place.content());
    assert!(
        now.contains("living.local") && !now.contains("dead.local"),
        "{now}"
    );
    living.end();
    assert_eq!(place.content(), ORIGINAL);
}

#[test]
fn two_at_once_share_the_file_and_each_takes_back_its_own() {
    let place = Place::new(ORIGINAL);
    let (one, two) = (
        place.start(&["a.local", "shared.local"]),
        place.start(&["shared.local", "b.local"]),
    );
    assert_eq!(one.ready["names"][1]["ip"], two.ready["names"][0]["ip"]);
    let listed: Value =
        serde_json::from_str(&stdout(&place.output(&["list", "--output", "json"]))).unwrap();
    assert_eq!(listed["names"].as_array().unwrap().len(), 4);
    one.end();
    let now = text(&place.content());
    assert!(!now.contains("a.local") && now.contains("shared.local") && now.contains("b.local"));
    two.end();
    assert_eq!(place.content(), ORIGINAL);
}

#[test]
fn a_dry_run_prints_the_lines_and_writes_none() {
    let place = Place::new(ORIGINAL);
    let printed = stdout(&place.output(&["--dry-run", "api.local"]));
    let added: Vec<&str> = printed.lines().collect();
    assert_eq!(added.len(), 3, "{printed}");
    assert!(added[1].starts_with("+127.77.") && added[1].ends_with("\tapi.local"));
    assert_eq!(place.content(), ORIGINAL);
}

#[test]
fn usage_errors_end_with_status_2_and_say_what_is_wrong() {
    let place = Place::new(ORIGINAL);
    for (words, said) in [
        (vec!["a b"], "' '"),
        (vec!["--range", "10.0.0.0/8", "api.local"], "127.0.0.0/8"),
        (vec![], "NAME"),
    ] {
        let output = place.output(&words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(text(&output.stderr).contains(said), "{output:?}");
    }
}

#[test]
fn a_missing_command_is_named_and_the_file_left_as_it_was() {
    let place = Place::new(ORIGINAL);
    let output = place.output(&["api.local", "--", "no-such-program"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no-such-program"));
    assert_eq!(place.content(), ORIGINAL);
}

/// The rights of an ordinary user, who may not write the file.
#[test]
fn who_may_not_write_the_file_gets_addresses_and_a_remedy() {
    let place = Place::new(b"127.0.0.1 localhost\n");
    fs::set_permissions(&place.hosts, fs::Permissions::from_mode(0o444)).unwrap();
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(place.folder.path(), open).unwrap();
    let words = [
        "api.local",
        "--output",
        "json",
        "--",
        "sh",
        "-c",
        "echo $MONDAY_HOST_API_LOCAL",
    ];
    let mut command = place.command(&words);
    if nix::unistd::geteuid().is_root() {
        // The executable may be where only root may read it.
        let program = place.folder.path().join("monday-ipalias");
        fs::copy(env!("CARGO_BIN_EXE_monday-ipalias"), &program).unwrap();
        let runtime = place.folder.path().join("of-nobody");
        fs::create_dir(&runtime).unwrap();
        std::os::unix::fs::chown(&runtime, Some(65_534), Some(65_534)).unwrap();
        let mut as_nobody = std::process::Command::new("setpriv");
        as_nobody
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(program)
            .args(command.get_args())
            .env("XDG_RUNTIME_DIR", runtime)
            .stdin(Stdio::null());
        command = as_nobody;
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let ip = text(&output.stdout);
    assert!(ip.starts_with("127.77."), "{output:?}");
    let ready: Value = serde_json::from_str(text(&output.stderr).lines().next().unwrap()).unwrap();
    assert_eq!(ready["event"], "ready");
    assert_eq!(ready["names"][0]["ip"], ip.trim());
    assert_eq!(ready["names"][0]["resolves"], false);
    assert_eq!(ready["hosts"]["state"], "unwritable");
    let reason = ready["hosts"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("Permission denied") && reason.contains("sudo"),
        "{reason}"
    );
    assert_eq!(place.content(), b"127.0.0.1 localhost\n");
}
