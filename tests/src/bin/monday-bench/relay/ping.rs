//! Small messages back and forth through a relay: how long an answer takes.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::contender::Relay;

/// The size of a message: a small request or row.
const MESSAGE_BYTES: usize = 64;

/// What is not measured: the path gets warm.
const WARM_UP: usize = 200;

/// Sends a message and waits for it to come back, again and again for that long, and returns the median time in
/// microseconds.
///
/// # Errors
/// The relay cannot be reached, or the connection ends.
pub(crate) fn sample(relay: &Relay, length: Duration) -> io::Result<f64> {
    let mut stream = TcpStream::connect(relay.address())?;
    stream.set_nodelay(true)?;
    let mut message = [0x5a; MESSAGE_BYTES];
    let mut micros = Vec::new();
    let start = Instant::now();
    while start.elapsed() < length || micros.len() <= WARM_UP {
        let sent = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        micros.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    Ok(crate::median::median(&micros[WARM_UP..]))
}
