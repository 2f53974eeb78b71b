//! How often a polled path is looked at: often enough for a person who waits, and never so often that looking is all
//! that the machine does.

use std::time::{Duration, Instant};

/// The pause between two looks, …
const PAUSE: Duration = Duration::from_millis(500);

/// … or so many times what the last look took, if that is more: looking takes a twentieth of a processor at most.
const SHARE: u32 = 20;

/// The longest pause: somebody waits for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// When to look next.
#[must_use]
pub(crate) fn next(began: Instant, ended: Instant) -> Instant {
    let took = ended.saturating_duration_since(began);
    ended + (took * SHARE).clamp(PAUSE, LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_takes_long_is_repeated_seldom() {
        let now = Instant::now();
        let pause = |took_ms| {
            let ended = now + Duration::from_millis(took_ms);
            next(now, ended) - ended
        };
        assert_eq!(pause(0), PAUSE);
        assert_eq!(pause(25), PAUSE);
        assert_eq!(pause(300), Duration::from_secs(6));
        assert_eq!(pause(60_000), LONGEST_PAUSE);
    }
}
