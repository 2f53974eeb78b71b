//! When a batch of changes is told: once nothing has changed for a moment, and in any case after a while. A state
//! machine that knows no clock.

use std::time::{Duration, Instant};

/// A batch is told after so many times the quiet span at most, …
const CAP_FACTOR: u32 = 20;

/// … but this is waited for in any case: a checkout of a large branch takes about that long.
const LEAST_CAP: Duration = Duration::from_secs(2);

/// How long it is held at least, even without any debounce.
const SHORTEST_HOLD: Duration = Duration::from_millis(20);

/// It is held no longer than this in all: what takes longer than that is not worth the waiting of a person.
const LONGEST_HOLD: Duration = Duration::from_secs(5);

/// Nor longer than this after the quiet span of the last change: whoever is half done goes on sooner.
const STANDSTILL: Duration = Duration::from_secs(2);

/// No debounce is longer; it keeps a span of a million years from being added to a clock that ends before.
const LONGEST: Duration = Duration::from_secs(3600);

/// Waits until changes end.
#[derive(Clone, Debug)]
pub struct Debounce {
    quiet: Duration,
    cap: Duration,
    since: Option<Since>,
    /// Not before then.
    held_until: Option<Instant>,
    /// When it was held first.
    held_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Since {
    first: Instant,
    last: Instant,
}

impl Debounce {
    /// Waits until nothing has changed for that long.
    #[must_use]
    pub fn new(quiet: Duration) -> Self {
        let quiet = quiet.min(LONGEST);
        Self {
            quiet,
            cap: (quiet * CAP_FACTOR).max(LEAST_CAP),
            since: None,
            held_until: None,
            held_since: None,
        }
    }

    /// Something changed.
    pub fn note(&mut self, now: Instant) {
        let first = self.since.map_or(now, |since| since.first);
        self.since = Some(Since { first, last: now });
    }

    /// When it is time to tell; `None` while nothing has changed.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let since = self.since?;
        let due = (since.last + self.quiet).min(since.first + self.cap);
        Some(self.held_until.map_or(due, |until| until.max(due)))
    }

    /// It is no good time: what changed is half done. It is time after another quiet span at the earliest. Returns false if it
    /// was held long enough and is time all the same.
    pub fn hold(&mut self, now: Instant) -> bool {
        let Some(since) = self.since else {
            return false;
        };
        let held_since = *self.held_since.get_or_insert(now);
        let stands_still = now >= since.last + self.quiet + STANDSTILL;
        if stands_still || now >= held_since + LONGEST_HOLD {
            return false;
        }
        self.held_until = Some(now + self.quiet.max(SHORTEST_HOLD));
        true
    }

    /// Whether it is time to tell. If so, what changes from now on is another batch.
    pub fn take(&mut self, now: Instant) -> bool {
        let due = self.due().is_some_and(|due| now >= due);
        if due {
            self.since = None;
            self.held_until = None;
            self.held_since = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_millis(100);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn nothing_is_told_while_nothing_changes() {
        let mut debounce = Debounce::new(QUIET);
        assert_eq!(debounce.due(), None);
        assert!(!debounce.take(Instant::now()));
    }

    #[test]
    fn a_change_is_told_after_the_quiet_span_and_once() {
        let start = Instant::now();
        let mut debounce = Debounce::new(QUIET);
        debounce.note(start);
        assert!(!debounce.take(start + ms(99)));
        assert_eq!(debounce.due(), Some(start + QUIET));
        assert!(debounce.take(start + QUIET));
        assert!(!debounce.take(start + ms(1000)));
    }

    #[test]
    fn every_change_begins_the_quiet_span_anew() {
        let start = Instant::now();
        let mut debounce = Debounce::new(QUIET);
        for at in [0, 90, 180, 270] {
            assert!(!debounce.take(start + ms(at)));
            debounce.note(start + ms(at));
        }
        assert_eq!(debounce.due(), Some(start + ms(370)));
    }

    #[test]
    fn changes_that_never_end_are_told_every_two_seconds() {
        let start = Instant::now();
        let mut debounce = Debounce::new(QUIET);
        let mut told = Vec::new();
        for at in (0..=6000).step_by(50) {
            debounce.note(start + ms(at));
            if debounce.take(start + ms(at)) {
                told.push(at);
            }
        }
        assert_eq!(told, [2000, 4050]);
    }

    #[test]
    fn a_long_quiet_span_has_a_longer_cap_and_an_endless_one_overflows_nothing() {
        let start = Instant::now();
        let mut debounce = Debounce::new(ms(5000));
        debounce.note(start);
        debounce.note(start + ms(4000));
        assert_eq!(debounce.due(), Some(start + ms(9000)));
        let mut endless = Debounce::new(Duration::MAX);
        endless.note(start);
        assert!(endless.due().is_some_and(|due| due > start));
    }

    #[test]
    fn a_batch_that_is_held_is_told_later_even_beyond_the_cap() {
        let start = Instant::now();
        let mut debounce = Debounce::new(QUIET);
        debounce.note(start);
        for at in (100..5000).step_by(100) {
            debounce.note(start + ms(at));
            assert!(debounce.hold(start + ms(at)));
            assert!(!debounce.take(start + ms(at + 99)));
        }
        assert!(debounce.take(start + ms(5000)));
        assert_eq!(debounce.due(), None);
    }

    #[test]
    fn it_is_not_held_when_nothing_goes_on_nor_for_longer_than_five_seconds() {
        let start = Instant::now();
        for (last_change, told) in [(0, 2100), (1000, 3100), (60_000, 5100)] {
            let mut debounce = Debounce::new(QUIET);
            debounce.note(start);
            let mut at = 100;
            while debounce.hold(start + ms(at)) {
                at += 100;
                if at <= last_change {
                    debounce.note(start + ms(at));
                }
            }
            assert_eq!(at, told);
            assert!(debounce.take(start + ms(at + 100)));
            debounce.note(start + ms(70_000));
            assert!(debounce.hold(start + ms(70_100)), "that is another batch");
        }
    }

    #[test]
    fn no_quiet_span_at_all_tells_at_once() {
        let now = Instant::now();
        let mut debounce = Debounce::new(Duration::ZERO);
        debounce.note(now);
        assert!(debounce.take(now));
    }
}
