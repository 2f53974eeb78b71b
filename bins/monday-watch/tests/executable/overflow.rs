//! The system drops events: its queue is full because we were kept from reading it.

use std::fs;

use nix::sys::signal::Signal;

use crate::harness::{Run, World};

/// More than the system's queue holds (16,384 events), each file being two events at least.
const FILES: u64 = 20_000;

fn stop(run: &Run) {
    run.signal(Signal::SIGSTOP);
    // It is stopped when the system says so.
    crate::harness::until("it is stopped", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", run.pid())).unwrap();
        stat.rsplit(')').next().unwrap().trim().starts_with('T')
    });
}

#[test]
fn what_was_dropped_is_found_by_comparing_and_new_folders_are_watched() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    if limit.trim().parse::<u64>().unwrap() > FILES * 2 {
        eprintln!("SKIPPED: the system's queue is too large here to be filled");
        return;
    }
    let world = World::in_memory();
    for name in ["kept", "gone", "written", "old/gone"] {
        world.write(&format!("tree/{name}"), "1");
    }
    world.write("tree/.gitignore", "*.log\n");
    let mut run = world.start(&["tree"]);
    // Wait until every file is known: a change that is told proves that all events before it were read.
    world.write("tree/first", "1");
    run.changed();
    stop(&run);
    for file in 0..FILES {
        fs::write(world.path(&format!("tree/x{file}.log")), "ignored").unwrap();
    }
    // From here on nothing is told by the system.
    for file in 0..50 {
        world.write(&format!("tree/new/deep/{file}"), "1");
    }
    world.write("tree/written", "2");
    fs::remove_file(world.path("tree/gone")).unwrap();
    fs::remove_dir_all(world.path("tree/old")).unwrap();
    run.signal(Signal::SIGCONT);
    let changed = run.changed();
    assert!(changed.overflow, "{changed:?}");
    // 50 files and their 2 folders, one that was written, one that is gone, one with its folder.
    assert_eq!(changed.count, 56, "{changed:?}");
    for name in ["/written", "/gone", "/old/gone", "/new/deep/49"] {
        assert!(
            changed.paths.iter().any(|path| path.ends_with(name)),
            "{name} in {changed:?}"
        );
    }
    world.write("tree/new/deep/0", "2");
    assert_eq!(run.changed().count, 1);
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn dropped_events_about_what_is_left_out_are_not_told_at_all() {
    let world = World::in_memory();
    world.write("tree/a", "1");
    world.write("tree/.gitignore", "*.log\n");
    let mut run = world.start(&["tree"]);
    world.write("tree/a", "2");
    run.changed();
    stop(&run);
    for file in 0..FILES {
        fs::write(world.path(&format!("tree/x{file}.log")), "ignored").unwrap();
    }
    run.signal(Signal::SIGCONT);
    // Written until it is told alone: before that it may have been found by the comparison.
    world.write("tree/a", "3");
    let changed = run.changed();
    assert_eq!(changed.count, 1, "{changed:?}");
    run.signal(Signal::SIGTERM);
    run.end();
}
