//! A relay that holds every byte for a while, as a long way does, and does not limit how many are under way.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// So many pieces are under way at most; more than any window that is measured.
const PIECES: usize = 4096;

/// A running relay, for as long as the program runs.
pub(super) struct Delay {
    address: SocketAddr,
}

impl Delay {
    /// Starts one that leads to that address.
    pub(super) fn start(target: SocketAddr, each_way: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(target) {
                    let _ = both(&client, &server, each_way);
                }
            }
        });
        Ok(Self { address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn both(client: &TcpStream, server: &TcpStream, each_way: Duration) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    one(client.try_clone()?, server.try_clone()?, each_way);
    one(server.try_clone()?, client.try_clone()?, each_way);
    Ok(())
}

fn one(mut from: TcpStream, mut to: TcpStream, each_way: Duration) {
    let (send, pieces) = mpsc::sync_channel::<(Instant, Vec<u8>)>(PIECES);
    thread::spawn(move || {
        let mut buffer = vec![0; 128 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if send
                .send((Instant::now() + each_way, buffer[..read].to_vec()))
                .is_err()
            {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
