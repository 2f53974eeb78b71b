//! The servers at the far end.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Large enough to keep these out of the way.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// Serves every connection in a thread of its own, for as long as the program runs.
fn serve(with: impl Fn(TcpStream) + Send + Sync + 'static) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let with = Arc::new(with);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let with = Arc::clone(&with);
            thread::spawn(move || {
                // A server of small answers sends them at once.
                let _ = stream.set_nodelay(true);
                with(stream);
            });
        }
    });
    Ok(address)
}

/// Reads and counts.
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    received: Arc<AtomicU64>,
}

impl Sink {
    pub(super) fn start() -> io::Result<Self> {
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        let address = serve(move |mut stream| {
            let mut buffer = vec![0; CHUNK_BYTES];
            while let Ok(read) = stream.read(&mut buffer) {
                if read == 0 {
                    break;
                }
                counter.fetch_add(read as u64, Ordering::Relaxed);
            }
        })?;
        Ok(Self { address, received })
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// Sends as much as is taken; a client that says `e` first has its bytes sent back instead.
pub(super) struct Flood {
    pub(super) address: SocketAddr,
}

impl Flood {
    pub(super) fn start() -> io::Result<Self> {
        let address = serve(|mut stream| {
            let mut first = [0];
            if stream.read_exact(&mut first).is_err() {
                return;
            }
            if first == *b"e" {
                echo(stream);
                return;
            }
            let chunk = vec![0x5a; CHUNK_BYTES];
            while stream.write_all(&chunk).is_ok() {}
        })?;
        Ok(Self { address })
    }
}

/// Sends back what it gets.
pub(super) struct Echo {
    pub(super) address: SocketAddr,
}

impl Echo {
    pub(super) fn start() -> io::Result<Self> {
        serve(echo).map(|address| Self { address })
    }
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 64];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}
