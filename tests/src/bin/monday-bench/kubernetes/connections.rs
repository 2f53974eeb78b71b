//! New connections, and small writes on one.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Clients that connect at once.
const CLIENTS: usize = 8;

/// A connection that takes longer than this has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How often three small writes are made.
const SMALL_WRITES: usize = 30;

/// From one to the next: too far apart to be put together, and near enough that Nagle's algorithm would hold them back.
const BETWEEN_WRITES: Duration = Duration::from_millis(1);

/// Milliseconds, at the middle and near the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
}

impl Spread {
    fn of(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let place = milliseconds.len().saturating_sub(1) * percent / 100;
            milliseconds.get(place).copied().unwrap_or(0.0)
        };
        Self {
            p50: at(50),
            p95: at(95),
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A byte there and back on a connection of its own.
fn exchange(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// How long it takes from connecting until the first byte is back, one connection at a time.
pub(crate) fn first_bytes(address: SocketAddr, count: usize) -> io::Result<Spread> {
    // Whatever is made ready at the first one is ready then.
    exchange(address)?;
    (0..count)
        .map(|_| {
            let start = Instant::now();
            exchange(address)?;
            Ok(milliseconds(start))
        })
        .collect::<io::Result<_>>()
        .map(Spread::of)
}

/// Connections a second that had their answer, eight clients at once.
pub(crate) fn rate(address: SocketAddr, each: usize) -> io::Result<f64> {
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| thread::spawn(move || (0..each).try_for_each(|_| exchange(address))))
        .collect();
    for client in clients {
        client
            .join()
            .map_err(|_| io::Error::other("a client panicked"))??;
    }
    // Exact: fewer than 2^52.
    #[allow(clippy::cast_precision_loss)]
    let connections = (CLIENTS * each) as f64;
    Ok(connections / start.elapsed().as_secs_f64())
}

/// How long it takes from the first of three small writes until the answer to the last.
pub(crate) fn small_writes(address: SocketAddr) -> io::Result<Spread> {
    let mut stream = connect(address)?;
    (0..SMALL_WRITES)
        .map(|_| {
            let start = Instant::now();
            for byte in [b"a", b"b", b"c"] {
                stream.write_all(byte)?;
                thread::sleep(BETWEEN_WRITES);
            }
            stream.read_exact(&mut [0; 3])?;
            Ok(milliseconds(start))
        })
        .collect::<io::Result<_>>()
        .map(Spread::of)
}

/// A server that sends back what it gets, for as long as the program runs.
pub(crate) fn echo() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || -> io::Result<()> {
                stream.set_nodelay(true)?;
                io::copy(&mut &stream, &mut &stream).map(drop)
            });
        }
    });
    Ok(address)
}
