//! What is kept for this user from one run to the next
//! ([XDG base directories](https://specifications.freedesktop.org/basedir-spec/latest/): state).

use std::path::PathBuf;

/// Monday's own folder there; it may not exist. Nothing if neither `XDG_STATE_HOME` nor `HOME` is an absolute path.
#[must_use]
pub fn state_dir() -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("monday"))
}

/// Where monday-fwd notes what it is about to change in clusters, a file with the ending `json` for each: what is there
/// while no monday-fwd runs is to be put back.
#[must_use]
pub fn remote_journal() -> Option<PathBuf> {
    Some(state_dir()?.join("remote"))
}
