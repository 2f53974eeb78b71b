//! Signals by name.

use std::str::FromStr as _;

use nix::sys::signal::Signal;

use super::super::tree::Place;
use super::Checker;

/// A signal in the form without `SIG`.
pub(super) fn check(name: &str, place: &Place, checker: &mut Checker) -> Option<String> {
    let signal = parse(name);
    if signal.is_none() {
        let message = format!("`{name}` is not a signal");
        checker.wrong(
            place,
            message,
            "",
            "write TERM, INT, HUP, QUIT, USR1, USR2 or another name, or its number",
        );
    }
    signal
}

fn parse(name: &str) -> Option<String> {
    let signal = if let Ok(number) = name.parse::<i32>() {
        Signal::try_from(number).ok()?
    } else {
        let upper = name.trim().to_ascii_uppercase();
        let short = upper.strip_prefix("SIG").unwrap_or(&upper);
        Signal::from_str(&format!("SIG{short}")).ok()?
    };
    signal.as_str().strip_prefix("SIG").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_may_be_written_in_any_of_the_usual_ways() {
        for name in ["TERM", "term", "SIGTERM", "sigterm", "15", " TERM "] {
            assert_eq!(parse(name).as_deref(), Some("TERM"), "{name}");
        }
        for name in ["", "SIG", "NOPE", "0", "999", "-1"] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
