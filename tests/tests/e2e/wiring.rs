//! A project from its YAML to an answer: names, addresses, environments, output.

use std::net::SocketAddr;

use monday_tests::namespace::Privacy;
use monday_tests::port::free_port;
use monday_tests::process::Process;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;
use monday_tests::{http, needs_mount_namespace, needs_programs};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::project::{self, await_line, command, is_line, named, start, status};
use crate::shop::{api_address, shop};

#[test]
fn a_name_leads_through_the_proxy_to_the_service() {
    needs_programs!("curl");
    needs_mount_namespace!();
    let world = World::new().with(Privacy::Hosts);
    let (yaml, port) = shop(&world);
    let (mut process, ready) = start(&world, &yaml);
    assert_eq!(ready["names"], true);
    await_line(&mut process, "back", "listening");
    let url = format!("http://{}:{port}/", world.host("api"));
    let answer = world
        .run("curl", ["-sS", "--max-time", "20", &url])
        .expect_code(0);
    assert_eq!(answer.stdout.trim_end(), "hello from back");
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait(), 130);
    world.assert_hosts_untouched();
}

#[test]
fn where_the_hosts_file_cannot_be_written_addresses_do_the_work() {
    let mut world = World::ordinary();
    world.lock_hosts();
    let (yaml, _) = shop(&world);
    let (mut process, ready) = start(&world, &yaml);
    assert_eq!(ready["names"], false);
    await_line(&mut process, "back", "listening");
    assert_eq!(http::get(api_address(&ready)).unwrap(), "hello from back");
    process.signal(Signal::SIGTERM);
    let finished = process.finish_open().expect_code(143);
    let notices: Vec<&str> = finished
        .stdout
        .lines()
        .filter(|line| line.contains("\"notice\"") && line.contains("see its host names"))
        .collect();
    assert_eq!(notices.len(), 1, "it is told once: {}", finished.stdout);
    world.assert_hosts_untouched();
}

#[test]
fn apps_and_command_find_every_address_in_their_environment() {
    let world = World::new();
    let (first, second) = (free_port(), free_port());
    let yaml = format!(
        "\
projects:
  - name: shop
    local:
      - name: user-api
        hostname: {user}
        run: {{command: env | grep -E '^MONDAY_(ADDR|HOST|PORT)_' | sort; exec sleep 1000}}
      - name: plain
        run:
          command: echo \"word is $WORD\"; exec sleep 1000
          env: {{WORD: sugar}}
    forward:
      - name: db.main
        type: proxy
        values:
          hostname: {db}
          proxy_hostname: 127.0.0.1
          ports: ['{first}:1', '{second}:2']
",
        user = world.host("user"),
        db = world.host("db"),
    );
    let (mut process, ready) = start(&world, &yaml);
    let user = named(&ready["apps"], "user-api")["ip"].as_str().unwrap();
    let db = named(&ready["forwards"], "db.main");
    let db_at = |at: usize| db["routes"][at]["listen"].as_str().unwrap();
    let host = db_at(0).split(':').next().unwrap();
    let expected = [
        format!("MONDAY_ADDR_DB_MAIN={}", db_at(0)),
        format!("MONDAY_ADDR_DB_MAIN_{first}={}", db_at(0)),
        format!("MONDAY_ADDR_DB_MAIN_{second}={}", db_at(1)),
        format!("MONDAY_HOST_DB_MAIN={host}"),
        format!("MONDAY_HOST_USER_API={user}"),
        format!("MONDAY_PORT_DB_MAIN={first}"),
    ];
    // The lines may come in several events.
    let mut found: Vec<String> = Vec::new();
    while found.len() < expected.len() {
        let event =
            process.event_where("output of user-api", |e| is_line(e, "user-api", "MONDAY_"));
        found.extend(project::lines_of(&event).map(str::to_owned));
    }
    assert_eq!(found, expected);
    let log = status(&world, "shop");
    assert_eq!(log["project"], "shop");
    drop(process);
    world.assert_no_survivors(PATIENCE);

    let config = world.path("config/shop.yaml");
    let mut with_command = command(&world, "shop", &config);
    with_command.args([
        "--",
        "sh",
        "-c",
        "env | grep -E '^MONDAY_(ADDR|HOST|PORT)_' | sort",
    ]);
    let finished = Process::start(with_command).finish().expect_code(0);
    let found: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(
        found, expected,
        "the same as before, and a name keeps its address"
    );
}

#[test]
fn the_ready_line_is_the_first_and_tells_what_listens_where() {
    let world = World::new();
    let (yaml, port) = shop(&world);
    let (_process, ready) = start(&world, &yaml);
    assert_eq!(ready["project"], "shop");
    assert_eq!(api_address(&ready).port(), port);
    assert_eq!(named(&ready["apps"], "back")["phase"], "running");
    let hosts = world.hosts();
    for name in ["back", "api"] {
        assert!(hosts.contains(&world.host(name)), "{hosts}");
    }
}

