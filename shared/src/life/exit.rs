//! How an executable ends, and the status that says so.
//!
//! 0: done (also after `shutdown`). 1: failed. 2: usage or configuration. 124: something was not ready in time.
//! 128 + signal: ended by a signal. With `-- COMMAND`: COMMAND's own status.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use nix::sys::signal::Signal;

/// It failed.
pub const FAILED: u8 = 1;
/// The flags or the configuration are wrong.
pub const USAGE: u8 = 2;
/// Something was not ready in time, as timeout(1) says it.
pub const TIMED_OUT: u8 = 124;

/// Why an executable ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A client asked for it.
    Shutdown,
    /// A signal asked for it.
    Signal(Signal),
    /// The parent is gone: the lifeline was cut.
    ParentGone,
    /// COMMAND ended.
    Command(ExitStatus),
}

impl Ending {
    /// The status that the executable exits with.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Shutdown | Self::ParentGone => 0,
            Self::Signal(signal) => low_byte(128 + signal as i32),
            Self::Command(status) => status_code(status),
        }
    }
}

/// A process's status as a shell gives it: 128 + signal for a death by signal.
#[must_use]
pub fn status_code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => low_byte(code),
        (None, Some(signal)) => low_byte(128 + signal),
        (None, None) => FAILED,
    }
}

fn low_byte(number: i32) -> u8 {
    u8::try_from(number & 0xff).unwrap_or(FAILED)
}

/// An error that can end an executable.
pub trait Failure: Error {
    /// The status to exit with.
    fn exit_code(&self) -> u8 {
        FAILED
    }
}

/// Prints an error with its causes, and makes its exit code.
pub(super) fn complain(name: &str, error: &dyn Error, code: u8) -> ExitCode {
    let mut text = format!("{name}: {error}");
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let this = error.to_string();
        // A message that already contains its cause does not say it twice.
        if !said.contains(&this) {
            let _ = write!(text, ": {this}");
            said = this;
        }
        cause = error.source();
    }
    text.push('\n');
    // Nobody can be told that standard error is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_have_the_statuses_of_the_design() {
        assert_eq!(Ending::Shutdown.exit_code(), 0);
        assert_eq!(Ending::ParentGone.exit_code(), 0);
        assert_eq!(Ending::Signal(Signal::SIGINT).exit_code(), 130);
        assert_eq!(Ending::Signal(Signal::SIGTERM).exit_code(), 143);
        assert_eq!(Ending::Command(ExitStatus::from_raw(7 << 8)).exit_code(), 7);
        assert_eq!(Ending::Command(ExitStatus::from_raw(9)).exit_code(), 137);
    }
}
