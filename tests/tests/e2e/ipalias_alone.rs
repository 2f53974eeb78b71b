//! `monday-ipalias` without a supervisor.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::process::Command;

use monday_tests::control::Control;
use monday_tests::namespace::Privacy;
use monday_tests::needs_mount_namespace;
use monday_tests::port::free_port;
use monday_tests::process::{Finished, Process};
use monday_tests::world::{FOREIGN_HOSTS, World};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// The executable, with this world's hosts file.
fn command(world: &World, words: &[&str]) -> Command {
    let mut command = world.command("monday-ipalias");
    command
        .arg("--hosts-file")
        .arg(world.hosts_file())
        .args(words);
    command
}

fn run(world: &World, words: &[&str]) -> Finished {
    Process::start(command(world, words)).finish()
}

/// Starts it with these names; returns the ready line as well.
fn start(world: &World, words: &[&str]) -> (Process, Value) {
    let mut process = Process::start(command(world, &[&["--output", "json"], words].concat()));
    let ready = process.ready();
    (process, ready)
}

fn ip(ready: &Value, at: usize) -> Ipv4Addr {
    let ip = ready["names"][at]["ip"].as_str();
    ip.expect("a name has an address")
        .parse()
        .expect("an address")
}

#[test]
fn names_get_addresses_and_lines_until_the_end() {
    let world = World::new();
    let (api, db) = (world.host("api"), world.host("db"));
    let (mut process, ready) = start(&world, &[&api, &db]);
    assert_eq!(ready["hosts"]["state"], "written");
    for (at, name) in [&api, &db].into_iter().enumerate() {
        assert_eq!(ready["names"][at]["name"], **name);
        assert_eq!(ready["names"][at]["resolves"], true);
        assert_eq!(ip(&ready, at).octets()[..2], [127, 77]);
        let line = format!("{}\t{name}\n", ip(&ready, at));
        assert!(world.hosts().contains(&line), "{}", world.hosts());
    }
    assert_ne!(ip(&ready, 0), ip(&ready, 1));
    assert!(
        world.hosts().starts_with(FOREIGN_HOSTS),
        "{}",
        world.hosts()
    );
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    world.assert_hosts_untouched();
}

#[test]
fn a_name_has_the_same_address_in_every_run() {
    let name = World::new().host("api");
    let once = || {
        let world = World::new();
        let (_process, ready) = start(&world, &[&name]);
        ip(&ready, 0)
    };
    assert_eq!(once(), once());
}

#[test]
fn command_finds_the_address_in_its_environment_and_the_line_in_the_file() {
    let world = World::new();
    let script = format!(
        "grep -F {} {}; echo $MONDAY_HOST_API",
        world.host("api"),
        world.hosts_file().display()
    );
    let script = script.replace(
        "MONDAY_HOST_API",
        &format!(
            "MONDAY_HOST_{}",
            world.host("api").to_uppercase().replace('.', "_")
        ),
    );
    let finished = run(&world, &[&world.host("api"), "--", "sh", "-c", &script]).expect_code(0);
    let (line, variable) = finished.stdout.trim_end().split_once('\n').unwrap();
    assert_eq!(line.split('\t').next(), Some(variable));
    world.assert_hosts_untouched();
}

#[test]
fn a_program_looks_its_names_up_as_any_other() {
    needs_mount_namespace!();
    let world = World::new().with(Privacy::Hosts);
    let name = world.host("api");
    let mut command = world.command("monday-ipalias");
    command.args([&name, "--", "getent", "ahostsv4", &name]);
    let finished = Process::start(command).finish().expect_code(0);
    assert!(
        finished.stdout.starts_with("127.77."),
        "{}",
        finished.stdout
    );
    world.assert_hosts_untouched();
}

