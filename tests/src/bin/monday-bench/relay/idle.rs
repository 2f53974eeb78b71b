//! Connections on which nothing happens: what each costs the relay, and that many of them slow nobody down.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use super::contender::Relay;

/// So many are opened to see what one costs: enough that the memory which a relay has anyway does not matter.
pub(crate) const CONNECTIONS: usize = 1000;

/// What one idle connection costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    /// User memory in KiB (Pss of the process, proc(5)).
    pub(crate) kib_each: f64,
    /// File descriptors.
    pub(crate) descriptors_each: f64,
}

/// Opens that many connections, each of which has had a byte there and back.
///
/// # Errors
/// One of them cannot be opened, or does not work.
pub(crate) fn open(relay: &Relay, count: usize) -> io::Result<Vec<TcpStream>> {
    (0..count)
        .map(|_| {
            let mut stream = TcpStream::connect(relay.address())?;
            let mut byte = [0x5a];
            stream.write_all(&byte)?;
            stream.read_exact(&mut byte)?;
            Ok(stream)
        })
        .collect()
}

/// Measures one sample. `None`: there is no process to measure, or it is gone.
///
/// # Errors
/// Those of [`open`].
pub(crate) fn sample(relay: &Relay) -> io::Result<Option<Idle>> {
    let Some(pid) = relay.pid() else {
        return Ok(None);
    };
    // What a first connection makes the relay allocate is not the price of the others.
    drop(open(relay, 50)?);
    std::thread::sleep(std::time::Duration::from_millis(100));
    let Some(before) = usage(pid) else {
        return Ok(None);
    };
    let connections = open(relay, CONNECTIONS)?;
    let after = usage(pid);
    drop(connections);
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    Ok(after.map(|after| Idle {
        kib_each: (after.0 - before.0) / CONNECTIONS as f64,
        descriptors_each: (after.1 - before.1) / CONNECTIONS as f64,
    }))
}

/// User memory in KiB, and open descriptors.
fn usage(pid: u32) -> Option<(f64, f64)> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let pss: f64 = pss.split_whitespace().next()?.parse().ok()?;
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    #[allow(clippy::cast_precision_loss, reason = "a small number")]
    Some((pss, descriptors as f64))
}
