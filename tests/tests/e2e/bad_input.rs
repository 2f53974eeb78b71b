//! What a person gets to read when something is wrong: what was tried, on what, why it failed, what to do.

use std::net::TcpListener;

use monday_tests::port::free_port;
use monday_tests::process::{Finished, Process};
use monday_tests::world::World;
use serde_json::{Value, json};

use crate::project::{await_line, command, named, start, status};

/// Runs a project of this configuration to its end.
fn run(world: &World, project: &str, yaml: &str) -> Finished {
    let config = world.configure(yaml);
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", project, "--config"])
        .arg(config)
        .arg("--hosts-file")
        .arg(world.hosts_file());
    Process::start(command).finish()
}

fn assert_says(finished: &Finished, words: &[&str]) {
    for word in words {
        assert!(
            finished.stderr.contains(word),
            "`{word}` is not in:\n{}",
            finished.stderr
        );
    }
}

#[test]
fn an_unknown_project_is_told_with_those_that_there_are() {
    let world = World::new();
    let yaml = "projects: [{name: shop}, {name: billing}]\n";
    let finished = run(&world, "shpo", yaml).expect_code(2);
    assert_says(&finished, &["shpo", "shop", "billing"]);
    assert!(world.runtime_files().is_empty());
}

#[test]
fn no_project_is_told_with_those_that_there_are() {
    let world = World::new();
    let config = world.configure("projects: [{name: shop}, {name: billing}]\n");
    let mut command = world.command("monday-supervisor");
    command.arg("--config").arg(config);
    let finished = Process::start(command).finish().expect_code(2);
    assert_says(&finished, &["shop", "billing"]);
}

#[test]
fn no_configuration_is_told_with_how_to_make_one() {
    let world = World::new();
    let finished = world.run("monday-supervisor", ["shop"]).expect_code(2);
    // Where it was looked for, and what to do.
    assert_says(
        &finished,
        &[
            "monday.yaml",
            &world.home().display().to_string(),
            "--config",
        ],
    );
    assert_the_way_out_works(&world, &finished);
}

/// The message shows what to write, or names the command that writes it: then that has to work.
fn assert_the_way_out_works(world: &World, told: &Finished) {
    if told.stderr.contains("projects:") {
        return;
    }
    assert_says(told, &["monday-supervisor init"]);
    let _ = world.run("monday-supervisor", ["init"]).expect_code(0);
    assert!(world.home().join("monday.yaml").is_file());
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let world = World::new();
    let finished = world
        .run(
            "monday-supervisor",
            ["shop", "--config", "no/such/team.yaml"],
        )
        .expect_code(2);
    assert_says(&finished, &["no/such/team.yaml"]);
}

#[test]
fn an_empty_configuration_is_told_with_how_to_make_one() {
    let world = World::new();
    let finished = run(&world, "shop", "# nothing yet\n").expect_code(2);
    let config = world.config().join("monday.yaml");
    assert_says(&finished, &[&config.display().to_string()]);
    assert_the_way_out_works(&world, &finished);
}

#[test]
fn broken_yaml_is_told_with_file_line_column_and_excerpt() {
    let world = World::new();
    let yaml = "projects:\n  - name: shop\n    local: [{name: api\n";
    let finished = run(&world, "shop", yaml).expect_code(2);
    let config = world.config().join("monday.yaml");
    assert_says(&finished, &[&format!("{}:", config.display())]);
    let place = finished
        .stderr
        .split(&format!("{}:", config.display()))
        .nth(1)
        .unwrap();
    let mut numbers = place.split(|c: char| !c.is_ascii_digit());
    let (line, column) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!(
        line.parse::<u32>().is_ok() && column.parse::<u32>().is_ok(),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("local: [{name: api") || finished.stderr.contains("projects:"),
        "no excerpt: {}",
        finished.stderr
    );
}

#[test]
fn a_wrong_value_is_told_with_file_line_column_and_excerpt() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    forward:
      - name: db
        type: proxy
        values:
          proxy_hostname: db.example
          ports: ['many']
";
    let finished = run(&world, "shop", yaml).expect_code(2);
    let place = format!("{}:8:19", world.config().join("monday.yaml").display());
    assert_says(&finished, &[&place, "ports: ['many']", "many"]);
}

