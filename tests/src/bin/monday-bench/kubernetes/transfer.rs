//! Bulk data: bytes a second as they arrive, and the CPU time of whoever forwards.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use monday_tests::pattern;

use super::contender::Forward;

/// No transfer stands still for so long.
const STALLED: Duration = Duration::from_secs(30);

/// Which way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    /// From the pod.
    Down,
    /// To it.
    Up,
}

/// One sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    /// 10^6 bytes a second.
    pub(crate) megabytes_per_second: f64,
    /// CPU seconds per 10^9 bytes.
    pub(crate) cpu_seconds_per_gigabyte: f64,
}

/// Transfers so many bytes of the pattern, every one of which is looked at.
pub(crate) fn sample(forward: &Forward, direction: Direction, bytes: u64) -> io::Result<Transfer> {
    let mut stream = TcpStream::connect(forward.address())?;
    stream.set_read_timeout(Some(STALLED))?;
    stream.set_write_timeout(Some(STALLED))?;
    let (cpu, start) = (forward.cpu_seconds(), Instant::now());
    match direction {
        Direction::Down => {
            writeln!(stream, "send {bytes}")?;
            let came = pattern::read(&mut stream, bytes)?;
            if came < bytes {
                return Err(io::Error::other(format!("{came} of {bytes} bytes came")));
            }
        }
        Direction::Up => {
            writeln!(stream, "take {bytes}")?;
            pattern::write(&mut stream, bytes)?;
            let mut answer = String::new();
            BufReader::new(&stream).read_line(&mut answer)?;
            if answer != format!("took {bytes}\n") {
                return Err(io::Error::other(format!("the pod says {answer:?}")));
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    // Exact: fewer than 2^52.
    #[allow(clippy::cast_precision_loss)]
    let bytes = bytes as f64;
    Ok(Transfer {
        megabytes_per_second: bytes / 1e6 / seconds,
        cpu_seconds_per_gigabyte: (forward.cpu_seconds() - cpu) / (bytes / 1e9),
    })
}
