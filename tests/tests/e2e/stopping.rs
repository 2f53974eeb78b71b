//! How a project ends, and what is left of it: nothing.

use std::time::{Duration, Instant};

use monday_tests::http;
use monday_tests::port::free_port;
use monday_tests::process::Process;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;
use nix::sys::signal::Signal;

use crate::project::{await_line, command, control, is_line, start};
use crate::promise::best_of_three;
use crate::shop::{api_address, shop};

/// Apps that do not want to go, each in its own way.
fn stubborn_yaml() -> String {
    let app = |name: &str, script: &str| {
        format!(
            "      - name: {name}\n        stop: {{timeout: 500ms}}\n        run:\n          command: |\n            {script}\n"
        )
    };
    let apps = [
        app("child", "sleep 1000 & echo up; wait"),
        app("escaped", "setsid sh -c 'sleep 1000 & wait' & echo up; wait"),
        app("twice", "(setsid sh -c 'sleep 1000' &) ; echo up; exec sleep 1000"),
        app("deaf", "trap '' TERM INT HUP; echo up; while :; do sleep 1; done"),
        app("deaf-escaped", "setsid sh -c 'trap \"\" TERM INT HUP; while :; do sleep 1; done' & echo up; exec sleep 1000"),
        app("holder", "setsid sleep 1000 & echo up; exec sleep 1000 >/dev/null 2>&1"),
    ]
    .concat();
    format!("projects:\n  - name: shop\n    local:\n{apps}")
}

/// Starts the stubborn apps with a forward beside them, and waits until all are up.
fn start_stubborn(world: &World) -> Process {
    let yaml = format!(
        "{}    forward:\n      - name: api\n        type: proxy\n        values: {{hostname: {}, proxy_hostname: 127.0.0.1, ports: ['{}:1']}}\n",
        stubborn_yaml(),
        world.host("api"),
        free_port(),
    );
    let (mut process, _) = start(world, &yaml);
    let mut missing = vec![
        "child",
        "escaped",
        "twice",
        "deaf",
        "deaf-escaped",
        "holder",
    ];
    // Some may have said it before others were even started.
    while !missing.is_empty() {
        let event = process.event_where("an app that is up", |event| {
            missing.iter().any(|app| is_line(event, app, "up"))
        });
        missing.retain(|app| event["app"] != *app);
    }
    process
}

fn an_orderly_stop_leaves_nothing(signal: Signal, code: i32) {
    let world = World::new();
    let mut process = start_stubborn(&world);
    assert!(world.hosts().contains(&world.host("api")));
    process.signal(signal);
    assert_eq!(process.wait(), code);
    // All of it was there until the end, so nothing has to be waited for.
    let left: Vec<String> = world.survivors().iter().map(ToString::to_string).collect();
    assert_eq!(left, Vec::<String>::new());
    world.assert_hosts_untouched();
    assert_eq!(world.runtime_files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn ctrl_c_leaves_no_process_no_hosts_line_and_no_socket() {
    an_orderly_stop_leaves_nothing(Signal::SIGINT, 130);
}

#[test]
fn term_leaves_no_process_no_hosts_line_and_no_socket() {
    an_orderly_stop_leaves_nothing(Signal::SIGTERM, 143);
}

#[test]
fn hup_leaves_no_process_no_hosts_line_and_no_socket() {
    an_orderly_stop_leaves_nothing(Signal::SIGHUP, 129);
}

#[test]
fn shutdown_leaves_no_process_no_hosts_line_and_no_socket() {
    let world = World::new();
    let mut process = start_stubborn(&world);
    control(&world, "shop").ask("shutdown");
    assert_eq!(process.wait(), 0);
    assert!(world.survivors().is_empty(), "{:?}", world.survivors());
    world.assert_hosts_untouched();
    assert_eq!(world.runtime_files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_killed_supervisor_leaves_no_process_and_no_hosts_line_after_two_seconds() {
    best_of_three(
        "the end of everything after a SIGKILL",
        Duration::from_secs(2),
        || {
            let world = World::new();
            let mut process = start_stubborn(&world);
            let begin = Instant::now();
            process.signal(Signal::SIGKILL);
            assert_eq!(process.wait(), 137);
            world.assert_no_survivors(PATIENCE);
            let took = begin.elapsed();
            world.assert_hosts_untouched();
            took
        },
    );
}

#[test]
fn after_a_kill_the_project_is_started_again_at_once() {
    let world = World::new();
    let (yaml, _) = shop(&world);
    let (mut process, first) = start(&world, &yaml);
    process.signal(Signal::SIGKILL);
    assert_eq!(process.wait(), 137);
    let (mut process, second) = start(&world, &yaml);
    assert_eq!(api_address(&first), api_address(&second));
    await_line(&mut process, "back", "listening");
    assert_eq!(http::get(api_address(&second)).unwrap(), "hello from back");
}

#[test]
fn a_second_ctrl_c_kills_at_once() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    local:
      - name: deaf
        stop: {timeout: 1000s}
        run: {command: \"trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done\"}
";
    let (mut process, _) = start(&world, yaml);
    await_line(&mut process, "deaf", "up");
    process.signal(Signal::SIGINT);
    await_line(&mut process, "deaf", "asked");
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait(), 130);
    assert!(world.survivors().is_empty(), "{:?}", world.survivors());
}

/// Ends a supervisor at moments that nothing chooses well: while it reads, starts sidecars, assigns, opens, starts apps.
fn an_end_on_the_way_up_leaves_nothing(signal: Signal, code: i32) {
    for millis in [0, 3, 6, 10, 15, 20, 30, 50, 80] {
        let world = World::new();
        let (yaml, _) = shop(&world);
        let config = world.configure(&yaml);
        let mut process = Process::start(command(&world, "shop", &config));
        std::thread::sleep(Duration::from_millis(millis));
        process.signal(signal);
        assert_eq!(process.wait(), code, "after {millis} ms");
        world.assert_no_survivors(PATIENCE);
        world.assert_hosts_untouched();
        if signal != Signal::SIGKILL {
            assert_eq!(world.runtime_files(), Vec::<std::path::PathBuf>::new());
        }
    }
}

#[test]
fn term_on_the_way_up_leaves_nothing() {
    an_end_on_the_way_up_leaves_nothing(Signal::SIGTERM, 143);
}

#[test]
fn a_kill_on_the_way_up_leaves_no_process_and_no_hosts_line() {
    an_end_on_the_way_up_leaves_nothing(Signal::SIGKILL, 137);
}
