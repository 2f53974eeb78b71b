//! A changed configuration: noticed, applied by difference, and harmless when it is broken.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use monday_tests::port::free_port;
use monday_tests::wait::{Deadline, PATIENCE};
use monday_tests::world::World;
use serde_json::Value;

use crate::project::{await_line, named, start, start_named, status};

/// Ten apps, of which one runs this command, and a forward to that port.
fn yaml(world: &World, command: &str, listen: u16, target: u16) -> String {
    let mut text = String::from("projects:\n  - name: shop\n    local:\n");
    for number in 0..9 {
        let _ = writeln!(
            text,
            "      - {{name: app{number}, run: {{command: exec sleep 1000}}}}"
        );
    }
    let _ = writeln!(
        text,
        "      - {{name: tenth, run: {{command: '{command}; exec sleep 1000'}}}}"
    );
    let _ = writeln!(
        text,
        "    forward:\n      - {{name: db, type: proxy, values: {{hostname: {}, proxy_hostname: 127.0.0.1, ports: ['{listen}:{target}']}}}}",
        world.host("db")
    );
    text
}

fn write(world: &World, yaml: &str) {
    world.write("config/shop.yaml", yaml);
}

fn pids(apps: &Value) -> Vec<Option<u64>> {
    let apps = apps.as_array().unwrap().iter();
    apps.map(|app| app["pid"].as_u64()).collect()
}

/// Sends a byte through, and gets it back.
fn echo(through: &mut TcpStream) {
    through.write_all(b"x").unwrap();
    let mut byte = [0];
    through.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
}

/// A service that gives every byte back.
fn echo_service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut other = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut &stream, &mut other);
            });
        }
    });
    port
}

#[test]
fn an_app_that_becomes_another_one_is_guarded_anew_without_a_word() {
    let world = World::new();
    let yaml = |number: usize| {
        format!(
            "projects: [{{name: shop, local: [{{name: api, pty: {}, stop: {{timeout: 0s}}, run: {{command: 'echo up {number}; sleep 1000'}}}}]}}]\n",
            number % 2 == 1
        )
    };
    let (mut project, _) = start(&world, &yaml(0));
    await_line(&mut project, "api", "up 0");
    for number in 1..5 {
        write(&world, &yaml(number));
        let _ = world
            .run("monday-supervisor", ["reload", "shop"])
            .expect_code(0);
        await_line(&mut project, "api", &format!("up {number}"));
    }
    let transcript = project.transcript();
    assert!(
        !transcript.contains("ended before it was ready"),
        "{transcript}"
    );
}

#[test]
fn of_ten_apps_one_is_changed_and_nine_keep_their_processes_and_connections() {
    let world = World::new();
    let (listen, target) = (free_port(), echo_service());
    let (mut project, ready) = start(&world, &yaml(&world, "echo first", listen, target));
    await_line(&mut project, "tenth", "first");
    let address = named(&ready["forwards"], "db")["routes"][0]["listen"]
        .as_str()
        .unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    echo(&mut connection);
    let before = status(&world, "shop");

    write(&world, &yaml(&world, "echo second", listen, target));
    let told = world
        .run("monday-supervisor", ["reload", "shop"])
        .expect_code(0);
    assert_eq!(told.stdout, "tenth changed\n");
    await_line(&mut project, "tenth", "second");
    let after = status(&world, "shop");
    let (before, after) = (pids(&before["apps"]), pids(&after["apps"]));
    assert_eq!(before.len(), 10);
    assert_eq!(before[..9], after[..9]);
    assert_ne!(before[9], after[9]);
    echo(&mut connection);
    echo(&mut TcpStream::connect(address).unwrap());

    let told = world.run("monday-supervisor", ["reload"]).expect_code(0);
    assert_eq!(told.stdout, "nothing differs\n");
    drop(project);
    world.assert_no_survivors(PATIENCE);
}

