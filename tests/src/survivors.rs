//! Which processes of a test are left. Every process that a test starts, directly or not, carries the mark of its
//! world in its environment, however far it ran away from its parents.

use std::fmt;
use std::time::Duration;

use crate::wait::{Deadline, ProcessFd};

/// The environment variable that carries the mark.
pub const MARK: &str = "TEST_WORLD";

/// How long to wait between two looks for a process that cannot be waited for.
const PAUSE: Duration = Duration::from_millis(5);

/// A process that is left.
#[derive(Debug)]
pub struct Survivor {
    /// Its process id.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    process: ProcessFd,
}

impl fmt::Display for Survivor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}: {}", self.pid, self.command)
    }
}

/// All living processes that carry the mark. A zombie has no environment, so it does not count.
#[must_use]
pub fn find(mark: &str) -> Vec<Survivor> {
    let entries = std::fs::read_dir("/proc").expect("there is a /proc");
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| survivor(pid, mark))
        .collect()
}

fn survivor(pid: u32, mark: &str) -> Option<Survivor> {
    // Opened before the environment is read: whoever has the mark then is who is killed later, never a successor.
    let process = ProcessFd::open(pid)?;
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let wanted = format!("{MARK}={mark}");
    let carries = environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == wanted.as_bytes());
    carries.then(|| Survivor {
        pid,
        command: command_line(pid),
        process,
    })
}

fn command_line(pid: u32) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words)
        .trim_end_matches('\0')
        .replace('\0', " ")
}

/// Waits until no process carries the mark; returns those that are left at the deadline.
#[must_use]
pub fn wait_until_none(mark: &str, deadline: Deadline) -> Vec<Survivor> {
    loop {
        let left = find(mark);
        let Some(one) = left.first() else {
            return left;
        };
        if deadline.passed() {
            return left;
        }
        // Each is waited for in turn, and then all are looked for again: they may have had children.
        if one.process.wait(deadline) {
            // Its parent may need a moment to reap it, or it keeps its environment for one.
            std::thread::sleep(PAUSE);
        }
    }
}

/// Kills every process that carries the mark, until none is left.
pub fn end(mark: &str) {
    let deadline = Deadline::patient();
    loop {
        let left = find(mark);
        if left.is_empty() || deadline.passed() {
            return;
        }
        for survivor in &left {
            survivor.process.kill();
        }
        for survivor in &left {
            let _ = survivor.process.wait(deadline);
        }
    }
}
