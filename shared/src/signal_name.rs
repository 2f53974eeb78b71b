//! The names of signals, as people write them.

use nix::sys::signal::Signal;

/// A text that names no signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no signal: write a name such as TERM, SIGINT or usr1, or its number (`kill -l` lists them)"
)]
pub struct SignalError {
    text: String,
}

/// Reads `TERM`, `SIGTERM`, `term` or `15`.
///
/// # Errors
/// [`SignalError`] if there is no such signal here.
pub fn parse(text: &str) -> Result<Signal, SignalError> {
    let error = || SignalError {
        text: text.to_owned(),
    };
    let name = text.trim().to_ascii_uppercase();
    if let Ok(number) = name.parse::<i32>() {
        return Signal::try_from(number).map_err(|_| error());
    }
    let full = if name.starts_with("SIG") {
        name
    } else {
        format!("SIG{name}")
    };
    full.parse().map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_read_with_and_without_its_prefix_in_any_case_and_as_a_number() {
        for text in ["TERM", "SIGTERM", "term", "SigTerm", " 15 "] {
            assert_eq!(parse(text), Ok(Signal::SIGTERM), "{text}");
        }
        assert_eq!(parse("usr1"), Ok(Signal::SIGUSR1));
    }

    #[test]
    fn what_is_no_signal_is_an_error_that_shows_it() {
        for text in ["", "SIG", "TREM", "0", "-9", "999", "9x"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }
}