#[test]
fn the_same_problems_are_one_json_object_with_output_json() {
    let world = World::new();
    let config = world.configure("projects:\n  - name: shop\n    local: nothing of the kind\n");
    let finished = Process::start(command(&world, "shop", &config))
        .finish()
        .expect_code(2);
    let told: Value = serde_json::from_str(finished.stdout.trim_end()).unwrap();
    assert!(told["errors"].as_u64().unwrap() > 0, "{told}");
    let problem = &told["diagnostics"][0];
    assert!(
        problem["line"].is_u64() && problem["column"].is_u64() && problem["message"].is_string(),
        "{told}"
    );
    assert_eq!(problem["file"], config.display().to_string());
}

#[test]
fn with_output_json_even_warnings_are_json() {
    let world = World::new();
    let config = world.configure("projects: [{name: shop, surplus: 1}]\n");
    let mut process = Process::start(command(&world, "shop", &config));
    process.ready();
    process.signal(nix::sys::signal::Signal::SIGTERM);
    let told = process.finish_open().expect_code(143);
    let lines: Vec<Value> = told
        .stdout
        .lines()
        .chain(told.stderr.lines())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect();
    let warned = lines
        .iter()
        .any(|line| line.to_string().contains("surplus"));
    assert!(warned, "{lines:?}");
}

#[test]
fn a_project_without_a_name_is_an_error_with_its_place() {
    let world = World::new();
    let finished = run(&world, "shop", "projects:\n  - nam: shop\n").expect_code(2);
    assert_says(&finished, &["monday.yaml:2:", "name"]);
}

#[test]
fn an_alias_of_nothing_and_a_name_twice_are_errors_with_their_places() {
    let world = World::new();
    let finished = run(
        &world,
        "shop",
        "projects:\n  - name: shop\n    local: [*nothing]\n",
    )
    .expect_code(2);
    assert_says(&finished, &["nothing", "monday.yaml:3:"]);
    let twice = "projects:\n  - name: shop\n    local:\n      - {name: api, run: {command: 'true'}}\n      - {name: api, run: {command: 'true'}}\n";
    let finished = run(&world, "shop", twice).expect_code(2);
    assert_says(&finished, &["api", "monday.yaml:5:"]);
}

#[test]
fn an_unknown_key_is_a_warning_with_what_was_meant_and_the_project_runs() {
    let world = World::new();
    let config = world.configure("projects:\n  - name: shop\n    local:\n      - {name: api, hostnme: x.test, run: {command: echo up; exec sleep 1000}}\n");
    let mut process = Process::start(command(&world, "shop", &config));
    process.ready();
    let warning = process.error_line_with("hostnme");
    assert!(warning.contains("did you mean `hostname`"), "{warning}");
    await_line(&mut process, "api", "up");
}

