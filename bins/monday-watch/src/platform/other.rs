//! Systems without inotify.

use std::path::Path;

use crate::limit::Limits;

/// No limits are known.
pub(crate) fn limits() -> Limits {
    Limits::default()
}

/// Not known here; `--poll` is for drives that other machines write to.
pub(crate) fn network_file_system(_: &Path) -> Option<&'static str> {
    None
}
