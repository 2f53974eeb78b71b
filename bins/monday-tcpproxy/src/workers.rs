//! The threads that relay.
//!
//! A connection belongs to one thread from its beginning to its end, both of its directions, each thread having a
//! runtime of its own: no lock and no wake-up crosses threads while bytes flow, as they would in a runtime that moves
//! tasks between its threads.
//!
//! All threads accept on all listeners, so the one that has time takes the next client. A thread that has many more
//! connections than another hands the new one over, lest a few long streams all end up on whichever was woken first.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::socket::Socket;

/// More threads than this are of no use to a developer's machine: two saturate loopback.
const MOST_WORKERS: usize = 4;

/// All workers. They end when this is dropped, and whatever still runs on them.
#[derive(Debug)]
pub struct Workers {
    seats: Arc<[Seat]>,
    _end: Option<DropGuard>,
}

/// One thread's runtime and how many connections it has.
#[derive(Debug)]
struct Seat {
    runtime: Handle,
    connections: AtomicUsize,
}

/// One of the threads.
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
            _end: Some(end.drop_guard()),
        })
    }

    /// Uses the runtime in which this is called, and starts nothing.
    #[must_use]
    pub fn here() -> Self {
        Self {
            seats: Arc::new([Seat::new(Handle::current())]),
            _end: None,
        }
    }

    /// Waits until every thread has finished what it was doing with one connection. What was ordered before that holds
    /// for every byte that comes after it.
    pub(crate) async fn finish_turns(&self) {
        for seat in &*self.seats {
            // Each runs one thing at a time, and this one after whatever runs now. It cannot fail but by ending.
            let _ = seat.runtime.spawn(async {}).await;
        }
    }

    /// All threads.
    pub(crate) fn all(&self) -> impl Iterator<Item = Worker> {
        (0..self.seats.len()).map(|own| Worker {
            seats: Arc::clone(&self.seats),
            own,
        })
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
    /// Runs what accepts on this thread.
    pub(crate) fn spawn_acceptor<F>(&self, acceptor: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.seats[self.own].runtime.spawn(acceptor)
    }

    /// Serves a client that was accepted on this thread: here, or on one that has far fewer connections.
    ///
    /// # Errors
    /// The client cannot be moved to the other thread.
    pub(crate) fn spawn_connection<F>(
        &self,
        client: Socket,
        serve: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let counts = self
            .seats
            .iter()
            .map(|seat| seat.connections.load(Ordering::Relaxed));
        let chosen = choose(self.own, counts);
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
        let client = client.detach()?;
        runtime.spawn(async move {
            match client.attach() {
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

/// Which thread serves a client that thread `own` has accepted: that one, unless the one with the fewest connections
/// has less than three quarters of its count. With few connections that evens them out; with many it keeps them where
/// they are, for waking another thread costs as much as a twentieth of a short connection.
fn choose(own: usize, counts: impl Iterator<Item = usize> + Clone) -> usize {
    let mine = counts.clone().nth(own).unwrap_or(0);
    match counts.enumerate().min_by_key(|&(_, count)| count) {
        // The counts go on changing while they are read: the least may be more than `mine` was a moment ago.
        Some((place, least)) if mine.saturating_sub(least) > mine / 4 => place,
        _ => own,
    }
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
    use tokio::net::{TcpListener, TcpStream};

    #[test]
    fn few_connections_are_spread_evenly_and_many_stay_where_they_are() {
        let choose = |own, counts: &[usize]| choose(own, counts.iter().copied());
        assert_eq!(choose(0, &[0, 0]), 0);
        assert_eq!(choose(1, &[0, 0]), 1);
        assert_eq!(choose(0, &[1, 0]), 1);
        assert_eq!(choose(0, &[3, 2, 1]), 2);
        assert_eq!(choose(0, &[16, 12]), 0);
        assert_eq!(choose(0, &[17, 12]), 1);
        assert_eq!(choose(1, &[17, 12]), 1);
    }

    #[test]
    fn counts_that_grow_while_they_are_read_harm_nobody() {
        let reads = std::cell::Cell::new(0);
        let growing = (0..2).map(|_| {
            reads.set(reads.get() + 1);
            reads.get()
        });
        assert_eq!(choose(0, growing), 0);
    }

    #[test]
    fn connections_spread_over_all_threads() {
        let workers = Workers::start_threads(3).unwrap();
        let worker = workers.all().next().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let hold = CancellationToken::new();
        let release = hold.clone().drop_guard();
        let spawning = worker.clone();
        worker.spawn_acceptor(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            for _ in 0..6 {
                let (tell, hold) = (tell.clone(), hold.clone());
                let client = TcpStream::connect(address).await.unwrap();
                let serve = |client: Socket| async move {
                    let _ = tell.send(std::thread::current().id());
                    hold.cancelled().await;
                    drop(client);
                };
                spawning.spawn_connection(client.into(), serve).unwrap();
            }
        });
        let threads: Vec<_> = (0..6).map(|_| told.recv().unwrap()).collect();
        drop(release);
        for thread in &threads {
            assert_eq!(threads.iter().filter(|other| *other == thread).count(), 2);
        }
    }
}
