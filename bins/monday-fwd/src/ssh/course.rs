//! When to try again: the course of a tunnel between being there and being away, without any input or output.

use std::time::{Duration, SystemTime};

use monday_shared::backoff::{Backoff, Policy};
use tokio::time::Instant;

/// How tries follow each other: at first so quickly that a restarted server is hardly missed, later so seldom that nobody
/// minds. A link that lived for 15 s was a good one.
const TRIES: Policy = Policy {
    first: Duration::from_millis(250),
    longest: Duration::from_secs(20),
    healthy_after: Duration::from_secs(15),
};

/// Somebody who waits has a try made earlier, but not more often than this.
pub(super) const SOONEST: Duration = Duration::from_secs(1);

/// How often the clocks are compared.
pub(super) const TICK: Duration = Duration::from_secs(5);

/// A wall clock that is so much ahead of the time that has passed for us says that the machine has slept.
const SLEPT: Duration = Duration::from_secs(10);

/// What to do about a failed try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Try again after this time.
    Again(Duration),
    /// Never again.
    GiveUp,
}

/// The course of one tunnel.
#[derive(Debug)]
pub(super) struct Course {
    backoff: Backoff,
    /// It was there once.
    has_worked: bool,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            backoff: Backoff::new(TRIES),
            has_worked: false,
        }
    }
}

impl Course {
    /// The tunnel is there.
    pub(super) fn works(&mut self) {
        self.has_worked = true;
    }

    /// Whether it was there once.
    pub(super) fn has_worked(&self) -> bool {
        self.has_worked
    }

    /// The tunnel was there for so long and is lost.
    pub(super) fn lost_after(&mut self, alive: Duration) -> Duration {
        self.backoff.failed_after(alive)
    }

    /// A try has failed. A name that does not resolve is a mistake at the first try, and a bad network later.
    pub(super) fn failed(&mut self, permanent: bool, is_name: bool) -> Next {
        if permanent && !(is_name && self.has_worked) {
            return Next::GiveUp;
        }
        Next::Again(self.backoff.failed_after(Duration::ZERO))
    }

    /// The machine has slept, or somebody asks: what failed before says nothing any more.
    pub(super) fn forgive(&mut self) {
        self.backoff.reset();
    }
}

/// Notices that the machine has slept.
#[derive(Debug)]
pub(super) struct Clocks {
    wall: SystemTime,
    own: Instant,
}

impl Clocks {
    /// Compares from now on.
    pub(super) fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            own: Instant::now(),
        }
    }

    /// Whether the machine has slept since the last time.
    pub(super) fn have_slept(&mut self) -> bool {
        let before = std::mem::replace(self, Self::now());
        let wall = self.wall.duration_since(before.wall).unwrap_or_default();
        has_slept(wall, self.own.duration_since(before.own))
    }
}

fn has_slept(wall: Duration, own: Duration) -> bool {
    wall.saturating_sub(own) >= SLEPT || own >= TICK + SLEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_not_repeated_and_a_bad_network_is_waited_for() {
        let mut course = Course::default();
        assert_eq!(course.failed(true, true), Next::GiveUp);
        assert!(matches!(course.failed(false, false), Next::Again(_)));
        course.works();
        assert!(matches!(course.failed(true, true), Next::Again(_)));
        assert_eq!(course.failed(true, false), Next::GiveUp);
    }

    #[test]
    fn health_is_forgiven_after_15_seconds() {
        let mut course = Course::default();
        for _ in 0..20 {
            course.failed(false, false);
        }
        assert!(course.lost_after(Duration::from_secs(14)) > Duration::from_secs(10));
        assert!(course.lost_after(Duration::from_secs(15)) <= Duration::from_millis(250));
    }

    #[test]
    fn sleep_is_noticed_on_clocks_that_stop_and_on_those_that_go_on() {
        let s = Duration::from_secs;
        assert!(!has_slept(s(5), s(5)));
        assert!(has_slept(s(3600), s(5)));
        assert!(has_slept(s(3600), s(3600)));
        assert!(!has_slept(s(0), s(5)));
    }
}