#[test]
fn apps_and_forwards_come_and_go_with_their_names() {
    let world = World::new();
    let small = "projects: [{name: shop, local: [{name: one, run: {command: exec sleep 1000}}]}]\n";
    let (mut project, _) = start(&world, small);
    let (listen, target) = (free_port(), echo_service());
    let large = format!(
        "projects: [{{name: shop, local: [{{name: one, run: {{command: exec sleep 1000}}}}, {{name: two, hostname: {two}, run: {{command: 'echo at $MONDAY_ADDR_DB; exec sleep 1000'}}}}], forward: [{{name: db, type: proxy, values: {{hostname: {db}, proxy_hostname: 127.0.0.1, ports: ['{listen}:{target}']}}}}]}}]\n",
        two = world.host("two"),
        db = world.host("db"),
    );
    write(&world, &large);
    let told = world
        .run("monday-supervisor", ["reload", "--output", "json"])
        .expect_code(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["added"], serde_json::json!(["two", "db"]));
    let line = await_line(&mut project, "two", "at 127.");
    echo(&mut TcpStream::connect(line.trim_start_matches("at ")).unwrap());
    assert!(world.hosts().contains(&world.host("two")));
    write(&world, small);
    let told = world.run("monday-supervisor", ["reload"]).expect_code(0);
    assert_eq!(told.stdout, "two is gone, db is gone\n");
    assert!(TcpStream::connect(line.trim_start_matches("at ")).is_err());
    world.assert_hosts_untouched();
    let left = status(&world, "shop");
    assert_eq!(pids(&left["apps"]).len(), 1);
    drop(project);
    world.assert_no_survivors(PATIENCE);
}

#[test]
fn a_broken_file_changes_nothing_and_is_explained() {
    let world = World::new();
    let good = "projects: [{name: shop, local: [{name: one, run: {command: exec sleep 1000}}]}]\n";
    let (mut project, ready) = start(&world, good);
    write(
        &world,
        "projects: [{name: shop, local: [{name: one, rnu: {command: x}}]\n",
    );
    project.event_where("a notice about the broken file", |event| {
        event["event"] == "notice" && event["message"].as_str().unwrap().contains("shop.yaml")
    });
    let refused = world.run("monday-supervisor", ["reload"]).expect_code(2);
    assert!(
        refused.stderr.contains("nothing was changed") && refused.stderr.contains("shop.yaml:"),
        "{}",
        refused.stderr
    );
    assert_eq!(pids(&status(&world, "shop")["apps"]), pids(&ready["apps"]));
}

#[test]
fn a_change_is_announced_and_with_auto_it_is_applied() {
    let world = World::new();
    let text = |word: &str| {
        format!(
            "projects: [{{name: shop, local: [{{name: one, run: {{command: 'echo {word}; exec sleep 1000'}}}}]}}]\n"
        )
    };
    let (mut project, _) = start_named(&world, "shop", &text("first"));
    await_line(&mut project, "one", "first");
    // Comments are no change.
    write(&world, &format!("# a comment\n{}", text("first")));
    write(&world, &text("second"));
    project.event_where("the announcement", |event| {
        event["event"] == "notice"
            && event["message"]
                .as_str()
                .unwrap()
                .contains("the configuration changed: one changed")
    });
    drop(project);
    let deadline = Deadline::patient();
    while world.supervisor_socket("shop").exists()
        && std::os::unix::net::UnixStream::connect(world.supervisor_socket("shop")).is_ok()
    {
        assert!(!deadline.passed());
        std::thread::yield_now();
    }
    world.assert_no_survivors(PATIENCE);
    let config = world.path("config/shop.yaml");
    let mut command = crate::project::command(&world, "shop", &config);
    command.args(["--reload", "auto"]);
    let mut project = monday_tests::process::Process::start(command);
    await_line(&mut project, "one", "second");
    write(&world, &text("third"));
    await_line(&mut project, "one", "third");
}
