//! The threads on which forwards live.
//!
//! A forward stays on one thread, with its tunnel and all of its connections: no lock and no wake-up crosses threads
//! while bytes flow. Forwards are dealt out to the threads by turns.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// More threads than this are of no use to a developer's machine.
const MOST_THREADS: usize = 4;

/// All threads. They end when this is dropped, and whatever still runs on them.
#[derive(Clone, Debug)]
pub struct Threads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    runtimes: Vec<Handle>,
    next: AtomicUsize,
    _end: DropGuard,
}

impl Threads {
    /// Starts as many threads as this machine has processors, but not more than are of use.
    ///
    /// # Errors
    /// No thread can be made, or no runtime for it.
    pub fn start() -> io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let end = CancellationToken::new();
        let runtimes = (0..processors.min(MOST_THREADS))
            .map(|number| start_thread(number, end.clone()))
            .collect::<io::Result<_>>()?;
        Ok(Self(Arc::new(Inner {
            runtimes,
            next: AtomicUsize::new(0),
            _end: end.drop_guard(),
        })))
    }

    /// The thread of the next forward.
    pub(crate) fn next(&self) -> Handle {
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed);
        // There is at least one.
        self.0.runtimes[turn % self.0.runtimes.len()].clone()
    }
}

fn start_thread(number: usize, end: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name(format!("forward-{number}"))
        .spawn(move || {
            runtime.block_on(end.cancelled());
            // Nothing that is still blocked (a name that resolves slowly) may hold up the end.
            runtime.shutdown_background();
        })?;
    Ok(handle)
}
