//! What happens when the system allows no more: in a user namespace of its own each limit is what the test wants.

use std::process::{Command, Stdio};

use monday_shared::protocol::watch::{Event, Mode, WatchStatus};
use nix::sys::signal::Signal;

use crate::harness::{Run, World};

/// Sets a limit in a new user namespace and becomes the command.
fn limited(sysctl: &str, value: u32) -> Vec<String> {
    let set = format!("echo {value} > /proc/sys/user/{sysctl} && exec \"$@\"");
    [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        &set,
        "sh",
    ]
    .map(str::to_owned)
    .into()
}

/// Where there are no user namespaces, the test is skipped, and says so.
fn possible() -> bool {
    let wrapper = limited("max_inotify_watches", 10);
    let tried = Command::new(&wrapper[0])
        .args(&wrapper[1..])
        .arg("true")
        .output();
    let possible = tried.is_ok_and(|output| output.status.success());
    if !possible {
        eprintln!("SKIPPED: no user namespace with limits of its own can be made here");
    }
    possible
}

fn start(world: &World, sysctl: &str, value: u32, args: &[&str]) -> (Run, Vec<WatchStatus>) {
    let wrapper = limited(sysctl, value);
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let mut command = world.wrapped(&wrapper, &[&["--output", "json"], args].concat());
    command.stderr(Stdio::piped());
    let mut run = Run::start_anyhow(command);
    match run.event() {
        Event::Ready { watches } => (run, watches),
        other => panic!("the first event is {other:?}"),
    }
}

/// A change is seen, and one in a folder that is new as well.
fn assert_sees_changes(world: &World, run: &mut Run) {
    world.write("tree/d3/file", "2");
    let changed = run.changed();
    assert!(changed.paths[0].ends_with("tree/d3/file"), "{changed:?}");
    world.write("tree/new/deep/file", "1");
    let mut paths = Vec::new();
    while !paths
        .iter()
        .any(|path: &String| path.ends_with("new/deep/file"))
    {
        paths.extend(run.changed().paths);
    }
}

fn thirty_folders() -> World {
    let world = World::new();
    for folder in 0..30 {
        world.write(&format!("tree/d{folder}/file"), "1");
    }
    world
}

#[test]
fn with_no_inotify_watch_at_all_the_tree_is_polled_and_the_message_says_what_to_do() {
    if !possible() {
        return;
    }
    let world = thirty_folders();
    let (mut run, watches) = start(&world, "max_inotify_watches", 0, &["tree"]);
    assert_eq!((watches[0].mode, watches[0].folders), (Mode::Poll, 31));
    let note = watches[0].note.as_deref().unwrap();
    for part in [
        "user.max_inotify_watches is 0",
        "sudo sysctl user.max_inotify_watches=",
        "polled",
    ] {
        assert!(note.contains(part), "{part} in {note}");
    }
    assert_sees_changes(&world, &mut run);
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn with_ten_watches_only_the_tree_that_needs_more_is_polled() {
    if !possible() {
        return;
    }
    let world = thirty_folders();
    world.write("small/file", "1");
    let (mut run, watches) = start(
        &world,
        "max_inotify_watches",
        10,
        &["tree", "--control", "s"],
    );
    assert_eq!(watches[0].mode, Mode::Poll);
    let note = watches[0].note.as_deref().unwrap();
    // 31 folders and the way to them.
    let needed: u64 = note
        .split(" inotify watches are needed")
        .next()
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((31..60).contains(&needed), "{note}");
    assert_sees_changes(&world, &mut run);
    run.signal(Signal::SIGTERM);
    run.end();
    // What it did not get, it did not keep either.
    let (mut run, watches) = start(&world, "max_inotify_watches", 10, &["small"]);
    assert_eq!((watches[0].mode, &watches[0].note), (Mode::Inotify, &None));
    world.write("small/file", "2");
    assert_eq!(run.changed().count, 1);
    // A folder too many, later.
    for folder in 0..12 {
        world.write(&format!("small/d{folder}/file"), "1");
    }
    loop {
        if let Event::Watching(status) = run.event() {
            assert_eq!(status.mode, Mode::Poll);
            assert!(
                status
                    .note
                    .unwrap()
                    .contains("user.max_inotify_watches is 10")
            );
            break;
        }
    }
    world.write("small/d11/file", "2");
    while !run
        .changed()
        .paths
        .iter()
        .any(|path| path.ends_with("d11/file"))
    {}
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn with_no_inotify_instance_everything_is_polled() {
    if !possible() {
        return;
    }
    let world = thirty_folders();
    let (mut run, watches) = start(&world, "max_inotify_instances", 0, &["tree", "missing"]);
    assert_eq!(watches[0].mode, Mode::Poll);
    assert!(
        watches[0]
            .note
            .as_deref()
            .unwrap()
            .contains("max_inotify_instances is 0")
    );
    assert_sees_changes(&world, &mut run);
    world.write("missing", "here");
    while !run
        .changed()
        .paths
        .iter()
        .any(|path| path.ends_with("/missing"))
    {}
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn people_are_told_about_the_limit_too() {
    if !possible() {
        return;
    }
    let world = thirty_folders();
    let wrapper = limited("max_inotify_watches", 10);
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let output = world
        .wrapped(&wrapper, &["tree", "--once", "--timeout", "1ms"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("sudo sysctl user.max_inotify_watches="),
        "{text}"
    );
}
