//! A moment as RFC 3339 writes it: `2026-03-01T12:00:00.250Z`, which sorts as it passes.

use std::time::{Duration, SystemTime};

/// That moment, to the millisecond, in UTC.
#[must_use]
pub fn written(moment: SystemTime) -> String {
    humantime::format_rfc3339_millis(moment).to_string()
}

/// This moment.
#[must_use]
pub fn now() -> String {
    written(SystemTime::now())
}

/// How long ago that was; nothing if it is no moment, and no time at all if it lies ahead.
#[must_use]
pub fn age(text: &str) -> Option<Duration> {
    let moment = humantime::parse_rfc3339(text).ok()?;
    Some(moment.elapsed().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_again() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
        assert_eq!(written(moment), "2023-11-14T22:13:20.250Z");
        assert!(age(&written(moment)).unwrap() > Duration::from_secs(60));
        assert_eq!(age("2999-01-01T00:00:00Z"), Some(Duration::ZERO));
        assert_eq!(age("yesterday"), None);
    }
}
