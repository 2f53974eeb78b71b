//! What a command writes arrives, all of it, whatever it is.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use monday_shared::protocol::run::{Event, Phase};

use crate::harness::{World, until};

#[test]
fn a_hundred_thousand_lines_arrive_in_order() {
    let world = World::new();
    let numbers: Vec<String> = (1..=100_000).map(|number| number.to_string()).collect();
    let expected = numbers.join("\n") + "\n";
    let (status, bytes) = world.output(&["--", "seq", "100000"]);
    assert!(status.success());
    assert!(bytes == expected.as_bytes());
    let (status, text) = world.start(&["--", "seq", "100000"]).end();
    assert_eq!(status, 0);
    assert!(text == expected);
}

#[test]
fn every_line_has_the_name_before_it_and_both_streams_are_shown() {
    let world = World::new();
    let (_, bytes) = world.output(&[
        "--name",
        "api",
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; printf last",
    ]);
    let mut lines: Vec<_> = bytes.lines().map(Result::unwrap).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["api | err", "api | last", "api | out"]);
}

#[test]
fn without_a_name_every_byte_is_as_it_was_written() {
    let world = World::new();
    let mut data = vec![0, 0xff, b'\n', b'\n', b'\r', 0xc3, b'\n'];
    // One line of 5 MiB, and a last one without an end.
    data.extend(std::iter::repeat_n(b'x', 5 * 1024 * 1024));
    data.extend_from_slice(b"\nlast \xf0\x9f");
    std::fs::write(world.path("data"), &data).unwrap();
    let (status, bytes) = world.output(&["--", "cat", "data"]);
    assert!(status.success());
    assert!(
        bytes == data,
        "{} bytes came of {}",
        bytes.len(),
        data.len()
    );
    let mut run = world.start(&["--", "cat", "data"]);
    while run.next().is_some() {}
    assert!(run.shown == data, "as events, too");
}

#[test]
fn a_prompt_is_shown_before_its_line_ends() {
    let world = World::new();
    let mut run = world.start(&["--", "sh", "-c", "printf 'name? '; read x < fifo; echo joe"]);
    nix::unistd::mkfifo(&world.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    loop {
        if let Some(Event::Output(output)) = run.next() {
            assert!(output.partial);
            break;
        }
    }
    assert_eq!(run.text(), "name? ");
    std::fs::write(world.path("fifo"), "go\n").unwrap();
    assert_eq!(run.end(), (0, "name? joe\n".to_owned()));
}

#[test]
fn the_end_is_told_after_the_last_line() {
    let world = World::new();
    for _ in 0..20 {
        let mut run = world.start(&["--", "sh", "-c", "seq 1000; printf last"]);
        run.wait_for_phase(Phase::Exited);
        assert!(run.text().ends_with("1000\nlast"));
    }
}

#[test]
fn a_reader_who_takes_long_loses_nothing_even_after_the_command_ended() {
    let world = World::new();
    // More than a pipe holds, less than waits before the command is held back.
    let count = 50_000;
    let mut child = world
        .command(&["--", "sh", "-c", &format!("seq {count}; touch done")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    until("the command has ended", || world.path("done").exists());
    // Not to wait for something, but to be late: longer than the second that others would have been given.
    std::thread::sleep(Duration::from_millis(1500));
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text.lines().count(), count);
    assert!(text.ends_with(&format!("\n{count}\n")));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_who_stalls_holds_the_command_back_and_gets_everything_at_last() {
    let world = World::new();
    // More than waits before the command is held back.
    let count = 2_000_000;
    let mut child = world
        .command(&["--", "seq", &count.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // As above: to be late.
    std::thread::sleep(Duration::from_millis(1500));
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.map(Result::unwrap).count(), count);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_who_never_reads_does_not_keep_us_when_our_parent_is_gone() {
    let world = World::new();
    let mut child = world
        .command(&["--lifeline", "--", "yes"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    world.assert_empty();
    drop(reader);
}

#[test]
fn a_reader_who_stops_reading_holds_the_command_back_and_memory_stays_small() {
    let world = World::new();
    let mut child = world
        .command(&["--", "yes", "a line of output that is not very long"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    let wrote = || {
        let writer = crate::harness::children_of(child.id()).into_iter().next()?;
        let io = std::fs::read_to_string(format!("/proc/{writer}/io")).ok()?;
        let line = io.lines().find_map(|line| line.strip_prefix("wchar: "))?;
        line.parse::<u64>().ok()
    };
    let mut last = None;
    until("it writes no more", || {
        std::thread::sleep(Duration::from_millis(100));
        let now = wrote();
        let stands_still = now.is_some() && now == last;
        last = now;
        stands_still
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 64 * 1024, "{kib} KiB");
    drop(reader);
    assert_eq!(
        child.wait().unwrap().code(),
        Some(141),
        "it notices that nobody reads"
    );
    world.assert_empty();
}

#[test]
fn a_command_whose_reader_goes_away_ends_as_it_would_without_us() {
    let world = World::new();
    let mut child = world
        .command(&["--", "yes"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "y\n");
    assert_eq!(child.wait().unwrap().code(), Some(128 + 13));
    world.assert_empty();
}

#[test]
fn colours_follow_the_environment() {
    let world = World::new();
    let shown = |name: &str| {
        let mut command = world.command(&["--name", "api", "--", "echo", "hi"]);
        command.env_remove("NO_COLOR").env(name, "1");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(shown("NO_COLOR"), "api | hi\n");
    assert!(shown("CLICOLOR_FORCE").starts_with("\u{1b}["));
}

#[test]
fn a_full_disk_does_not_end_the_command() {
    let world = World::new();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = world
        .command(&[
            "--control",
            "x.sock",
            "--",
            "sh",
            "-c",
            "echo one; sleep 0; echo two; exit 5",
        ])
        .stdout(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(5));
    let _ = std::io::stdout().flush();
}
