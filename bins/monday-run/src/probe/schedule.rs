//! When to try again, as a pure state machine.

use std::time::{Duration, Instant};

use monday_shared::protocol::run::Readiness;

/// The first pause. Most programs are ready in a tenth of a second, and nobody should wait longer for them than needed.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The tries of one probe.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    interval: Duration,
    retries: Option<u32>,
    /// Tries from here on count.
    counts_from: Instant,
    pause: Duration,
    tries: u32,
    counted: u32,
}

impl Schedule {
    pub(super) fn new(readiness: &Readiness, now: Instant) -> Self {
        let interval = readiness.interval.0;
        let grace = readiness.initial_delay.0.saturating_add(interval);
        Self {
            interval,
            retries: readiness.retries,
            counts_from: now.checked_add(grace).unwrap_or(now),
            pause: FIRST_PAUSE.min(interval),
            tries: 0,
            counted: 0,
        }
    }

    /// How long to wait after a failure; nothing: that was the last.
    pub(super) fn failed(&mut self, now: Instant) -> Option<Duration> {
        self.tries = self.tries.saturating_add(1);
        if now >= self.counts_from {
            self.counted = self.counted.saturating_add(1);
        }
        if self.retries.is_some_and(|retries| self.counted > retries) {
            return None;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(self.interval);
        Some(pause)
    }

    /// How many tries there were.
    pub(super) fn tries(&self) -> u32 {
        self.tries
    }
}

#[cfg(test)]
mod tests {
    use monday_shared::duration::Span;
    use monday_shared::protocol::run::Probe;

    use super::*;

    fn readiness(retries: Option<u32>) -> Readiness {
        Readiness {
            interval: Span::from_secs(1),
            retries,
            ..Readiness::new(Probe::Notify)
        }
    }

    #[test]
    fn it_is_tried_often_at_first_and_then_once_an_interval() {
        let now = Instant::now();
        let mut schedule = Schedule::new(&readiness(None), now);
        let pauses: Vec<u128> = (0..8)
            .filter_map(|_| schedule.failed(now))
            .map(|pause| pause.as_millis())
            .collect();
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn failures_count_only_after_the_first_interval() {
        let now = Instant::now();
        let mut schedule = Schedule::new(&readiness(Some(1)), now);
        for _ in 0..10 {
            assert!(schedule.failed(now).is_some());
        }
        let later = now + Duration::from_secs(1);
        assert!(schedule.failed(later).is_some());
        assert_eq!(schedule.failed(later), None);
        assert_eq!(schedule.tries(), 12);
    }

    #[test]
    fn times_beyond_all_clocks_do_no_harm() {
        let mut forever = readiness(None);
        forever.initial_delay = Span(Duration::MAX);
        forever.interval = Span(Duration::MAX);
        let now = Instant::now();
        assert!(Schedule::new(&forever, now).failed(now).is_some());
    }
}
