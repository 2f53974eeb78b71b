//! The orphan matrix: however a project ends, and whatever its apps did with their processes, none is left.
//!
//! A row is a way to end, a column a kind of app that does not want to go.

use std::time::{Duration, Instant};

use monday_tests::port::free_port;
use monday_tests::process::Process;
use monday_tests::wait::{Deadline, PATIENCE, ProcessFd};
use monday_tests::world::World;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::project::{is_line, kill_hard, start, status};
use crate::promise::best_of_three;

/// The columns: a name, and a script that says `up` when all of its processes are there.
const APPS: [(&str, &str); 7] = [
    ("child", "echo up; exec sleep 1000"),
    ("background", "sh -c 'sleep 1000 & wait' & echo up; wait"),
    ("setsid", "setsid sh -c 'sleep 1000 & wait' & echo up; wait"),
    (
        "double-fork",
        "(setsid sh -c 'sleep 1000 & sleep 1000' &); echo up; exec sleep 1000",
    ),
    (
        "deaf",
        "trap '' TERM INT HUP; echo up; while :; do sleep 1; done",
    ),
    (
        "deaf-setsid",
        "setsid sh -c 'trap \"\" TERM INT HUP; while :; do sleep 1; done' & echo up; exec sleep 1000",
    ),
    (
        "holder",
        "setsid sleep 1000 & echo up; exec sleep 1000 >/dev/null 2>&1",
    ),
];

/// Starts all of these apps with a forward beside them, and waits until all are up.
pub(crate) fn start_stubborn(world: &World) -> (Process, String) {
    let app = |(name, script): (&str, &str)| {
        format!(
            "      - name: {name}\n        stop: {{timeout: 500ms}}\n        run:\n          command: |\n            {script}\n"
        )
    };
    let yaml = format!(
        "projects:\n  - name: shop\n    local:\n{}    forward:\n      - name: api\n        type: proxy\n        values: {{hostname: {}, proxy_hostname: 127.0.0.1, ports: ['{}:1']}}\n",
        APPS.map(app).concat(),
        world.host("api"),
        free_port(),
    );
    let (mut process, _) = start(world, &yaml);
    until_all_are_up(&mut process);
    (process, yaml)
}

fn until_all_are_up(process: &mut Process) {
    let mut missing = APPS.map(|(name, _)| name).to_vec();
    while !missing.is_empty() {
        let event = process.event_where("an app that is up", |event| {
            missing.iter().any(|app| is_line(event, app, "up"))
        });
        missing.retain(|app| event["app"] != *app);
    }
}

/// The processes of the apps: all that carry this world's mark and are none of monday's own.
fn processes_of_apps(world: &World) -> Vec<(ProcessFd, String)> {
    let of_apps = |command: &str| !command.contains("/monday-");
    world
        .survivors()
        .into_iter()
        .filter(|survivor| of_apps(&survivor.command))
        .filter_map(|survivor| Some((ProcessFd::open(survivor.pid)?, survivor.to_string())))
        .collect()
}

fn alive(processes: &[(ProcessFd, String)], deadline: Deadline) -> Vec<&String> {
    let left = processes.iter().filter(|(fd, _)| !fd.wait(deadline));
    left.map(|(_, name)| name).collect()
}

fn assert_nothing_left_at_all(world: &World) {
    // All of it was there until the end, so nothing has to be waited for.
    let left: Vec<String> = world.survivors().iter().map(ToString::to_string).collect();
    assert_eq!(left, Vec::<String>::new());
    world.assert_hosts_untouched();
    assert_eq!(world.runtime_files(), Vec::<std::path::PathBuf>::new());
}

fn an_orderly_stop_leaves_nothing(signal: Signal, code: i32) {
    let world = World::new();
    let (mut process, _) = start_stubborn(&world);
    assert!(world.hosts().contains(&world.host("api")));
    assert!(processes_of_apps(&world).len() >= 13);
    process.signal(signal);
    assert_eq!(process.wait(), code);
    assert_nothing_left_at_all(&world);
}

#[test]
fn term_leaves_no_process_no_hosts_line_and_no_socket() {
    an_orderly_stop_leaves_nothing(Signal::SIGTERM, 143);
}

#[test]
fn ctrl_c_leaves_no_process_no_hosts_line_and_no_socket() {
    an_orderly_stop_leaves_nothing(Signal::SIGINT, 130);
}

#[test]
fn hup_leaves_no_process_no_hosts_line_and_no_socket() {
    an_orderly_stop_leaves_nothing(Signal::SIGHUP, 129);
}

#[test]
fn a_killed_supervisor_leaves_no_process_and_no_hosts_line_after_two_seconds() {
    best_of_three(
        "the end of everything after a SIGKILL",
        Duration::from_secs(2),
        || {
            let world = World::new();
            let (mut process, _) = start_stubborn(&world);
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
fn a_killed_monday_run_leaves_nothing_of_its_app_and_the_app_comes_back() {
    let world = World::new();
    let (mut process, _) = start_stubborn(&world);
    let old = processes_of_apps(&world);
    for pid in guardians(&world) {
        kill_hard(pid);
    }
    assert_eq!(alive(&old, Deadline::patient()), Vec::<&String>::new());
    until_all_are_up(&mut process);
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    assert_nothing_left_at_all(&world);
}

#[test]
fn what_survives_when_all_guardians_are_killed_at_once_ends_at_the_next_start() {
    let world = World::new();
    let (mut process, yaml) = start_stubborn(&world);
    let old = processes_of_apps(&world);
    let guardians = guardians(&world);
    // Stopped first, so that none can act between the first death and the last.
    for pid in &guardians {
        kill(Pid::from_raw(i32::try_from(*pid).unwrap()), Signal::SIGSTOP).unwrap();
    }
    process.signal(Signal::SIGKILL);
    for pid in guardians {
        kill_hard(pid);
    }
    assert_eq!(process.wait(), 137);
    // Nobody was there to end those that ran away: this is the one case in which something outlives us.
    let survivors = alive(&old, Deadline::within(Duration::from_millis(200))).len();
    assert!(survivors >= 5, "{survivors} of {}", old.len());
    let (mut process, _) = start(&world, &yaml);
    assert_eq!(
        alive(&old, Deadline::within(Duration::ZERO)),
        Vec::<&String>::new()
    );
    process.event_where("what was found", |event| {
        event["event"] == "notice"
            && event["message"]
                .as_str()
                .is_some_and(|text| text.contains("left of the last time"))
    });
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    assert_nothing_left_at_all(&world);
}

/// The monday-runs of the project.
fn guardians(world: &World) -> Vec<u32> {
    let status = status(world, "shop");
    let sidecars = status["sidecars"].as_array().unwrap();
    let guardians: Vec<u32> = sidecars
        .iter()
        .filter(|sidecar| sidecar["name"] == "monday-run")
        .filter_map(|sidecar| sidecar["pid"].as_u64())
        .map(|pid| u32::try_from(pid).unwrap())
        .collect();
    assert_eq!(
        guardians.len(),
        APPS.len(),
        "{status}",
        status = Value::to_string(&status)
    );
    guardians
}
