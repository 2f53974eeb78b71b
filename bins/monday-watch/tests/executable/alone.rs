//! Without COMMAND.

use std::io::BufRead as _;

use monday_shared::protocol::watch::{Event, Mode};
use nix::sys::signal::Signal;

use crate::harness::{Run, World, until};

#[test]
fn people_get_one_line_for_each_batch_with_the_first_paths_and_the_number_of_the_others() {
    let world = World::new();
    world.write("tree/a", "1");
    let mut run = Run::start_anyhow(world.command(&["tree", "--debounce", "500ms"]));
    assert_eq!(run.line().unwrap(), "watching tree (1 folder)");
    world.write("tree/a", "2");
    assert_eq!(run.line().unwrap(), "changed tree/a");
    world.write("tree/a", "3");
    world.write("tree/b", "1");
    world.write("tree/c", "1");
    world.write("tree/d", "1");
    assert_eq!(
        run.line().unwrap(),
        "changed tree/a, tree/b, tree/c and 1 more"
    );
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end().0, 143);
}

#[test]
fn the_first_json_line_is_the_ready_event_with_what_is_watched() {
    let world = World::new();
    world.write("tree/sub/a", "1");
    let mut run = Run::start_anyhow(world.command(&["tree", "missing", "--output", "json"]));
    let Event::Ready { watches } = run.event() else {
        panic!("another event came first");
    };
    assert_eq!((watches[0].folders, watches[0].mode), (2, Mode::Inotify));
    assert_eq!(watches[0].missing.len(), 1);
    assert!(watches[0].missing[0].ends_with("/missing"));
    run.signal(Signal::SIGINT);
    assert_eq!(run.end().0, 130);
}

#[test]
fn once_ends_with_status_0_after_the_first_change_and_shows_it() {
    let world = World::new();
    let mut run = world.start(&["tree", "--once", "--timeout", "1h"]);
    world.write("tree/a", "1");
    assert_eq!(run.changed().count, 1);
    assert_eq!(run.end().0, 0);
}

#[test]
fn once_ends_with_status_124_if_nothing_changes_in_time() {
    let world = World::new();
    let (code, stdout, _) = world.output(&["tree", "--once", "--timeout", "50ms"]);
    assert_eq!((code, stdout.as_str()), (124, "watching tree (1 folder)\n"));
}

#[test]
fn wrong_flags_end_with_status_2_and_say_what_to_write() {
    let world = World::new();
    for (args, part) in [
        (&[][..], "monday-watch src -- make"),
        (&["tree", "--exclude", "a{b"], "`a{b` is no pattern"),
        (
            &["tree", "--signal", "HOP", "--", "true"],
            "`HOP` is no signal",
        ),
        (&["tree", "--timeout", "1s"], "--once"),
        (&["", "--once"], "a value is required"),
    ] {
        let (code, _, stderr) = world.output(args);
        assert_eq!(code, 2, "{args:?}: {stderr}");
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let world = World::new();
    let mut command = world.command(&["tree", "--debounce", "0"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // As `head -1` does.
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("watching"));
    drop(lines);
    let mut number = 0;
    until("it has ended", || {
        number += 1;
        world.write("tree/a", &number.to_string());
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_end_of_the_lifeline_ends_it() {
    let world = World::new();
    let mut command = world.command(&["tree", "--output", "json", "--lifeline"]);
    command.stdin(std::process::Stdio::piped());
    let mut run = Run::start(command);
    drop(run.child.stdin.take());
    assert_eq!(run.end().0, 0);
}
