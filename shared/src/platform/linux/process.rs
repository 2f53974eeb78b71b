//! How processes hang together: the few prctl(2) calls that the design needs.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::OnceLock;

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

/// Makes this process the one that orphaned descendants are given to, instead of init (`PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// What prctl(2) says.
pub fn become_subreaper() -> io::Result<()> {
    prctl::set_child_subreaper(true).map_err(io::Error::from)
}

/// The soft limit of open files that the process was started with; noted before anything raises it.
static OPEN_FILES: OnceLock<u64> = OnceLock::new();

/// Notes the limit of open files, to give it back to programs that we start: those that use select(2) or close every
/// descriptor up to the limit are not made for a raised one. To be called first of all.
pub fn note_open_files() {
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        OPEN_FILES.get_or_init(|| soft);
    }
}

/// Makes the command run with the limit of open files that we were started with, if it was raised since.
pub fn restore_open_files(command: &mut Command) {
    let now = getrlimit(Resource::RLIMIT_NOFILE);
    let (Some(&first), Ok((soft, hard))) = (OPEN_FILES.get(), now) else {
        return;
    };
    if soft == first {
        return;
    }
    // SAFETY: the closure runs between fork and exec and calls only setrlimit(2), which is async-signal-safe; it
    // allocates nothing.
    unsafe {
        command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_NOFILE, first, hard)?));
    }
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
