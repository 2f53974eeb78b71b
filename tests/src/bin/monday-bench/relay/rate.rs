//! New connections through a relay: connect, one byte each way, reset.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use super::contender::Relay;

/// Clients that connect at the same time, and as many threads that answer.
const CLIENTS: usize = 32;

/// A connection that takes longer than this counts as failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// One sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Connections a second that had their answer.
    pub(crate) per_second: f64,
    /// CPU microseconds of the relay per connection.
    pub(crate) cpu_micros_each: f64,
    /// Connections that had none.
    pub(crate) failed: u64,
}

/// A server that sends back what it gets.
#[derive(Debug)]
pub(crate) struct EchoServer {
    address: SocketAddr,
}

impl EchoServer {
    /// Starts it, for as long as the program runs.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        for _ in 0..CLIENTS {
            let listener = listener.try_clone()?;
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    echo(stream);
                }
            });
        }
        Ok(Self { address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Until the client closes or resets.
fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 64];
    while let Ok(len @ 1..) = stream.read(&mut buffer)
        && stream.write_all(&buffer[..len]).is_ok()
    {}
}

/// A server that sends back what it gets, to any number of clients at the same time.
///
/// # Errors
/// It cannot listen, or have a thread.
pub(crate) fn start_patient_echo() -> io::Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    thread::Builder::new().spawn(move || {
        runtime.block_on(async {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let _ = stream.set_nodelay(true);
                        let (mut from, mut to) = stream.into_split();
                        let mut buffer = [0; 64];
                        while let Ok(len @ 1..) =
                            tokio::io::AsyncReadExt::read(&mut from, &mut buffer).await
                            && tokio::io::AsyncWriteExt::write_all(&mut to, &buffer[..len])
                                .await
                                .is_ok()
                        {}
                    });
                }
            }
        });
    })?;
    Ok(address)
}

/// Connects through the relay again and again for that long.
pub(crate) fn sample(relay: &Relay, length: Duration) -> Rate {
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let failed = Arc::new(AtomicU64::new(0));
    let cpu = relay.cpu_seconds();
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (stop, done, failed) = (Arc::clone(&stop), Arc::clone(&done), Arc::clone(&failed));
            let address = relay.address();
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let counter = if exchange(address).is_ok() {
                        &done
                    } else {
                        &failed
                    };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    thread::sleep(length);
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let _ = client.join();
    }
    let seconds = start.elapsed().as_secs_f64();
    // Exact: a sample has fewer than 2^52 connections.
    #[allow(clippy::cast_precision_loss)]
    let connections = done.load(Ordering::Relaxed) as f64;
    Rate {
        per_second: connections / seconds,
        cpu_micros_each: (relay.cpu_seconds() - cpu) * 1e6 / connections.max(1.0),
        failed: failed.load(Ordering::Relaxed),
    }
}

/// One connection: a byte there, a byte back, reset. A reset leaves no socket in TIME-WAIT, of which there is room for
/// only some 28,000 per address.
fn exchange(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut byte = [0x5a];
    stream.write_all(&byte)?;
    stream.read_exact(&mut byte)?;
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    Ok(setsockopt(&stream, sockopt::Linger, &at_once)?)
}
