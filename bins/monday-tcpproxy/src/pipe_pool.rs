//! Pipes for the directions that move bulk data right now.
//!
//! Pipes are scarce: each takes two file descriptors, and their memory is a budget that the user's programs share
//! (64 MiB by default, pipe(7)). So a direction takes one only while it has something to move, and gives it back as
//! soon as its source has nothing more to read. A direction that gets none copies instead.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::platform::Pipe;

/// The capacity of the first pipes in bytes: the most that an ordinary user may ask for. Measured with four streams,
/// it takes a third of the CPU time that 256 KiB take.
const LARGE_PIPE_BYTES: usize = 1024 * 1024;

/// How many of those there may be: 16 MiB, a quarter of what the kernel lets an ordinary user have.
const LARGE_PIPES: usize = 16;

/// The capacity of those that come after.
const PIPE_BYTES: usize = 256 * 1024;

/// How many pipes there may be in all, those in use included; another 12 MiB.
const PIPES: usize = 64;

/// How many unused pipes are kept for whoever needs one next.
const IDLE_PIPES: usize = LARGE_PIPES;

/// How bytes get from one socket to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CopyPath {
    /// Through a buffer, and through pipes inside the kernel while bulk data is on its way
    #[default]
    Auto,
    /// Through a buffer only
    Buffer,
    /// Through pipes only, where the system can and while there are any
    Splice,
}

/// The pipes of one process.
#[derive(Debug)]
pub(crate) struct PipePool {
    path: CopyPath,
    /// Set when the kernel cannot splice between these sockets.
    broken: AtomicBool,
    lent: AtomicUsize,
    idle: Mutex<Vec<Pipe>>,
}

impl PipePool {
    pub(crate) fn new(path: CopyPath) -> Self {
        Self {
            path,
            broken: AtomicBool::new(path == CopyPath::Buffer),
            lent: AtomicUsize::new(0),
            idle: Mutex::default(),
        }
    }

    /// Lends an empty pipe, if there is one to be had.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Lent> {
        if self.broken.load(Ordering::Relaxed) {
            return None;
        }
        let place = Place::take(self)?;
        let idle = self.idle().pop();
        let pipe = match idle.map_or_else(|| place.open_pipe(), Ok) {
            Ok(pipe) => pipe,
            Err(error) => {
                tracing::debug!(%error, "no pipe to be had, copying instead");
                if error.kind() == io::ErrorKind::Unsupported {
                    self.give_up();
                }
                return None;
            }
        };
        Some(Lent { pipe, place })
    }

    /// How the directions shall move bytes.
    pub(crate) fn path(&self) -> CopyPath {
        self.path
    }

    /// Never lends a pipe again: this kernel, or whatever pretends to be one, cannot splice.
    pub(crate) fn give_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Pipe>> {
        // Nothing panics while it holds the lock, and if it did the list would still be good.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pipe on loan. Dropping it closes it, for what is still in it must never reach the next user.
#[derive(Debug)]
pub(crate) struct Lent {
    pipe: Pipe,
    place: Place,
}

impl Lent {
    pub(crate) fn pipe(&self) -> &Pipe {
        &self.pipe
    }

    /// Gives the pipe back, which must be empty.
    pub(crate) fn give_back(self) {
        let Self { pipe, place } = self;
        let mut idle = place.pool.idle();
        if idle.len() < IDLE_PIPES {
            idle.push(pipe);
        }
    }
}

/// The right to have one pipe; given up when it is dropped.
#[derive(Debug)]
struct Place {
    pool: Arc<PipePool>,
    /// How many others were lent when this one was taken.
    others: usize,
}

impl Place {
    fn take(pool: &Arc<PipePool>) -> Option<Self> {
        let place = Self {
            others: pool.lent.fetch_add(1, Ordering::Relaxed),
            pool: Arc::clone(pool),
        };
        (place.others < PIPES).then_some(place)
    }

    fn open_pipe(&self) -> io::Result<Pipe> {
        if self.others < LARGE_PIPES
            && let Ok(pipe) = Pipe::open(LARGE_PIPE_BYTES)
        {
            return Ok(pipe);
        }
        // Other programs of the same user may have used up the budget for large ones.
        Pipe::open(PIPE_BYTES)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.lent.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_was_given_back_is_lent_again() {
        let pool = Arc::new(PipePool::new(CopyPath::Auto));
        pool.take().unwrap().give_back();
        assert_eq!(pool.idle().len(), 1);
        let _lent = pool.take().unwrap();
        assert_eq!(pool.idle().len(), 0);
    }

    #[test]
    fn a_pipe_that_was_dropped_is_never_lent_again_but_its_place_is() {
        let pool = Arc::new(PipePool::new(CopyPath::Auto));
        let all: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(all.len(), PIPES);
        drop(all);
        assert_eq!(pool.idle().len(), 0);
        assert!(pool.take().is_some());
    }

    #[test]
    fn unused_pipes_beyond_a_few_are_closed() {
        let pool = Arc::new(PipePool::new(CopyPath::Auto));
        let all: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        all.into_iter().for_each(Lent::give_back);
        assert_eq!(pool.idle().len(), IDLE_PIPES);
    }

    #[test]
    fn without_splicing_nothing_is_lent() {
        assert!(Arc::new(PipePool::new(CopyPath::Buffer)).take().is_none());
        let pool = Arc::new(PipePool::new(CopyPath::Auto));
        pool.give_up();
        assert!(pool.take().is_none());
    }
}
