//! Routes from a file, as the executable takes them.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{Executable, assert_echoes, command, connect, echo_server};

#[test]
fn a_file_has_routes_beside_those_of_the_command_line_and_flags_add_faults_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.yaml");
    let target = echo_server();
    fs::write(
        &file,
        format!("routes:\n- id: slow\n  listen: 127.0.0.1:0\n  target: '{target}'\n"),
    )
    .unwrap();
    let proxy = Executable::start(&[
        "--routes",
        file.to_str().unwrap(),
        "--fault",
        "slow:latency=200ms,direction=down",
        &format!("fast@0={target}"),
    ]);
    let [fast, slow] = proxy.routes[..] else {
        panic!("{}", proxy.ready_line);
    };
    assert_echoes(&mut connect(fast));
    let begin = Instant::now();
    assert_echoes(&mut connect(slow));
    assert!(begin.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_mistake_in_the_file_exits_with_2_and_is_named_with_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let route = |more: &str| format!("routes:\n- id: db\n  listen: 0\n  target: x:1\n{more}");
    for (text, fault, named) in [
        (
            route("  conect_wait: 5s\n"),
            "",
            "r.yaml:5:3: routes[0]: unknown field `conect_wait`",
        ),
        (
            route("  faults: [{stall: true}, {jitter: 1s, stall: true}]\n"),
            "",
            "`jitter` goes with `latency`",
        ),
        (
            route("- {id: db, listen: 0, target: x:1}\n"),
            "",
            "`db` and `db` would both be MONDAY_ADDR_DB",
        ),
        ("routes: [\n".to_owned(), "", "r.yaml:2:1: "),
        ("route: []\n".to_owned(), "", "r.yaml:1:1: "),
        (String::new(), "", "r.yaml"),
        (route(""), "cache:stall", "there is no route `cache`"),
    ] {
        let file = folder.path().join("r.yaml");
        fs::write(&file, &text).unwrap();
        let mut started = command();
        started.arg("--routes").arg(&file);
        if !fault.is_empty() {
            started.args(["--fault", fault]);
        }
        let ended = started.output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{text}: {told}");
        assert!(told.contains(named), "{text}: {told}");
        assert!(ended.stdout.is_empty(), "nothing was opened");
    }
    let ended = command()
        .args(["--routes", "/no/such/routes.yaml"])
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(
        String::from_utf8(ended.stderr)
            .unwrap()
            .contains("/no/such/routes.yaml")
    );
}
