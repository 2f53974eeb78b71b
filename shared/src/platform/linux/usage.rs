//! What a process uses of the machine, as `/proc` shows it (`proc_pid_stat(5)`, `proc_pid_statm(5)`).

use std::fs;
use std::time::Duration;

use crate::platform::Used;

/// What that process has used; nothing if it is gone.
#[must_use]
pub fn used(pid: u32) -> Option<Used> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks = ticks(&stat)?;
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let page = rustix::param::page_size() as u64;
    Some(Used {
        memory: pages * page,
        cpu: Duration::from_millis(ticks * 1000 / per_second),
    })
}

/// Time in user and in kernel mode. The name before the fields may itself contain blanks and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    // The manual counts from 1, and our first is its third.
    let mut fields = fields.split_ascii_whitespace().skip(14 - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_a_name_of_any_kind() {
        let stat = "7 (a ) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 30 12 0 0 20 0 1 0 99 1 1";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (short) S 1"), None);
    }

    #[test]
    fn this_process_uses_memory_and_a_process_that_is_not_there_nothing() {
        assert!(used(std::process::id()).unwrap().memory > 0);
        assert_eq!(used(u32::MAX), None);
    }
}