#[test]
fn where_the_file_cannot_be_written_the_addresses_are_told_nevertheless() {
    let mut world = World::ordinary();
    world.lock_hosts();
    let (mut process, ready) = start(&world, &[&world.host("api")]);
    assert_eq!(ready["hosts"]["state"], "unwritable");
    let reason = ready["hosts"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("Permission denied") && reason.contains("sudo"),
        "{reason}"
    );
    assert_eq!(ready["names"][0]["resolves"], false);
    assert_eq!(ip(&ready, 0).octets()[..2], [127, 77]);
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    let script = format!(
        "echo $MONDAY_HOST_{}",
        world.host("api").to_uppercase().replace('.', "_")
    );
    let finished = run(&world, &[&world.host("api"), "--", "sh", "-c", &script]).expect_code(0);
    assert_eq!(finished.stdout.trim_end(), ip(&ready, 0).to_string());
    assert!(
        finished.stderr.contains("Permission denied"),
        "{}",
        finished.stderr
    );
    world.assert_hosts_untouched();
}

#[test]
fn what_a_killed_one_has_left_is_listed_and_cleaned() {
    let world = World::new();
    let name = world.host("api");
    let (mut process, ready) = start(&world, &[&name]);
    let pid = process.pid();
    process.signal(Signal::SIGKILL);
    assert_eq!(process.wait(), 137);
    assert!(world.hosts().contains(&name));
    let listed = run(&world, &["list", "--output", "json"]).expect_code(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let row = &listed["names"][0];
    assert_eq!((&row["name"], &row["pid"]), (&json!(name), &json!(pid)));
    assert_eq!(
        (&row["running"], &row["ip"]),
        (&json!(false), &ready["names"][0]["ip"])
    );
    let previewed = run(&world, &["clean", "--dry-run"]).expect_code(0);
    assert!(
        previewed.stdout.contains(&name) && world.hosts().contains(&name),
        "{}",
        previewed.stdout
    );
    let cleaned = run(&world, &["clean"]).expect_code(0);
    assert!(cleaned.stdout.contains(&name), "{}", cleaned.stdout);
    world.assert_hosts_untouched();
    assert!(!run(&world, &["list"]).expect_code(0).stdout.contains(&name));
}

#[test]
fn the_next_one_removes_what_a_killed_one_has_left() {
    let world = World::new();
    let (mut process, _) = start(&world, &[&world.host("old")]);
    process.signal(Signal::SIGKILL);
    assert_eq!(process.wait(), 137);
    let (mut process, _) = start(&world, &[&world.host("new")]);
    assert!(
        !world.hosts().contains(&world.host("old")),
        "{}",
        world.hosts()
    );
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    world.assert_hosts_untouched();
}

#[test]
fn clean_leaves_the_living_alone() {
    let world = World::new();
    let name = world.host("api");
    let (_process, _) = start(&world, &[&name]);
    let _ = run(&world, &["clean"]).expect_code(0);
    assert!(world.hosts().contains(&name));
    let listed = run(&world, &["list"]).expect_code(0);
    assert!(listed.stdout.contains(&name), "{}", listed.stdout);
}

#[test]
fn flags_stand_before_and_after_a_verb() {
    let world = World::new();
    let hosts = world.hosts_file().display().to_string();
    let name = world.host("api");
    let (_process, _) = start(&world, &[&name]);
    for words in [
        ["--hosts-file", &hosts, "list"],
        ["list", "--hosts-file", &hosts],
    ] {
        let listed = world.run("monday-ipalias", words).expect_code(0);
        assert!(listed.stdout.contains(&name), "{}", listed.stdout);
    }
}

#[test]
fn the_range_can_be_changed_within_the_loopback_network() {
    let world = World::new();
    let (_process, ready) = start(&world, &["--range", "127.99.3.0/24", &world.host("api")]);
    assert_eq!(ip(&ready, 0).octets()[..3], [127, 99, 3]);
    for range in ["10.0.0.0/8", "127.0.0.0/33", "nonsense"] {
        let refused = run(&world, &["--range", range, "x.test"]).expect_code(2);
        assert!(refused.stderr.contains(range), "{}", refused.stderr);
    }
}

#[test]
fn what_is_no_host_name_is_refused_with_status_2() {
    let world = World::new();
    for name in [
        "a b",
        "a..b",
        "-a",
        "127.0.0.1",
        "evil\n10.0.0.1 bank.example",
        "ü.test",
        "",
    ] {
        let _ = run(&world, &[name, "--", "true"]).expect_code(2);
        world.assert_hosts_untouched();
    }
    let _ = run(&world, &[&"x".repeat(64)]).expect_code(2);
    let _ = run(&world, &[]).expect_code(2);
}

#[test]
fn two_of_them_have_a_block_each_and_leave_that_of_the_other_alone() {
    let world = World::new();
    let (one, two) = (world.host("one"), world.host("two"));
    let (mut first, _) = start(&world, &[&one]);
    let (mut second, _) = start(&world, &[&two]);
    assert!(world.hosts().contains(&one) && world.hosts().contains(&two));
    first.signal(Signal::SIGTERM);
    assert_eq!(first.wait(), 143);
    assert!(!world.hosts().contains(&one) && world.hosts().contains(&two));
    second.signal(Signal::SIGTERM);
    assert_eq!(second.wait(), 143);
    world.assert_hosts_untouched();
}

#[test]
fn many_that_come_and_go_at_once_lose_nothing() {
    let world = World::new();
    let started: Vec<(Process, Value)> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|n| {
                let name = world.host(&format!("n{n}"));
                let world = &world;
                scope.spawn(move || start(world, &[&name]))
            })
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    for n in 0..8 {
        assert!(
            world.hosts().contains(&world.host(&format!("n{n}"))),
            "{}",
            world.hosts()
        );
    }
    for (process, _) in &started {
        process.signal(Signal::SIGTERM);
    }
    for (mut process, _) in started {
        assert_eq!(process.wait(), 143);
    }
    world.assert_hosts_untouched();
}

