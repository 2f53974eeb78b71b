//! A target that comes and goes while clients use it, and a relay that has no descriptors left.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::relays::{Deviation, Relayed};
use crate::harness::{HANGS, Server, connect, echo_server, noise, reset, wait_until};

const CLIENTS: usize = 8;

/// How often the target restarts, and how many exchanges succeed before each time.
const RESTARTS: usize = 5;
const EXCHANGES: usize = 40;

pub(super) fn a_target_that_restarts_under_load_is_found_again(relayed: &mut Relayed) {
    let (address, target) = (relayed.address, relayed.target);
    let (done, succeeded) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut server = relayed.server.take();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (done, succeeded) = (&done, &succeeded);
            scope.spawn(move || {
                let message = noise(1000 * (client + 1));
                while !done.load(Ordering::Relaxed) {
                    match exchange(address, &message) {
                        // What arrives is what was sent, or there is an error: never something else.
                        Ok(answer) if answer.len() == message.len() => {
                            assert!(answer == message);
                            succeeded.fetch_add(1, Ordering::Relaxed);
                        }
                        // A new one is refused when the target is away, and a live one is cut when it goes.
                        part => {
                            assert!(message.starts_with(&part.unwrap_or_default()));
                            thread::sleep(Duration::from_millis(1));
                        }
                    }
                }
            });
        }
        let _end = Set(&done);
        for _ in 0..RESTARTS {
            let before = succeeded.load(Ordering::Relaxed);
            let running = Echoing::start(server.take().unwrap_or_else(|| again(target)));
            wait_until("clients get answers", || {
                succeeded.load(Ordering::Relaxed) >= before + EXCHANGES
            });
            running.stop();
        }
    });
}

/// Says so at its end, be that a failure.
struct Set<'a>(&'a AtomicBool);

impl Drop for Set<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The target, at an address where it was before.
fn again(target: SocketAddr) -> Server {
    let mut listener = None;
    // A relay that asks for it may have the port for a moment, as that of its own end.
    wait_until("the target's port is free", || {
        listener = TcpListener::bind(target).ok();
        listener.is_some()
    });
    Server::of(listener.unwrap())
}

fn exchange(address: SocketAddr, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(HANGS))?;
    stream.write_all(message)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// A target that echoes until it is stopped, its connections with it.
struct Echoing {
    address: SocketAddr,
    thread: thread::JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Echoing {
    fn start(server: Server) -> Self {
        let address = server.address();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut connections = Vec::new();
            loop {
                let stream = server.accept();
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let echo = stream.try_clone().unwrap();
                connections.push(stream);
                thread::spawn(move || {
                    let mut reader = echo.try_clone().unwrap();
                    // It may be cut at any moment.
                    let _ = std::io::copy(&mut reader, &mut &echo);
                    let _ = echo.shutdown(Shutdown::Write);
                });
            }
            for stream in connections {
                // Those that are over do not mind.
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        Self {
            address,
            thread,
            stop,
        }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        // So that it looks.
        drop(TcpStream::connect(self.address));
        self.thread.join().unwrap();
    }
}

/// As many as half of the clients can be served at once. Those that come later are, when the others have gone.
pub(super) fn out_of_descriptors_clients_wait_for_their_turn(relayed: &mut Relayed) {
    const AT_ONCE: usize = 8;
    let Some(mut limited) = Relayed::before(relayed.relay, echo_server()) else {
        return;
    };
    // Whatever a relay takes once for itself with its first connections.
    let mut first = connect(limited.address);
    assert!(is_served(&mut first));
    reset(first);
    limited.assert_nothing_left();
    limited.limit_descriptors(2 * AT_ONCE);
    let mut clients: Vec<TcpStream> = (0..3 * AT_ONCE).map(|_| connect(limited.address)).collect();
    for client in &mut clients {
        client.write_all(b"ping").unwrap();
    }
    wait_until("no descriptor is left", || limited.descriptors_left() <= 1);
    let later = clients.split_off(AT_ONCE);
    clients.into_iter().for_each(reset);
    for mut client in later {
        let mut answer = [0; 4];
        match client.read_exact(&mut answer) {
            Ok(()) => assert_eq!(&answer, b"ping"),
            // haproxy accepts it, finds no descriptor for its target and drops it.
            Err(error) => assert!(
                limited.relay.has(Deviation::DropsWhatItCannotServe),
                "{error}"
            ),
        }
        reset(client);
    }
    let mut last = connect(limited.address);
    assert!(is_served(&mut last));
    drop(last);
    limited.assert_nothing_left();
}

fn is_served(client: &mut TcpStream) -> bool {
    let mut answer = [0; 4];
    client.write_all(b"ping").is_ok()
        && client.read_exact(&mut answer).is_ok()
        && &answer == b"ping"
}
