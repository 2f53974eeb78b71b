//! What a process uses of the machine, as `/proc` shows it (`proc_pid_stat(5)`, `proc_pid_statm(5)`).

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
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

/// How many TCP connections are open that were made to that address.
#[must_use]
pub fn connections_to(ip: IpAddr) -> usize {
    let IpAddr::V4(ip) = ip else { return 0 };
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    established(&table, ip)
}

/// Counts them in the kernel's table (`proc_pid_net(5)`): of each pair of sockets the one whose own address it is.
fn established(table: &str, ip: Ipv4Addr) -> usize {
    // The kernel prints the address as one number of the machine's own byte order.
    let wanted = format!("{:08X}:", u32::from_ne_bytes(ip.octets()));
    table
        .lines()
        .skip(1)
        .filter(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let local = fields.next().unwrap_or_default();
            // TCP_ESTABLISHED
            local.starts_with(&wanted) && fields.nth(1) == Some("01")
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_to_an_address_are_counted() {
        let listener = std::net::TcpListener::bind("127.3.7.11:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(connections_to(address.ip()), 0);
        let client = std::net::TcpStream::connect(address).unwrap();
        assert_eq!(connections_to(address.ip()), 1);
        drop((client, listener));
    }

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