#[test]
fn a_taken_port_is_told_with_who_holds_it_and_the_rest_goes_on() {
    let world = World::new();
    let port = free_port();
    // On every address, so that no other loopback address would help.
    let _holder = TcpListener::bind(("0.0.0.0", port)).unwrap();
    let yaml = format!(
        "\
projects:
  - name: shop
    local:
      - name: api
        run: {{command: echo up; exec sleep 1000}}
    forward:
      - name: db
        type: proxy
        values: {{hostname: {db}, proxy_hostname: 127.0.0.1, ports: ['{port}:1']}}
      - name: cache
        type: proxy
        values: {{hostname: {cache}, proxy_hostname: 127.0.0.1, ports: ['{free}:1']}}
",
        db = world.host("db"),
        cache = world.host("cache"),
        free = free_port(),
    );
    let (mut process, ready) = start(&world, &yaml);
    let error = named(&ready["forwards"], "db")["error"]
        .as_str()
        .unwrap()
        .to_owned();
    for word in [format!("pid {}", std::process::id()), port.to_string()] {
        assert!(error.contains(&word), "`{word}` is not in: {error}");
    }
    assert_eq!(named(&ready["forwards"], "cache")["error"], Value::Null);
    assert_eq!(
        named(&ready["forwards"], "cache")["routes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    await_line(&mut process, "api", "up");
}

#[test]
fn a_missing_program_is_told_and_the_rest_goes_on() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    local:
      - {name: broken, run: {command: no-such-program-at-all}}
      - {name: api, run: {command: echo up; exec sleep 1000}}
";
    let (process, _) = start(&world, yaml);
    let mut events = crate::project::control(&world, "shop");
    let subscribed = events.ask("subscribe");
    if named(&subscribed["status"]["apps"], "broken")["phase"] == "running" {
        events.event_where("the end of broken", |event| {
            event["name"] == "broken" && event["phase"] != "running"
        });
    }
    let after = status(&world, "shop");
    let broken = named(&after["apps"], "broken");
    assert_eq!(
        (&broken["phase"], &broken["exit"]),
        (&json!("exited"), &json!({"code": 127}))
    );
    assert_eq!(named(&after["apps"], "api")["phase"], "running");
    process.signal(nix::sys::signal::Signal::SIGTERM);
    let told = process.finish_open().expect_code(143);
    assert!(
        told.stdout.contains("no-such-program-at-all: not found"),
        "what the shell says is shown: {}",
        told.stdout
    );
}

#[test]
fn a_missing_folder_is_told_and_the_rest_goes_on() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    local:
      - {name: broken, path: /no/such/folder, run: {command: echo never}}
      - {name: api, run: {command: echo up; exec sleep 1000}}
";
    let (mut process, ready) = start(&world, yaml);
    let broken = named(&ready["apps"], "broken");
    assert_eq!(broken["phase"], "failed");
    let reason = broken["reason"].as_str().unwrap();
    assert!(reason.contains("/no/such/folder"), "{reason}");
    await_line(&mut process, "api", "up");
    assert_eq!(
        named(&status(&world, "shop")["apps"], "api")["phase"],
        "running"
    );
}

#[test]
fn a_missing_env_file_fails_its_app_only_and_is_named() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    local:
      - {name: broken, run: {command: echo never, env_file: /no/such/file.env}}
      - {name: api, run: {command: echo up; exec sleep 1000}}
";
    let (mut process, ready) = start(&world, yaml);
    let broken = named(&ready["apps"], "broken");
    assert_eq!(broken["phase"], "failed");
    assert!(
        broken["reason"]
            .as_str()
            .unwrap()
            .contains("/no/such/file.env"),
        "{broken}"
    );
    await_line(&mut process, "api", "up");
}

#[test]
fn a_missing_executable_of_our_own_is_told_with_where_it_was_looked_for() {
    let world = World::new();
    let empty = world.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let config = world
        .configure("projects: [{name: shop, local: [{name: api, run: {command: echo up}}]}]\n");
    let mut command = command(&world, "shop", &config);
    command.env("MONDAY_BIN_DIR", &empty);
    let finished = Process::start(command).finish().expect_code(1);
    assert_says(
        &finished,
        &["monday-run", &empty.display().to_string(), "MONDAY_BIN_DIR"],
    );
}

#[test]
fn a_workload_of_a_cluster_that_is_not_there_is_told_and_the_rest_goes_on() {
    let world = World::new();
    let yaml = "\
kubeconfig: /nowhere/config
projects:
  - name: shop
    local:
      - {name: api, run: {command: echo up; exec sleep 1000}}
    forward:
      - name: pods
        type: kubernetes-remote
        values: {namespace: default, labels: {app: x}, ports: ['8080:80']}
";
    let (mut process, _) = start(&world, yaml);
    process.event_where("what is wrong with the forward", |event| {
        event["event"] == "tunnel"
            && event["phase"] == "failed"
            && event["why"].to_string().contains("/nowhere/config")
    });
    process.signal(nix::sys::signal::Signal::SIGTERM);
    let _ = process.finish_open().expect_code(143);
    world.assert_no_survivors(std::time::Duration::from_secs(20));
}

#[test]
fn a_runtime_folder_that_others_may_enter_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let folder = world.runtime_dir().join("monday");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let finished = run(&world, "shop", "projects: [{name: shop}]\n").expect_code(1);
    assert_says(
        &finished,
        &[&folder.display().to_string(), "777", "XDG_RUNTIME_DIR"],
    );
}
