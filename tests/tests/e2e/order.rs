//! What waits for what: dependencies, readiness, and when a project is up.

use monday_tests::process::Process;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::project::{command, start, status};

#[test]
fn a_dependency_that_never_gets_ready_fails_its_dependents_with_the_reason() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    local:
      - name: db
        ready: {exec: 'false', interval: 20ms, retries: 3}
        run: {command: exec sleep 1000}
      - name: api
        depends_on: [db]
        run: {command: echo up; exec sleep 1000}
      - name: web
        depends_on: [api]
        run: {command: echo up; exec sleep 1000}
";
    let (mut process, _) = start(&world, yaml);
    for (app, missing) in [("api", "db"), ("web", "api")] {
        let failed = process.event_where("the failure of a dependent", |event| {
            event["event"] == "app" && event["name"] == app && event["phase"] == "failed"
        });
        let reason = failed["reason"].as_str().unwrap();
        assert!(
            reason.contains(&format!("depends on `{missing}`")),
            "{reason}"
        );
        assert!(
            reason.contains("not ready") || reason.contains("not become ready"),
            "{reason}"
        );
    }
    let up = process.event("up");
    assert_eq!(up["failed"], json!(["db", "api", "web"]));
}

#[test]
fn a_dependency_is_ready_before_its_dependent_starts_and_stops_after_it() {
    let world = World::new();
    let app = |name: &str, more: &str| {
        format!(
            "      - {{name: {name}, {more} run: {{command: \"trap 'echo {name} ends >> log; exit' TERM; echo {name} begins >> log; while :; do sleep 0.02; done\"}}}}\n"
        )
    };
    let yaml = format!(
        "projects:\n  - name: shop\n    local:\n{}{}{}",
        app("web", "depends_on: [api],"),
        app("api", "depends_on: [db],"),
        app(
            "db",
            "ready: {exec: 'sleep 0.3; echo db is ready >> log', interval: 20ms, timeout: 5s},"
        ),
    );
    let (mut process, _) = start(&world, &yaml);
    process.event("up");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    let log = std::fs::read_to_string(world.home().join("log")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(
        lines,
        [
            "db begins",
            "db is ready",
            "api begins",
            "web begins",
            "web ends",
            "api ends",
            "db ends"
        ]
    );
}

#[test]
fn command_runs_when_everything_is_ready_and_not_before() {
    let world = World::new();
    let config = world.configure(
        "\
projects:
  - name: shop
    local:
      - name: api
        ready: {exec: 'test -e go', interval: 20ms}
        run: {command: sleep 0.5; touch go; exec sleep 1000}
",
    );
    let mut with_command = command(&world, "shop", &config);
    with_command.args(["--", "sh", "-c", "test -e go && echo ready"]);
    let finished = Process::start(with_command).finish().expect_code(0);
    assert_eq!(finished.stdout, "ready\n");
}

#[test]
fn who_is_waited_for_is_said_when_it_takes_long() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    local:
      - name: db
        ready: {exec: 'test -e go', interval: 20ms}
        run: {command: exec sleep 1000}
      - name: api
        depends_on: [db]
        run: {command: echo up; exec sleep 1000}
";
    let (mut process, _) = start(&world, yaml);
    let said = process.event_where("what is waited for", |event| {
        event["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("still waiting"))
    });
    let text = said["message"].as_str().unwrap();
    assert!(
        text.contains("db: running, not ready yet") && text.contains("api: waiting for db"),
        "{text}"
    );
    world.write("home/go", "");
    assert_eq!(process.event("up"), json!({"event": "up"}));
    assert_eq!(status(&world, "shop")["apps"][1]["phase"], "running");
}

#[test]
fn whoever_has_the_port_that_an_app_wants_is_named() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let yaml = format!(
        "projects: [{{name: shop, local: [{{name: api, ready: {{tcp: '{address}'}}, run: {{command: exec monday-fixture http {address} hello}}}}]}}]\n"
    );
    let (mut process, _) = start(&world, &yaml);
    let said = process.event_where("who has the port", |event| {
        event["message"]
            .as_str()
            .is_some_and(|text| text.contains("is taken: "))
    });
    let text = said["message"].as_str().unwrap();
    assert!(
        text.contains(&format!("(pid {})", std::process::id())),
        "{text}"
    );
    assert_eq!(
        (&said["subject"], &said["level"]),
        (&json!("api"), &json!("error"))
    );
    drop(listener);
}
