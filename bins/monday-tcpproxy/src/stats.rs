//! What is counted per route.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::relay::Traffic;

/// How long a route says nothing more about failures after it has said something about one. A target that is down
/// while somebody keeps asking would otherwise fill every log.
const QUIET_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The counters of one route, for as long as there is a route of that id.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) active: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Connections that ended by a reset.
    pub(crate) reset: AtomicU64,
    /// The number of the next connection.
    pub(crate) numbers: AtomicU64,
    pub(crate) traffic: Traffic,
    last_failure: Mutex<Option<Failure>>,
}

#[derive(Debug)]
struct Failure {
    text: String,
    told: Instant,
}

impl Stats {
    /// Counts a connection from here to its end.
    pub(crate) fn begin(self: &Arc<Self>) -> Active {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        Active {
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            stats: Arc::clone(self),
        }
    }

    /// Begins to count anew, but for the connections that are open.
    pub(crate) fn forget(&self) {
        for counter in [
            &self.accepted,
            &self.failed,
            &self.reset,
            &self.traffic.up,
            &self.traffic.down,
            // Connections get the same chances again.
            &self.numbers,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
        *self.last_failure() = None;
    }

    /// Notes that something went wrong, and returns whether it is to be told.
    pub(crate) fn note_failure(&self, text: String, now: Instant) -> bool {
        let mut last = self.last_failure();
        let news = last
            .as_ref()
            .is_none_or(|last| now.duration_since(last.told) >= QUIET_AFTER_FAILURE);
        let told = match &*last {
            Some(last) if !news => last.told,
            _ => now,
        };
        *last = Some(Failure { text, told });
        news
    }

    /// The last thing that went wrong.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_failure().as_ref().map(|last| last.text.clone())
    }

    fn last_failure(&self) -> MutexGuard<'_, Option<Failure>> {
        // Nothing panics while it holds the lock, and if it did the text would still be good.
        self.last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is counted as open.
#[derive(Debug)]
pub(crate) struct Active {
    stats: Arc<Stats>,
    /// Which of the connections it is.
    pub(crate) number: u64,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.stats.active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_quick_succession_are_noted_and_told_once() {
        let stats = Stats::default();
        let start = Instant::now();
        assert!(stats.note_failure("one".into(), start));
        assert!(!stats.note_failure("two".into(), start + QUIET_AFTER_FAILURE / 2));
        assert_eq!(stats.last_error().as_deref(), Some("two"));
        assert!(stats.note_failure("three".into(), start + QUIET_AFTER_FAILURE));
    }

    #[test]
    fn a_connection_is_active_until_it_is_dropped() {
        let stats = Arc::new(Stats::default());
        let active = stats.begin();
        assert_eq!(stats.active.load(Ordering::Relaxed), 1);
        drop(active);
        assert_eq!(stats.active.load(Ordering::Relaxed), 0);
        assert_eq!(stats.accepted.load(Ordering::Relaxed), 1);
    }
}