#[test]
fn bytes_of_others_are_kept_as_they_are() {
    let world = World::new();
    let foreign = b"127.0.0.1 localhost\r\n# caf\xe9\r\n\t\r\n::1 localhost # no line feed";
    std::fs::write(world.hosts_file(), foreign).unwrap();
    let (mut process, _) = start(&world, &[&world.host("api")]);
    assert!(
        std::fs::read(world.hosts_file())
            .unwrap()
            .starts_with(foreign)
    );
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    assert_eq!(std::fs::read(world.hosts_file()).unwrap(), foreign);
}

#[test]
fn a_line_that_somebody_removes_comes_back() {
    let world = World::new();
    let name = world.host("api");
    let (mut process, _) = start(&world, &[&name]);
    world.write("hosts", FOREIGN_HOSTS);
    process.event("rewritten");
    assert!(world.hosts().contains(&name));
}

#[test]
fn an_address_whose_port_is_taken_is_passed_over_with_who_holds_it() {
    let world = World::new();
    let name = world.host("api");
    let usual = {
        let (_process, ready) = start(&world, &[&name]);
        ip(&ready, 0)
    };
    let port = free_port();
    let _holder = TcpListener::bind((IpAddr::from(usual), port)).unwrap();
    let mut process = Process::start(command(
        &world,
        &["--control", "n.sock", "--output", "json"],
    ));
    process.ready();
    let mut control = Control::connect(&world.home().join("n.sock"));
    let assigned = control
        .call("assign", &json!({"name": name, "ports": [port]}))
        .unwrap();
    assert_ne!(ip(&assigned, 0), usual);
    let note = assigned["names"][0]["note"].as_str().unwrap();
    assert!(
        note.contains(&std::process::id().to_string()) && note.contains(&port.to_string()),
        "{note}"
    );
}

#[test]
fn somebody_elses_line_for_the_same_name_is_kept_and_told() {
    let world = World::new();
    let name = world.host("api");
    let foreign = format!("{FOREIGN_HOSTS}192.0.2.9 {name}\n");
    world.write("hosts", &foreign);
    let (mut process, ready) = start(&world, &[&name]);
    let note = ready["names"][0]["note"].as_str().unwrap();
    assert!(note.contains("192.0.2.9"), "{note}");
    assert_eq!(ready["names"][0]["resolves"], false, "the first line wins");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    assert_eq!(world.hosts(), foreign);
}
