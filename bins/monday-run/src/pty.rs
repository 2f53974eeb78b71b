//! A terminal for a program that behaves better on one: colours, and output that comes at once.
//!
//! Nobody types on it and nobody looks at it: what the program writes is passed on by lines. So the terminal neither
//! echoes nor turns a line feed into two characters.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, Winsize, tcgetattr, tcgetwinsize, tcsetattr,
    tcsetwinsize,
};

/// How large the terminal is if we have none to ask: wide enough that few programs break their lines.
const SIZE: Winsize = Winsize {
    ws_row: 50,
    ws_col: 160,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// A terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// What the program writes can be read here.
    pub(crate) our_end: OwnedFd,
    /// The program's standard streams.
    pub(crate) program_end: OwnedFd,
}

impl Terminal {
    /// Opens a new one.
    ///
    /// # Errors
    /// What pty(7) says.
    pub(crate) fn open() -> io::Result<Self> {
        let our_end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        rustix::io::fcntl_setfd(&our_end, rustix::io::FdFlags::CLOEXEC)?;
        grantpt(&our_end)?;
        unlockpt(&our_end)?;
        let name = ptsname(&our_end, Vec::new())?;
        let program_end: OwnedFd = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::fcntl::OFlag::O_NOCTTY.bits())
            .open(OsStr::from_bytes(name.as_bytes()))?
            .into();
        let mut modes = tcgetattr(&program_end)?;
        modes.local_modes &= !LocalModes::ECHO;
        modes.output_modes &= !OutputModes::ONLCR;
        tcsetattr(&program_end, OptionalActions::Now, &modes)?;
        let size = tcgetwinsize(io::stdout()).unwrap_or(SIZE);
        tcsetwinsize(&program_end, size)?;
        Ok(Self {
            our_end,
            program_end,
        })
    }
}
