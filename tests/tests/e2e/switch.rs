//! `switch`: between the app here and the forward to one elsewhere, under a loop of requests.

use std::time::Duration;

use monday_tests::namespace::Privacy;
use monday_tests::port::free_port;
use monday_tests::process::Process;
use monday_tests::wait::{Deadline, PATIENCE};
use monday_tests::world::World;
use monday_tests::{needs_mount_namespace, needs_programs};

use crate::project::{await_line, named, start, status};

/// An app and a forward of one name, on one port of one host name; what is elsewhere is another app here.
fn yaml(world: &World, port: u16) -> String {
    let elsewhere = free_port();
    format!(
        "\
projects:
  - name: shop
    local:
      - {{name: elsewhere, run: {{command: exec monday-fixture http 127.0.0.1:{elsewhere} forwarded}}}}
      - {{name: api, hostname: {host}, run: {{command: 'exec monday-fixture http $MONDAY_HOST_API:{port} local'}}, ready: {{exec: 'curl -sf http://$MONDAY_HOST_API:{port}/', interval: 50ms}}}}
    forward:
      - {{name: api, type: proxy, values: {{hostname: {host}, proxy_hostname: 127.0.0.1, ports: ['{port}:{elsewhere}']}}}}
",
        host = world.host("api"),
    )
}

#[test]
fn under_a_loop_of_requests_none_is_refused_in_either_direction() {
    needs_programs!("curl");
    needs_mount_namespace!();
    let world = World::new().with(Privacy::Hosts);
    let port = free_port();
    let (mut project, ready) = start(&world, &yaml(&world, port));
    await_line(&mut project, "elsewhere", "listening");
    assert!(ready["forwards"].as_array().unwrap().is_empty());
    let wait = world.run("monday-supervisor", ["wait", "--timeout", "60s"]);
    let _ = wait.expect_code(0);
    let url = format!("http://{}:{port}/", world.host("api"));
    // Each request is a process of its own: it looks the name up, connects and reads the answer.
    let script = format!(
        "while [ ! -e {stop} ]; do curl -sS --max-time 20 {url} >> {answers} 2>> {failures} || echo failed >> {failures}; echo >> {answers}; done",
        stop = world.path("stop").display(),
        answers = world.path("answers").display(),
        failures = world.path("failures").display(),
    );
    let requests = {
        let mut command = world.command_beside(&project, "sh");
        command.args(["-c", &script]);
        Process::start(command)
    };
    let answers = || std::fs::read_to_string(world.path("answers")).unwrap_or_default();
    let until_last = |word: &str| {
        let deadline = Deadline::patient();
        while answers().lines().rfind(|line| !line.is_empty()) != Some(word) {
            assert!(!deadline.passed(), "no `{word}`: {}", answers());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until_last("local");
    let told = world
        .run("monday-supervisor", ["switch", "api", "forward"])
        .expect_code(0);
    assert!(told.stdout.contains("api"), "{}", told.stdout);
    until_last("forwarded");
    project.event_where("the end of the old side", |event| {
        event["event"] == "notice" && event["message"].as_str().unwrap().contains("has ended")
    });
    let now = status(&world, "shop");
    assert!(
        now["apps"]
            .as_array()
            .unwrap()
            .iter()
            .all(|app| app["name"] != "api")
    );
    assert_eq!(named(&now["forwards"], "api")["kind"], "proxy");
    let _ = world
        .run("monday-supervisor", ["switch", "shop", "api", "local"])
        .expect_code(0);
    until_last("local");
    std::fs::write(world.path("stop"), "").unwrap();
    let _ = requests.finish();
    let failures = std::fs::read_to_string(world.path("failures")).unwrap_or_default();
    assert_eq!(failures, "", "requests failed");
    assert!(answers().lines().count() > 20);
    drop(project);
    world.assert_no_survivors(PATIENCE);
}

#[test]
fn a_side_that_does_not_become_ready_changes_nothing() {
    let world = World::new();
    let port = free_port();
    let yaml = format!(
        "projects: [{{name: shop, local: [{{name: api, run: {{command: 'exit 3'}}, ready: {{exec: 'false'}}}}], forward: [{{name: api, type: proxy, values: {{hostname: {}, proxy_hostname: 127.0.0.1, ports: ['{port}:1']}}}}]}}]\n",
        world.host("api")
    );
    let config = world.file("config/shop.yaml", &yaml);
    let mut command = crate::project::command(&world, "shop", &config);
    command.args(["--forward", "api"]);
    let mut project = Process::start(command);
    let ready = project.ready();
    let listens = named(&ready["forwards"], "api")["routes"][0]["listen"].clone();
    let refused = world
        .run("monday-supervisor", ["switch", "api", "local"])
        .expect_code(1);
    assert!(
        refused.stderr.contains("nothing was changed"),
        "{}",
        refused.stderr
    );
    let after = status(&world, "shop");
    assert_eq!(
        named(&after["forwards"], "api")["routes"][0]["listen"],
        listens
    );
    assert!(std::net::TcpStream::connect(listens.as_str().unwrap()).is_ok());
    let wrong = world
        .run("monday-supervisor", ["switch", "ipa", "local"])
        .expect_code(1);
    assert!(
        wrong.stderr.contains("did you mean `api`?"),
        "{}",
        wrong.stderr
    );
    let _ = world
        .run("monday-supervisor", ["switch", "api"])
        .expect_code(2);
}
