//! Exponential back-off with jitter, as a pure state machine: it says how long to wait, the caller does the waiting.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How the delays grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The first delay.
    pub first: Duration,
    /// The delay that is never exceeded.
    pub longest: Duration,
    /// A thing that lived at least this long starts again from [`Policy::first`].
    pub healthy_after: Duration,
}

impl Policy {
    /// For things that a user waits for: 0.5 s doubling to 30 s, forgiven after 10 s of life.
    pub const APPS: Self = Self {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(30),
        healthy_after: Duration::from_secs(10),
    };

    /// For sidecars, which should be back before anybody notices: 50 ms doubling to 5 s, forgiven after 10 s of life.
    pub const SIDECARS: Self = Self {
        first: Duration::from_millis(50),
        longest: Duration::from_secs(5),
        healthy_after: Duration::from_secs(10),
    };
}

/// The state of one thing that is tried again and again.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: Policy,
    failures: u32,
}

impl Backoff {
    /// A thing that has not failed yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            failures: 0,
        }
    }

    /// How many failures in a row there were.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes a failure after `alive` of life and returns how long to wait before the next try.
    ///
    /// The delay is drawn between three quarters of the nominal one and the whole of it, so that things that failed
    /// together do not all come back at the same instant.
    pub fn failed_after(&mut self, alive: Duration) -> Duration {
        if alive >= self.policy.healthy_after {
            self.failures = 0;
        }
        let nominal = self
            .policy
            .first
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX))
            .min(self.policy.longest);
        self.failures = self.failures.saturating_add(1);
        jittered(nominal)
    }

    /// Forgets all failures: a person asked, or the thing has shown that it is well.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Takes off up to a quarter, at random.
fn jittered(nominal: Duration) -> Duration {
    // A fresh RandomState is seeded by the operating system: enough randomness for a delay, and no dependency.
    let random = RandomState::new().hash_one(0_u8);
    let permille = u32::try_from(random % 251).unwrap_or(0);
    nominal.saturating_sub(nominal / 1000 * permille)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_start_again_after_health() {
        let mut backoff = Backoff::new(Policy::APPS);
        for nominal_ms in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let delay = backoff.failed_after(Duration::from_millis(1)).as_millis();
            assert!(
                delay <= nominal_ms && delay * 4 >= nominal_ms * 3 - 4,
                "{delay} ms is not within a quarter below {nominal_ms} ms"
            );
        }
        assert!(backoff.failed_after(Duration::from_secs(11)) <= Duration::from_millis(500));
        assert_eq!(backoff.failures(), 1);
    }

    #[test]
    fn a_very_long_row_of_failures_never_overflows() {
        let mut backoff = Backoff::new(Policy::SIDECARS);
        for _ in 0..100 {
            assert!(backoff.failed_after(Duration::ZERO) <= Policy::SIDECARS.longest);
        }
    }
}
