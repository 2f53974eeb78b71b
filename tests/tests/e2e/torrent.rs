//! Very much output at once: nothing is lost where it must not be, what is lost elsewhere is counted, and memory stays
//! bounded.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{ChildStdout, Stdio};

use monday_tests::wait::{Deadline, PATIENCE, ProcessFd};
use monday_tests::world::World;
use serde_json::Value;

use crate::project::{control, kill_gently, status};

/// Apps that count, …
const COUNTERS: usize = 10;

/// … each so far: two million lines in all.
const LINES: usize = 200_000;

/// The long line of the odd app, in bytes.
const LONG_LINE: usize = 5 * 1024 * 1024;

/// What the supervisor may need at most, in KiB: the history of eleven apps, each at most 4 MiB and its cost, four MiB for
/// a reader who stalls, and what is on its way.
const SUPERVISOR_KIB: u64 = 200 * 1024;

/// What a monday-run may need at most, in KiB: 4 MiB for the supervisor that does not keep up, and what is on its way.
const GUARDIAN_KIB: u64 = 40 * 1024;

#[test]
fn of_two_million_lines_none_is_lost_and_a_viewer_who_stalls_is_told_how_many_it_missed() {
    let world = World::new();
    // They begin together, when the viewer is there.
    let begin = "until [ -e go ]; do sleep 0.02; done";
    let counter =
        |n| format!("      - {{name: app{n}, run: {{command: '{begin}; exec seq 1 {LINES}'}}}}\n");
    let counters = (0..COUNTERS).map(counter).collect::<Vec<_>>().concat();
    let odd = format!(
        "      - name: odd\n        run:\n          command: |\n            {begin}\n            head -c {LONG_LINE} /dev/zero | tr '\\0' x; echo\n            printf 'a \\377\\376 z\\n'\n            printf 'the last words'\n"
    );
    let config = world.configure(&format!(
        "projects:\n  - name: shop\n    local:\n{counters}{odd}"
    ));
    let mut command = world.command("monday-supervisor");
    command.args(["run", "shop", "--config"]).arg(config);
    let mut supervisor = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut shown = Shown::of(supervisor.stdout.take().unwrap());
    shown.until(|shown| shown.own.iter().any(|line| line.contains("is up")));

    let viewer = stalled_viewer(&world);
    world.write("home/go", "");
    shown.until(|shown| {
        let ended = shown
            .own
            .iter()
            .filter(|line| line.contains("ended, exit status 0"));
        ended.count() == COUNTERS + 1
    });
    for n in 0..COUNTERS {
        assert_eq!(shown.counted[&format!("app{n}")], LINES);
    }
    let last = shown.odd.split_off(shown.odd.len() - 2);
    assert_eq!(last, [b"a \xff\xfe z".to_vec(), b"the last words".to_vec()]);
    let long = shown.odd.concat();
    assert!(
        long.len() == LONG_LINE && long.iter().all(|byte| *byte == b'x'),
        "{}",
        long.len()
    );
    assert!(
        shown.odd.len() <= 6,
        "it is joined up to 1 MiB: {}",
        shown.odd.len()
    );

    let (received, dropped) = read_all(viewer);
    assert_eq!(received + dropped, COUNTERS * LINES);
    assert!(dropped > 0, "the viewer did not stall");
    assert!(peak_memory_kib(supervisor.id()) < SUPERVISOR_KIB);
    for sidecar in status(&world, "shop")["sidecars"].as_array().unwrap() {
        if let Some(pid) = sidecar["pid"].as_u64() {
            let peak = peak_memory_kib(u32::try_from(pid).unwrap());
            assert!(peak < GUARDIAN_KIB, "{peak} KiB: {sidecar}");
        }
    }
    let fd = ProcessFd::open(supervisor.id()).unwrap();
    kill_gently(supervisor.id());
    shown.rest();
    assert!(fd.wait(Deadline::patient()));
    assert_eq!(supervisor.wait().unwrap().code(), Some(143));
    world.assert_no_survivors(PATIENCE);
}

/// What the supervisor shows.
struct Shown {
    lines: BufReader<ChildStdout>,
    /// How far each app has counted. It is checked that it leaves nothing out.
    counted: HashMap<String, usize>,
    odd: Vec<Vec<u8>>,
    own: Vec<String>,
}

impl Shown {
    fn of(stdout: ChildStdout) -> Self {
        Self {
            lines: BufReader::new(stdout),
            counted: HashMap::new(),
            odd: Vec::new(),
            own: Vec::new(),
        }
    }

    fn until(&mut self, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            assert!(self.take(), "it ended before: {:?}", self.own);
        }
    }

    fn rest(&mut self) {
        while self.take() {}
    }

    fn take(&mut self) -> bool {
        let mut line = Vec::new();
        self.lines.read_until(b'\n', &mut line).unwrap();
        if line.pop().is_none() {
            return false;
        }
        let bar = line
            .iter()
            .position(|byte| *byte == b'|')
            .expect("a name and a bar");
        let name = String::from_utf8_lossy(&line[..bar]).trim().to_owned();
        let text = &line[bar + 2..];
        match name.as_str() {
            "monday" => self.own.push(String::from_utf8_lossy(text).into_owned()),
            "odd" => self.odd.push(text.to_vec()),
            _ => {
                let count = self.counted.entry(name).or_default();
                *count += 1;
                assert_eq!(
                    text,
                    count.to_string().as_bytes(),
                    "a line is missing or not whole"
                );
            }
        }
        true
    }
}

/// A client that subscribes to the counters and reads nothing.
fn stalled_viewer(world: &World) -> BufReader<UnixStream> {
    // Somebody serves there.
    drop(control(world, "shop"));
    let stream = UnixStream::connect(world.supervisor_socket("shop")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let counters: Vec<String> = (0..COUNTERS).map(|n| format!("\"app{n}\"")).collect();
    let counters = counters.join(",");
    let mut viewer = BufReader::new(stream);
    writeln!(
        viewer.get_mut(),
        "{{\"id\":1,\"method\":\"subscribe\",\"params\":{{\"of\":[{counters}]}}}}"
    )
    .unwrap();
    let mut reply = String::new();
    viewer.read_line(&mut reply).unwrap();
    assert!(reply.contains("\"result\""), "{reply}");
    viewer
}

/// The viewer wakes up: how many lines it gets, and how many it is told that it missed.
fn read_all(mut viewer: BufReader<UnixStream>) -> (usize, usize) {
    let (mut received, mut dropped) = (0, 0);
    while received + dropped < COUNTERS * LINES {
        let mut line = String::new();
        viewer.read_line(&mut line).unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        let event = &event["params"];
        received += event["lines"].as_array().map_or(0, Vec::len);
        dropped += usize::try_from(event["dropped"].as_u64().unwrap_or(0)).unwrap();
    }
    (received, dropped)
}

fn peak_memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.unwrap().trim().trim_end_matches(" kB");
    kib.parse().unwrap()
}
