//! The measurements.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::contender::Running;
use super::servers::{CHUNK_BYTES, Sink};
use crate::median::median;

/// How long a stream runs before it is measured: windows and buffers grow in this time.
const WARM_UP: Duration = Duration::from_millis(400);

/// What does not come in this time does not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// One stream.
pub(super) struct Stream {
    /// 10^9 bits a second, as they arrived.
    pub(super) gigabits: f64,
    /// CPU seconds of the client per 10^9 bytes.
    pub(super) cpu: f64,
}

fn connect(running: &Running) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(running.address())?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Counts what arrives while it runs, and what it costs.
fn watch(running: &Running, length: Duration, received: impl Fn() -> u64) -> Stream {
    thread::sleep(WARM_UP);
    let (start, bytes, cpu) = (Instant::now(), received(), running.cpu_seconds());
    thread::sleep(length);
    let (cpu, bytes, seconds) = (
        running.cpu_seconds() - cpu,
        received() - bytes,
        start.elapsed().as_secs_f64(),
    );
    // Exact: a sample has fewer than 2^52 bytes.
    #[allow(clippy::cast_precision_loss)]
    let gigabytes = bytes as f64 / 1e9;
    Stream {
        gigabits: gigabytes * 8.0 / seconds,
        cpu: cpu / gigabytes,
    }
}

/// From here to there.
pub(super) fn up(running: &Running, sink: &Sink, length: Duration) -> io::Result<Stream> {
    let stream = connect(running)?;
    let mut sender = stream.try_clone()?;
    let sending = thread::spawn(move || {
        let chunk = vec![0x5a; CHUNK_BYTES];
        while sender.write_all(&chunk).is_ok() {}
    });
    let measured = watch(running, length, || sink.received());
    // The sender may have ended already.
    let _ = stream.shutdown(Shutdown::Both);
    let _ = sending.join();
    Ok(measured)
}

/// From there to here.
pub(super) fn down(running: &Running, length: Duration) -> io::Result<Stream> {
    let mut stream = connect(running)?;
    stream.write_all(b"f")?;
    let received = Arc::new(AtomicU64::new(0));
    let (counter, mut reader) = (Arc::clone(&received), stream.try_clone()?);
    let reading = thread::spawn(move || {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            counter.fetch_add(read as u64, Ordering::Relaxed);
        }
    });
    let measured = watch(running, length, || received.load(Ordering::Relaxed));
    let _ = stream.shutdown(Shutdown::Both);
    let _ = reading.join();
    Ok(measured)
}

/// New connections a second, so many at a time: a byte there, a byte back, closed.
pub(super) fn rate(running: &Running, at_a_time: usize, length: Duration) -> f64 {
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let start = Instant::now();
    let clients: Vec<_> = (0..at_a_time)
        .map(|_| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            let address = running.address();
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let exchanged = TcpStream::connect(address).and_then(|mut stream| {
                        stream.set_read_timeout(Some(PATIENCE))?;
                        stream.write_all(b"x")?;
                        stream.read_exact(&mut [0])
                    });
                    if exchanged.is_ok() {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    thread::sleep(length);
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let _ = client.join();
    }
    // Exact: a sample has fewer than 2^52 connections.
    #[allow(clippy::cast_precision_loss)]
    let connections = done.load(Ordering::Relaxed) as f64;
    connections / start.elapsed().as_secs_f64()
}

/// The median time of 64 bytes there and back, in microseconds.
pub(super) fn ping_pong(running: &Running, length: Duration) -> io::Result<f64> {
    rally(&mut connect(running)?, length)
}

/// The same, beside a connection to a server that floods and a client that does not read.
pub(super) fn beside_a_stalled_one(running: &Running, length: Duration) -> io::Result<f64> {
    let mut other = connect(running)?;
    other.write_all(b"e")?;
    let mut stalled = connect(running)?;
    stalled.write_all(b"f")?;
    thread::sleep(WARM_UP);
    let mut own = connect(running)?;
    own.write_all(b"e")?;
    let (before, after) = (rally(&mut other, length / 2)?, rally(&mut own, length / 2)?);
    drop(stalled);
    Ok(before.max(after))
}

fn rally(stream: &mut TcpStream, length: Duration) -> io::Result<f64> {
    let mut times = Vec::new();
    let start = Instant::now();
    let mut ball = [0x5a; 64];
    while start.elapsed() < length {
        let played = Instant::now();
        stream.write_all(&ball)?;
        stream.read_exact(&mut ball)?;
        times.push(played.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&times))
}
