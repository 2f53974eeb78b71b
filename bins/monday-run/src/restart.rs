//! Whether a command that ended by itself is started again, and when: a pure state machine.

use std::time::Duration;

use monday_shared::backoff::{Backoff, Policy};
use monday_shared::protocol::run::{RestartPolicy, RestartWhen};

/// What is to be done after an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: it was to end.
    Done,
    /// Start it again.
    Again {
        /// After this time.
        after: Duration,
        /// The how-manieth new start in a row that will be.
        number: u32,
    },
    /// Nothing any more.
    GivenUp {
        /// After so many new starts in a row.
        restarts: u32,
    },
}

/// The ends of one command, in a row.
#[derive(Clone, Debug)]
pub(crate) struct Restarts {
    policy: RestartPolicy,
    backoff: Backoff,
    /// New starts since the last life that was well for long enough, or since somebody asked for a start.
    in_a_row: u32,
}

/// One life, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lived {
    /// How long it was well: since it was ready, or from its start if it did not have to be.
    pub(crate) well: Duration,
    /// Its end was a failure.
    pub(crate) failed: bool,
}

impl Restarts {
    pub(crate) fn new(policy: RestartPolicy) -> Self {
        let first = policy.backoff.map_or(Policy::APPS.first, |span| span.0);
        Self {
            policy,
            backoff: Backoff::new(Policy {
                first,
                longest: Policy::APPS.longest.max(first),
                ..Policy::APPS
            }),
            in_a_row: 0,
        }
    }

    /// It ended by itself.
    pub(crate) fn ended(&mut self, lived: Lived) -> Verdict {
        let wanted = match self.policy.when {
            RestartWhen::No => false,
            RestartWhen::OnFailure => lived.failed,
            RestartWhen::Always => true,
        };
        if !wanted {
            return Verdict::Done;
        }
        if lived.well >= Policy::APPS.healthy_after {
            self.forget();
        }
        if self
            .policy
            .max_restarts
            .is_some_and(|max| self.in_a_row >= max)
        {
            return Verdict::GivenUp {
                restarts: self.in_a_row,
            };
        }
        self.in_a_row += 1;
        Verdict::Again {
            after: self.backoff.failed_after(lived.well),
            number: self.in_a_row,
        }
    }

    /// Nobody wants a new start any more.
    pub(crate) fn give_up(&mut self) {
        self.policy.when = RestartWhen::No;
    }

    /// It was well: what was before does not count.
    fn forget(&mut self) {
        self.backoff.reset();
        self.in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use monday_shared::duration::Span;

    use super::*;

    fn restarts(when: RestartWhen, max_restarts: Option<u32>) -> Restarts {
        Restarts::new(RestartPolicy {
            when,
            backoff: None,
            max_restarts,
        })
    }

    const FAILED: Lived = Lived {
        well: Duration::ZERO,
        failed: true,
    };

    const WENT_WELL: Lived = Lived {
        failed: false,
        ..FAILED
    };

    fn number(verdict: Verdict) -> Option<u32> {
        match verdict {
            Verdict::Again { number, .. } => Some(number),
            Verdict::Done | Verdict::GivenUp { .. } => None,
        }
    }

    #[test]
    fn the_policy_says_after_which_ends_it_is_started_again() {
        for (when, after_failure, after_success) in [
            (RestartWhen::No, false, false),
            (RestartWhen::OnFailure, true, false),
            (RestartWhen::Always, true, true),
        ] {
            let again = |lived| number(restarts(when, None).ended(lived)).is_some();
            assert_eq!(
                (again(FAILED), again(WENT_WELL)),
                (after_failure, after_success)
            );
        }
    }

    #[test]
    fn it_waits_longer_each_time_and_gives_up_after_the_last() {
        let mut restarts = restarts(RestartWhen::OnFailure, Some(3));
        let mut shortest = Duration::ZERO;
        for expected in 1..=3 {
            let Verdict::Again { after, number } = restarts.ended(FAILED) else {
                panic!("given up too early");
            };
            assert_eq!(number, expected);
            assert!(after > shortest, "{after:?}");
            shortest = after;
        }
        assert_eq!(restarts.ended(FAILED), Verdict::GivenUp { restarts: 3 });
    }

    #[test]
    fn only_a_life_that_was_well_for_long_begins_a_new_row() {
        for (seconds, next) in [(9, None), (10, Some(1))] {
            let mut restarts = restarts(RestartWhen::OnFailure, Some(2));
            restarts.ended(FAILED);
            restarts.ended(FAILED);
            let lived = Lived {
                well: Duration::from_secs(seconds),
                ..FAILED
            };
            assert_eq!(number(restarts.ended(lived)), next);
        }
    }

    #[test]
    fn the_first_delay_can_be_chosen() {
        let mut restarts = Restarts::new(RestartPolicy {
            when: RestartWhen::Always,
            backoff: Some(Span::from_secs(60)),
            max_restarts: None,
        });
        for _ in 0..3 {
            let Verdict::Again { after, .. } = restarts.ended(FAILED) else {
                panic!("not started again");
            };
            assert!((45..=60).contains(&after.as_secs()), "{after:?}");
        }
    }
}
