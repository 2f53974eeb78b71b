//! The names of signals, as people write them.

use nix::sys::signal::Signal;

use crate::error::Error;

/// Reads `TERM`, `SIGTERM`, `term` or `15`.
///
/// # Errors
/// [`Error::Signal`] if there is no such signal here.
pub(crate) fn parse(text: &str) -> Result<Signal, Error> {
    let name = text.trim().to_ascii_uppercase();
    let signal = match name.parse::<i32>() {
        Ok(number) => Signal::try_from(number).ok(),
        Err(_) if name.starts_with("SIG") => name.parse().ok(),
        Err(_) => format!("SIG{name}").parse().ok(),
    };
    signal.ok_or_else(|| Error::Signal {
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_with_or_without_prefix_in_any_case_or_a_number() {
        for text in ["HUP", "SIGHUP", "hup", " 1 "] {
            assert_eq!(parse(text).unwrap(), Signal::SIGHUP, "{text}");
        }
        for text in ["", "SIG", "HOP", "0", "-1", "999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
