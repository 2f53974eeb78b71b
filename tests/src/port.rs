//! Ports that nobody uses.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

/// A port that nobody listens on, on no address, and that is given to no other test of this run. Below the range from
/// which the kernel takes ports by itself (32768, ip(7)), so that it stays free until it is bound.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 22_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_with(|| {
        // Two runs at the same time begin at different places.
        let start = (std::process::id() * 97) % u32::from(COUNT);
        NEXT.store(u16::try_from(start).unwrap_or(0), Ordering::Relaxed);
        HashSet::new()
    });
    for _ in 0..COUNT {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        if std::net::TcpListener::bind(("0.0.0.0", port)).is_ok() && given.insert(port) {
            return port;
        }
    }
    panic!("there is no free port");
}
