//! What a child does between fork and exec: it gets a session of its own and a clean set of signals.
//!
//! The only unsafe code of this crate.

#![allow(
    unsafe_code,
    reason = "there is no safe way to act between fork and exec"
)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::signal::{SigSet, SigmaskHow};

/// Makes the command the leader of a session and group of its own, so that no terminal's Ctrl-C reaches it but
/// through us and one signal reaches all of its group, and gives it every signal in its default state: a shell starts
/// its background jobs with INT and QUIT ignored, and we block what we read through a descriptor.
///
/// With a terminal, that is the command's standard input, and becomes the terminal of the session.
pub(crate) fn begin_own(command: &mut Command, on_terminal: bool) {
    // SAFETY: the closure runs between fork and exec and makes only system calls that are async-signal-safe (setsid,
    // ioctl, signal, sigprocmask); it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            if on_terminal {
                // The standard library has put the standard streams in their places before.
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
            }
            reset_signals()
        });
    }
}

/// The highest number of a signal, real-time signals included (`signal(7)`); numbers that do not exist are refused.
const LAST_SIGNAL: i32 = 64;

fn reset_signals() -> io::Result<()> {
    for number in 1..=LAST_SIGNAL {
        // SAFETY: the default action runs no code of ours. What is refused (KILL, STOP, what the C library keeps for
        // itself) cannot have been changed.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}
