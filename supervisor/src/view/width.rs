//! How wide texts are on a screen, and short forms of numbers for it.

use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

/// How many columns the text takes.
#[must_use]
pub fn width_of(text: &str) -> usize {
    text.width()
}

/// A number of bytes in at most five characters and a unit: `812 B`, `4.2 KiB`, `17 MiB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut tenths = number.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let unit = UNITS[unit];
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// A span of time in its two largest units: `8s`, `3m20s`, `2h05m`, `4d02h`.
#[must_use]
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    if days > 0 {
        format!("{days}d{:02}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h{:02}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m{:02}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10 * 1024, "10 KiB"),
            (5 * 1024 * 1024 / 2, "2.5 MiB"),
            (u64::MAX, "1638 PiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn spans_have_two_units() {
        for (seconds, text) in [
            (8, "8s"),
            (200, "3m20s"),
            (7500, "2h05m"),
            (352_800, "4d02h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
