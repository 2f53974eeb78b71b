//! How processes hang together: the few prctl(2) calls that the design needs.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::prctl;
use nix::sys::signal::Signal;

/// Makes this process the one that orphaned descendants are given to, instead of init (`PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// What prctl(2) says.
pub fn become_subreaper() -> io::Result<()> {
    prctl::set_child_subreaper(true).map_err(io::Error::from)
}

/// Makes the command get `signal` when the **thread** that spawns it ends (`PR_SET_PDEATHSIG`); spawn it from one that
/// lives as long as the process.
pub fn die_with_parent(command: &mut Command, signal: Signal) {
    let parent = nix::unistd::getpid();
    // SAFETY: the closure runs between fork and exec and calls only prctl(2) and getppid(2), which are
    // async-signal-safe; it allocates nothing.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(Some(signal))?;
            // The parent may have died before the line above: then no signal would ever come.
            if nix::unistd::getppid() != parent {
                return Err(io::ErrorKind::NotConnected.into());
            }
            Ok(())
        });
    }
}
