//! A server that means harm, and answers that make no sense.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use monday_tests::fake_api::Hostility;
use monday_tests::wait::{Deadline, PATIENCE};

use crate::forwarder::connect;
use crate::staged::Staged;

/// More than a forwarder needs, less than one that believes every length would take.
const MEMORY_KIB: u64 = 300 * 1024;

#[test]
fn nothing_that_a_server_sends_makes_it_panic_hang_or_eat_memory() {
    for hostility in Hostility::ALL {
        for transport in ["spdy", "websocket"] {
            let words = ["--transport", transport, "-l", "app=web", "0:echo"];
            let staged = Staged::with(&words, |_| {});
            staged
                .fake
                .behave(|behaviour| behaviour.hostility = Some(hostility));
            // Those who have a session have it; these do not.
            let mut open: Vec<_> = (0..4).map(|_| connect(staged.address)).collect();
            for stream in &mut open {
                stream
                    .set_read_timeout(Some(Duration::from_millis(500)))
                    .unwrap();
                let _ = stream.write_all(b"anybody there?");
                let _ = stream.read(&mut [0; 64]);
            }
            let used = resident_kib(staged.process.pid());
            assert!(
                used < MEMORY_KIB,
                "{used} KiB before a server of {hostility:?}"
            );
            drop(open);
            // It is alive, and so is its listener; what is left of the hostile sessions may take another connection.
            staged.fake.behave(|behaviour| behaviour.hostility = None);
            let deadline = Deadline::within(3 * PATIENCE);
            while !staged.try_exchange() {
                assert!(!deadline.passed(), "it does not recover from {hostility:?}");
            }
            staged.end();
        }
    }
}

/// What a process has in memory (`proc_pid_status(5)`).
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
