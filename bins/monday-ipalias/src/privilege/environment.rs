//! The environment of a process that runs as root for somebody else is somebody else's: it is emptied.

#![allow(unsafe_code)]

use std::os::unix::ffi::OsStrExt as _;

/// Removes every variable.
pub(super) fn clear() {
    for (name, _) in std::env::vars_os() {
        // Such a name cannot be removed, and nobody asks for it.
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            continue;
        }
        // SAFETY: this is the first thing that `main` does, so there is one thread only, and nobody else reads or writes
        // the environment meanwhile; `vars_os` has made its copy before.
        unsafe { std::env::remove_var(&name) };
    }
}
