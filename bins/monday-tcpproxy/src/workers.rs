//! The threads that relay.
//!
//! A connection belongs to one thread from its beginning to its end, both of its directions, each thread having a
//! runtime of its own: no lock and no wake-up crosses threads while bytes flow, as they would in a runtime that moves
//! tasks between its threads. What that costs is decided once per connection: which thread takes it.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// More threads than this are of no use to a developer's machine: two saturate loopback.
const MOST_WORKERS: usize = 4;

/// All workers. They end when this is dropped, and whatever still runs on them.
#[derive(Debug)]
pub struct Workers {
    seats: Arc<[Seat]>,
    next: AtomicUsize,
    _end: Option<DropGuard>,
}

/// One thread's runtime and how many connections it has.
#[derive(Debug)]
struct Seat {
    runtime: Handle,
    connections: AtomicUsize,
}

/// A listener's place: the thread that it is on.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    seats: Arc<[Seat]>,
    own: usize,
}

impl Workers {
    /// Starts as many threads as this machine has processors, but not more than are of use.
    ///
    /// # Errors
    /// No thread can be made, or no runtime for it.
    pub fn start() -> io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::start_threads(processors.min(MOST_WORKERS))
    }

    /// Starts that many threads.
    ///
    /// # Errors
    /// No thread can be made, or no runtime for it.
    pub fn start_threads(count: usize) -> io::Result<Self> {
        let end = CancellationToken::new();
        let seats = (0..count.max(1))
            .map(|number| start_thread(number, end.clone()).map(Seat::new))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            seats,
            next: AtomicUsize::new(0),
            _end: Some(end.drop_guard()),
        })
    }

    /// Uses the runtime in which this is called, and starts nothing.
    #[must_use]
    pub fn here() -> Self {
        Self {
            seats: Arc::new([Seat::new(Handle::current())]),
            next: AtomicUsize::new(0),
            _end: None,
        }
    }

    /// A place for one more listener, each thread in turn.
    pub(crate) fn next(&self) -> Worker {
        Worker {
            seats: Arc::clone(&self.seats),
            own: self.next.fetch_add(1, Ordering::Relaxed) % self.seats.len(),
        }
    }
}

impl Seat {
    fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            connections: AtomicUsize::new(0),
        }
    }
}

impl Worker {
    /// Runs a listener on its thread.
    pub(crate) fn spawn_listener<F>(&self, listener: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.seats[self.own].runtime.spawn(listener)
    }

    /// Serves a client that was accepted on the listener's thread: there, or on one that has fewer connections.
    ///
    /// # Errors
    /// The client cannot be moved to the other thread.
    pub(crate) fn spawn_connection<F>(
        &self,
        client: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let counts = self
            .seats
            .iter()
            .map(|seat| seat.connections.load(Ordering::Relaxed));
        let chosen = least_loaded(self.own, counts);
        let load = Load::put_on(&self.seats, chosen);
        let runtime = &self.seats[chosen].runtime;
        if chosen == self.own {
            let serving = serve(client);
            runtime.spawn(async move {
                serving.await;
                drop(load);
            });
            return Ok(());
        }
        // It is registered with the runtime of this thread, and has to be with that of the other.
        let client = client.into_std()?;
        runtime.spawn(async move {
            match TcpStream::from_std(client) {
                Ok(client) => serve(client).await,
                Err(error) => tracing::warn!(%error, "a connection cannot be served"),
            }
            drop(load);
        });
        Ok(())
    }
}

/// One connection in the count of a thread.
#[derive(Debug)]
struct Load {
    seats: Arc<[Seat]>,
    place: usize,
}

impl Load {
    fn put_on(seats: &Arc<[Seat]>, place: usize) -> Self {
        seats[place].connections.fetch_add(1, Ordering::Relaxed);
        Self {
            seats: Arc::clone(seats),
            place,
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.seats[self.place]
            .connections
            .fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place of the smallest count; where several are the smallest, `own` if it is one of them, for staying on a thread
/// is cheaper than waking another.
fn least_loaded(own: usize, counts: impl Iterator<Item = usize>) -> usize {
    counts
        .enumerate()
        .min_by_key(|&(place, count)| (count, place != own))
        .map_or(own, |(place, _)| place)
}

fn start_thread(number: usize, end: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name(format!("relay-{number}"))
        .spawn(move || {
            runtime.block_on(end.cancelled());
            // A name that resolves slowly must not hold up the end.
            runtime.shutdown_background();
        })?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn a_connection_stays_on_its_listeners_thread_unless_another_has_fewer() {
        assert_eq!(least_loaded(0, [0, 0].into_iter()), 0);
        assert_eq!(least_loaded(1, [0, 0].into_iter()), 1);
        assert_eq!(least_loaded(0, [1, 0].into_iter()), 1);
        assert_eq!(least_loaded(0, [2, 1, 0].into_iter()), 2);
    }

    #[test]
    fn connections_spread_over_all_threads() {
        let workers = Workers::start_threads(3).unwrap();
        let worker = workers.next();
        let (tell, told) = std::sync::mpsc::channel();
        let hold = CancellationToken::new();
        let release = hold.clone().drop_guard();
        let spawning = worker.clone();
        worker.spawn_listener(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            for _ in 0..6 {
                let (tell, hold) = (tell.clone(), hold.clone());
                let client = TcpStream::connect(address).await.unwrap();
                let serve = |client: TcpStream| async move {
                    let _ = tell.send(std::thread::current().id());
                    hold.cancelled().await;
                    drop(client);
                };
                spawning.spawn_connection(client, serve).unwrap();
            }
        });
        let threads: Vec<_> = (0..6).map(|_| told.recv().unwrap()).collect();
        drop(release);
        for thread in &threads {
            assert_eq!(threads.iter().filter(|other| *other == thread).count(), 2);
        }
    }
}
