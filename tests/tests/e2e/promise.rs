//! Promises about time.

use std::time::Duration;

/// A promise about time is kept if it is kept once in three: the machine may be busy with something else meanwhile.
pub(crate) fn best_of_three(what: &str, limit: Duration, mut once: impl FnMut() -> Duration) {
    let mut took = Vec::new();
    for _ in 0..3 {
        let this = once();
        if this <= limit {
            return;
        }
        took.push(this);
    }
    panic!("{what} took {took:?}, and {limit:?} are promised");
}
