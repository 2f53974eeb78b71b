//! A project of somebody who may not write the machine's hosts file, and becomes nobody else: its processes find each
//! other by name nevertheless.

use monday_tests::http;
use monday_tests::namespace::Privacy;
use monday_tests::needs_programs;
use monday_tests::process::Process;
use monday_tests::skip::skip;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::project::{await_line, control, kill_hard, named, pid_of, status};
use crate::shop::{api_address, shop};

/// A world whose hosts file its user may not write, if programs can have hosts files of their own here.
fn locked() -> Option<World> {
    let mut world = World::ordinary();
    world.lock_hosts();
    let tried = world
        .start("monday-run", ["--hosts-file", "/etc/hosts", "--", "true"])
        .finish_open();
    if tried.code != 0 {
        skip(&tried.stderr);
        return None;
    }
    Some(world)
}

/// An app that asks for the back of the shop by both of its names until it has answered, then waits.
fn asker(world: &World, port: u16) -> String {
    format!(
        "      - name: asker
        hostname: {own}
        run:
          command: |
            until answer=$(curl -sS --max-time 5 http://{api}:{port}/); do sleep 0.1; done
            echo \"$answer (names: $MONDAY_HOSTS)\"; exec sleep 1000
",
        own = world.host("asker"),
        api = world.host("api"),
    )
}

fn with_asker(world: &World) -> (String, u16) {
    let (yaml, port) = shop(world);
    let at = yaml.find("    forward:").unwrap();
    let yaml = format!("{}{}{}", &yaml[..at], asker(world, port), &yaml[at..]);
    (yaml, port)
}

fn command(world: &World, yaml: &str, words: &[&str]) -> std::process::Command {
    let config = world.configure(yaml);
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", "shop", "--config"])
        .arg(config)
        .arg("--hosts-file")
        .arg(world.hosts_file())
        .args(words);
    command
}

#[test]
fn apps_reach_each_other_by_name_and_the_summary_shows_addresses() {
    needs_programs!("curl");
    let Some(world) = locked() else { return };
    let (yaml, port) = with_asker(&world);
    let mut process = Process::start(command(&world, &yaml, &["--output", "json"]));
    let ready = process.ready();
    assert_eq!(ready["names"], false, "{ready}");
    assert_eq!(ready["private_names"], true, "{ready}");
    await_line(&mut process, "asker", "hello from back (names: private)");
    // The browser's way.
    assert_eq!(http::get(api_address(&ready)).unwrap(), "hello from back");
    // Nobody but the project sees the name.
    let name = world.host("api");
    assert_ne!(world.run("getent", ["hosts", &name]).code, 0);
    world.assert_hosts_untouched();
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    assert_eq!(world.runtime_files(), Vec::<std::path::PathBuf>::new());

    // The same for people.
    let mut process = Process::start(command(&world, &yaml, &[]));
    process.line_with("shop is up");
    let line = process.line_with("  api ");
    assert!(
        line.contains(&format!(":{port}")) && !line.contains(&name),
        "{line}"
    );
    process.line_with("use the addresses");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
}

#[test]
fn command_sees_the_names_as_well() {
    needs_programs!("curl");
    let Some(world) = locked() else { return };
    let (yaml, port) = shop(&world);
    let url = format!("http://{}:{port}/", world.host("api"));
    let script = format!("until curl -sS --max-time 5 {url}; do sleep 0.1; done; exit 7");
    let words = ["--output", "json", "--", "sh", "-c", &script];
    let finished = Process::start(command(&world, &yaml, &words))
        .finish()
        .expect_code(7);
    assert!(
        finished.stdout.starts_with("hello from back"),
        "{}",
        finished.stdout
    );
    world.assert_hosts_untouched();
}

#[test]
fn the_build_and_the_probe_of_an_app_see_the_names_as_well() {
    needs_programs!("curl");
    let Some(world) = locked() else { return };
    let (yaml, _) = with_asker(&world);
    let port = yaml.split("$MONDAY_HOST_BACK:").nth(1).unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let back = world.host("back");
    let yaml = yaml
        .replacen(
            "        run:\n",
            &format!(
                "        build: {{commands: ['getent hosts {back}']}}\n        ready: {{http: 'http://{back}:{port}/'}}\n        run:\n"
            ),
            1,
        )
        .replace(
            "      - name: asker\n",
            "      - name: asker\n        depends_on: {back: {condition: ready}}\n",
        );
    let mut process = Process::start(command(&world, &yaml, &["--output", "json"]));
    await_line(&mut process, "asker", "hello from back");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
}

#[test]
fn after_the_death_of_monday_ipalias_the_names_are_what_they_were() {
    needs_programs!("curl");
    let Some(world) = locked() else { return };
    let (yaml, port) = with_asker(&world);
    let mut process = Process::start(command(&world, &yaml, &["--output", "json"]));
    let ready = process.ready();
    await_line(&mut process, "asker", "hello from back");
    let before = pid_of(&ready["sidecars"], "monday-ipalias");
    kill_hard(before);
    process.event_where("a new monday-ipalias", |event| {
        event["event"] == "sidecar"
            && event["name"] == "monday-ipalias"
            && event["pid"]
                .as_u64()
                .is_some_and(|pid| pid != u64::from(before))
    });
    let restarted = control(&world, "shop").call("restart", &json!({"names": ["asker"]}));
    assert!(restarted.is_ok(), "{restarted:?}");
    await_line(&mut process, "asker", "hello from back");
    let after = status(&world, "shop");
    assert_eq!(
        named(&after["apps"], "asker")["ip"],
        named(&ready["apps"], "asker")["ip"]
    );
    assert_eq!(api_address(&after).port(), port);
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
}

#[test]
fn hosts_private_leaves_a_hosts_file_alone_that_could_be_written() {
    needs_programs!("curl");
    if locked().is_none() {
        return;
    }
    let world = World::ordinary();
    let (yaml, _) = with_asker(&world);
    let yaml = format!("hosts: private\n{yaml}");
    let mut process = Process::start(command(&world, &yaml, &["--output", "json"]));
    let ready = process.ready();
    assert_eq!(ready["private_names"], true, "{ready}");
    await_line(&mut process, "asker", "hello from back");
    world.assert_hosts_untouched();
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
}

#[test]
fn root_can_have_private_names_too() {
    needs_programs!("curl");
    monday_tests::needs_namespaces!(Privacy::HostsAndNetwork);
    let world = World::new().with(Privacy::HostsAndNetwork);
    let (yaml, _) = with_asker(&world);
    let config = world.configure(&format!("hosts: private\n{yaml}"));
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", "shop", "--output", "json", "--config"])
        .arg(config);
    let mut process = Process::start(command);
    assert_eq!(process.ready()["private_names"], true);
    await_line(&mut process, "asker", "hello from back");
    world.assert_hosts_untouched();
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
}
