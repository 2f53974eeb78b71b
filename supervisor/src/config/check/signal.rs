//! Signals by name.

use monday_shared::signal_name;

use super::super::tree::Place;
use super::Checker;

/// A signal in the form without `SIG`.
pub(super) fn check(name: &str, place: &Place, checker: &mut Checker) -> Option<String> {
    let signal = signal_name::parse(name).ok();
    if signal.is_none() {
        let message = format!("`{name}` is not a signal");
        let help = "write TERM, INT, HUP, QUIT, USR1, USR2 or another name, or its number";
        checker.wrong(place, message, "", help);
    }
    signal.map(|signal| signal.as_str().trim_start_matches("SIG").to_owned())
}
