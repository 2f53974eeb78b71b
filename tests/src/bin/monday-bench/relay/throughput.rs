//! Bulk data through a relay: bytes a second, and the CPU time that they cost the relay.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::contender::Relay;

/// Writes and reads of this size keep generator and sink out of the way.
const CHUNK_BYTES: usize = 256 * 1024;

/// How long a stream runs before it is measured: congestion windows and buffers grow in this time.
const WARM_UP: Duration = Duration::from_millis(200);

/// One sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throughput {
    /// 10^9 bits a second, as they arrived.
    pub(crate) gigabits_per_second: f64,
    /// CPU seconds of the relay per 10^9 bytes.
    pub(crate) cpu_seconds_per_gigabyte: f64,
}

/// A server that reads and counts.
#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    received: Arc<AtomicU64>,
}

impl Sink {
    /// Starts it, for as long as the program runs.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                thread::spawn(move || swallow(stream, &counter));
            }
        });
        Ok(Self { address, received })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

fn swallow(mut stream: TcpStream, counter: &AtomicU64) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(read) = stream.read(&mut buffer) {
        if read == 0 {
            break;
        }
        counter.fetch_add(read as u64, Ordering::Relaxed);
    }
}

/// Sends through the relay over that many connections at once, for that long.
pub(crate) fn sample(
    relay: &Relay,
    sink: &Sink,
    streams: usize,
    length: Duration,
) -> io::Result<Throughput> {
    let mut connections = Vec::new();
    for _ in 0..streams {
        connections.push(TcpStream::connect(relay.address())?);
    }
    let senders: Vec<_> = connections
        .iter()
        .map(|stream| {
            stream
                .try_clone()
                .map(|stream| thread::spawn(move || flood(stream)))
        })
        .collect::<io::Result<_>>()?;

    thread::sleep(WARM_UP);
    let (start, bytes, cpu) = (Instant::now(), sink.received(), relay.cpu_seconds());
    thread::sleep(length);
    let (cpu, bytes, seconds) = (
        relay.cpu_seconds() - cpu,
        sink.received() - bytes,
        start.elapsed().as_secs_f64(),
    );

    for stream in connections {
        // The sender may have ended already.
        let _ = stream.shutdown(Shutdown::Both);
    }
    for sender in senders {
        let _ = sender.join();
    }
    // Exact: a sample has fewer than 2^52 bytes.
    #[allow(clippy::cast_precision_loss)]
    let gigabytes = bytes as f64 / 1e9;
    if gigabytes == 0.0 {
        return Err(io::Error::other("not a byte arrived"));
    }
    Ok(Throughput {
        gigabits_per_second: gigabytes * 8.0 / seconds,
        cpu_seconds_per_gigabyte: cpu / gigabytes,
    })
}

/// Writes until the connection is shut down.
fn flood(mut stream: TcpStream) {
    let chunk = vec![0x5a; CHUNK_BYTES];
    while stream.write_all(&chunk).is_ok() {}
}
