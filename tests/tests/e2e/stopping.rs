//! How a project ends, and what is left of it: nothing.

use std::time::Duration;

use monday_tests::http;
use monday_tests::process::Process;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;
use nix::sys::signal::Signal;

use crate::orphans::start_stubborn;
use crate::project::{await_line, command, control, start};
use crate::shop::{api_address, shop};

#[test]
fn shutdown_leaves_no_process_no_hosts_line_and_no_socket() {
    let world = World::new();
    let (mut process, _) = start_stubborn(&world);
    control(&world, "shop").ask("shutdown");
    assert_eq!(process.wait(), 0);
    assert!(world.survivors().is_empty(), "{:?}", world.survivors());
    world.assert_hosts_untouched();
    assert_eq!(world.runtime_files(), Vec::<std::path::PathBuf>::new());
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

#[test]
fn what_did_not_run_yet_is_not_started_by_a_stop() {
    let world = World::new();
    let yaml = "\
projects:
  - name: shop
    local:
      - {name: mig, run: {command: 'until test -e go; do sleep 0.02; done; echo migrated'}}
      - {name: api, run: {command: 'echo started; exec sleep 1000'}, depends_on: {mig: completed}}
      - {name: web, run: {command: 'echo started; exec sleep 1000'}, depends_on: [api]}
      - name: deaf
        stop: {timeout: 1000s}
        run: {command: \"trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done\"}
";
    for by_signal in [true, false] {
        let config = world.configure(yaml);
        let mut process = Process::start(command(&world, "shop", &config));
        await_line(&mut process, "deaf", "up");
        let client = if by_signal {
            process.signal(Signal::SIGINT);
            None
        } else {
            Some(world.start("monday-supervisor", ["stop", "shop"]))
        };
        await_line(&mut process, "deaf", "asked");
        // What api waits for comes true while others are being stopped.
        world.write("go", "");
        world.write("home/go", "");
        await_line(&mut process, "mig", "migrated");
        std::thread::sleep(Duration::from_millis(300));
        if !by_signal {
            process.signal(Signal::SIGINT);
            process.event("stopping");
        }
        process.signal(Signal::SIGINT);
        let ended = process.finish_open().expect_code(130);
        assert!(!ended.stdout.contains("started"), "{}", ended.stdout);
        drop(client);
        for file in ["go", "home/go"] {
            std::fs::remove_file(world.path(file)).unwrap();
        }
    }
    world.assert_no_survivors(PATIENCE);
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
