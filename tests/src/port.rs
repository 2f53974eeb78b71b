//! Ports that nobody uses.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Below the range from which the kernel takes ports by itself (32768, ip(7)), so that a port stays free until it is
/// bound.
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// A port that nobody uses, on no address, and that is given to no other test of this run.
///
/// It is looked up, not tried: a socket of ours, however short its life, would be inherited by whatever another test
/// starts at that moment.
///
/// # Panics
/// If there is none, or the kernel's tables cannot be read.
#[must_use]
pub fn free_port() -> u16 {
    /// Those that were given away, in order.
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let used = used_ports();
    // Two runs at the same time begin at different places.
    let start = given.last().map_or_else(
        || u16::try_from(std::process::id() * 97 % u32::from(COUNT)).unwrap_or(0),
        |last| last - FIRST + 1,
    );
    let port = (0..COUNT)
        .map(|step| FIRST + (start + step) % COUNT)
        .find(|port| !used.contains(port) && !given.contains(port))
        .expect("there is a free port");
    given.push(port);
    port
}

/// Every port that some socket has at its own end (`proc_net_tcp`: the second word of a line is `ADDRESS:PORT` in
/// hexadecimal).
fn used_ports() -> HashSet<u16> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| {
            table
                .lines()
                .skip(1)
                .filter_map(|line| {
                    let (_, port) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
                    u16::from_str_radix(port, 16).ok()
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_used_is_known_and_one_that_was_given_is_not_given_again() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(used_ports().contains(&listener.local_addr().unwrap().port()));
        assert_ne!(free_port(), free_port());
    }
}