#[test]
fn for_people_each_line_has_the_name_of_its_app_before_it() {
    let world = World::new();
    let config = world.configure(
        "projects: [{name: shop, local: [{name: api, run: {command: echo one; echo two >&2; exec sleep 1000}}, {name: worker, run: {command: echo three}}]}]\n",
    );
    let mut command = world.command("monday-supervisor");
    command
        .arg("shop")
        .arg("--config")
        .arg(config)
        .arg("--hosts-file")
        .arg(world.hosts_file());
    let mut process = Process::start(command);
    let mut expected = vec![
        "api    | one",
        "api    | two",
        "worker | three",
        "monday | shop is up",
    ];
    while !expected.is_empty() {
        let line = process.next_line();
        expected.retain(|wanted| *wanted != line);
    }
    process.signal(Signal::SIGINT);
    process.line_with("stopping: interrupted");
    assert_eq!(process.wait(), 130);
}

#[test]
fn two_forwards_with_one_host_name_share_its_address() {
    let world = World::new();
    let (first, second) = (free_port(), free_port());
    let db = world.host("db");
    let target = http::serve("hello from far");
    let forward = |name: &str, port: u16| {
        format!(
            "{{name: {name}, type: proxy, values: {{hostname: {db}, proxy_hostname: 127.0.0.1, ports: ['{port}:{}']}}}}",
            target.port()
        )
    };
    let yaml = format!(
        "projects: [{{name: shop, forward: [{}, {}]}}]\n",
        forward("api", first),
        forward("other", second)
    );
    let (_process, ready) = start(&world, &yaml);
    let other: SocketAddr = named(&ready["forwards"], "other")["routes"][0]["listen"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let api = api_address(&ready);
    assert_eq!(
        (api.ip(), api.port(), other.port()),
        (other.ip(), first, second)
    );
    for address in [api, other] {
        assert_eq!(http::get(address).unwrap(), "hello from far");
    }
}

#[test]
fn several_files_and_shared_anchors_are_one_configuration() {
    let world = World::new();
    world.write(
        "config/monday.yaml",
        "<: &api\n  name: api\n  run: {command: echo from anchor; exec sleep 1000}\n",
    );
    world.write(
        "config/monday.shop.yaml",
        "projects:\n  - name: shop\n    local: [*api]\n",
    );
    let mut process = Process::start(command(&world, "shop", &world.config()));
    process.ready();
    await_line(&mut process, "api", "from anchor");
}

#[test]
fn a_project_that_is_named_like_a_command_needs_run() {
    let world = World::new();
    let config = world.configure(
        "projects: [{name: run, local: [{name: api, run: {command: echo up; exec sleep 1000}}]}]\n",
    );
    let mut process = Process::start(command(&world, "run", &config));
    process.ready();
    await_line(&mut process, "api", "up");
}

#[test]
fn no_output_is_lost_on_its_way_through_the_supervisor() {
    let world = World::new();
    let yaml = "projects: [{name: shop, local: [{name: talker, run: {command: seq 1 100000; echo the end; exec sleep 1000}}]}]\n";
    let (mut process, _) = start(&world, yaml);
    await_line(&mut process, "talker", "the end");
    process.signal(Signal::SIGTERM);
    let finished = process.finish_open().expect_code(143);
    let mut next = 1;
    for line in finished.stdout.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_ne!(event["event"], "lagged");
        for text in project::lines_of(&event).filter(|text| *text != "the end") {
            assert_eq!(text, next.to_string());
            next += 1;
        }
    }
    assert_eq!(next, 100_001);
}

#[test]
fn fifty_apps_start_and_stop() {
    let world = World::new();
    let apps: Vec<String> = (0..50)
        .map(|n| format!("{{name: app{n}, run: {{command: echo up; exec sleep 1000}}}}"))
        .collect();
    let yaml = format!("projects: [{{name: shop, local: [{}]}}]\n", apps.join(", "));
    let (mut process, ready) = start(&world, &yaml);
    assert_eq!(ready["apps"].as_array().unwrap().len(), 50);
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait(), 130);
    assert!(world.survivors().is_empty(), "{:?}", world.survivors());
    assert_eq!(world.runtime_files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn that_an_app_runs_is_told_before_its_first_line_is() {
    let world = World::new();
    let apps: Vec<String> = (0..20)
        .map(|n| format!("{{name: app{n}, run: {{command: echo up; exec sleep 1000}}}}"))
        .collect();
    let yaml = format!("projects: [{{name: shop, local: [{}]}}]\n", apps.join(", "));
    let (mut process, _) = start(&world, &yaml);
    let mut running = Vec::new();
    for _ in 0..40 {
        let event = process.event_where("an app's state or line", |event| {
            event["phase"] == "running" || event["event"] == "output"
        });
        if event["event"] == "output" {
            assert!(running.contains(&event["app"]), "{event}");
        } else {
            running.push(event["name"].clone());
        }
    }
    assert_eq!(running.len(), 20);
}
