//! Processes as `/proc` shows them (`proc_pid_stat(5)`), signals through pidfds (`pidfd_open(2)`, Linux 5.3).

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use super::{Identity, Process};

/// `/proc` counts clock ticks since boot, suspended time included.
pub(super) fn now() -> Option<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok()?;
    let seconds = u64::try_from(now.tv_sec()).ok()?;
    let nanos = u64::try_from(now.tv_nsec()).ok()?;
    let ticks = ticks_per_second();
    Some(seconds * ticks + nanos * ticks / 1_000_000_000)
}

pub(super) fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// The variables that the process was started with, each ended by a zero byte.
pub(super) fn environment(pid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

pub(super) fn identity(pid: u32) -> Option<Identity> {
    process(pid).map(|process| process.id)
}

pub(super) fn processes() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        found.extend(pid.and_then(process));
    }
    Ok(found)
}

fn process(pid: u32) -> Option<Process> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads one `/proc/PID/stat`. The name stands in parentheses and may itself contain any byte, parentheses too, so
/// the last closing one ends it.
fn parse_stat(stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|&byte| byte == b'(')?;
    let close = stat.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(stat.get(..open)?).ok()?.trim();
    let name = stat.get(open + 1..close)?;
    let fields: Vec<&str> = std::str::from_utf8(stat.get(close + 1..)?)
        .ok()?
        .split_ascii_whitespace()
        .collect();
    // The manual counts from 1 and the state, our first, is its third.
    let field = |number: usize| fields.get(number - 3).copied();
    // A process whose first thread ended while others run shows as a zombie, and is none.
    let threads: u32 = field(20)?.parse().ok()?;
    Some(Process {
        id: Identity {
            pid: pid.parse().ok()?,
            started: field(22)?.parse().ok()?,
        },
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        zombie: matches!(field(3)?, "Z" | "X") && threads <= 1,
        name: String::from_utf8_lossy(name).into_owned(),
    })
}

/// A pidfd is one process for all time, so the start time is compared after it was opened and before it is used.
pub(super) fn send(id: Identity, signal: Signal) -> Result<(), Errno> {
    let pid = i32::try_from(id.pid).map_err(|_| Errno::ESRCH)?;
    let named = rustix::process::Signal::from_named_raw(signal as i32).ok_or(Errno::EINVAL)?;
    let handle = rustix::process::Pid::from_raw(pid)
        .ok_or(Errno::ESRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).map_err(errno));
    if identity(id.pid) != Some(id) {
        return Err(Errno::ESRCH);
    }
    match handle {
        Ok(handle) => pidfd_send_signal(handle, named).map_err(errno),
        Err(Errno::ESRCH) => Err(Errno::ESRCH),
        // An old kernel, a sandbox without the call, or no descriptor left: the microseconds since the comparison are
        // then the only ones in which the number could have changed hands.
        Err(_) => kill(nix::unistd::Pid::from_raw(pid), signal),
    }
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_spaces_and_bytes_of_any_kind_is_read() {
        let stat = b"42 (a) R (\xff b) S 7 40 39 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 12345 1 1\n";
        let process = parse_stat(stat).unwrap();
        assert_eq!(
            process.id,
            Identity {
                pid: 42,
                started: 12345
            }
        );
        assert_eq!(
            (process.parent, process.group, process.session),
            (7, 40, 39)
        );
        assert_eq!(process.name, "a) R (\u{fffd} b");
        assert!(!process.zombie);
    }

    #[test]
    fn a_zombie_with_living_threads_is_none() {
        let stat = |threads: u32| {
            format!("42 (x) Z 7 40 39 0 -1 0 1 0 0 0 0 0 0 0 20 0 {threads} 0 12345 1 1")
                .into_bytes()
        };
        assert!(parse_stat(&stat(1)).unwrap().zombie);
        assert!(!parse_stat(&stat(2)).unwrap().zombie);
    }

    #[test]
    fn half_a_line_is_no_process() {
        for stat in [&b""[..], b"42", b"42 (x", b"42 (x) S 7", b") ("] {
            assert_eq!(parse_stat(stat), None);
        }
    }
}
