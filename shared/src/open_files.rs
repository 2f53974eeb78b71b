//! How many files, and so connections, the process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit of open files as far as this user may, and returns what it is now. A connection takes two.
///
/// The common soft limit of 1,024 is meant for programs that use select(2), and would be 500 connections.
#[must_use]
pub fn raise_open_files() -> u64 {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(%error, "cannot ask how many files may be open");
            return 0;
        }
    };
    if soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        // macOS reports no hard limit and refuses more than its own maximum.
        tracing::debug!(%error, soft, hard, "cannot raise the limit of open files");
        return soft;
    }
    hard
}
