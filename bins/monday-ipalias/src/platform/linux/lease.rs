//! Leases on files (fcntl(2), "Leases"), for which there is no safe call.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::libc::{self, c_int};

/// Which signal tells that somebody else wants the file (`linux/fcntl.h`; the libc crate does not have it).
const F_SETSIG: c_int = 10;

/// The file is ours alone until this is dropped: whoever opens it waits, up to `/proc/sys/fs/lease-break-time` (45 s).
#[derive(Debug)]
pub(crate) struct Lease<'a>(&'a File);

/// Takes the lease of a file.
///
/// # Errors
/// `WouldBlock` while somebody else has the file open; otherwise there is none to be had, because the file is another
/// user's or its filesystem has none.
pub(crate) fn lease(file: &File) -> io::Result<Lease<'_>> {
    // The usual signal, SIGIO, would end the process. This one is ignored unless somebody handles it (signal(7)).
    call(file, F_SETSIG, libc::SIGURG)?;
    call(file, libc::F_SETLEASE, libc::F_WRLCK)?;
    Ok(Lease(file))
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Err(error) = call(self.0, libc::F_SETLEASE, libc::F_UNLCK) {
            tracing::debug!(%error, "a lease ends with its descriptor");
        }
    }
}

fn call(file: &File, command: c_int, argument: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as `file` is borrowed, and both commands take a number and no address.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
    Errno::result(done)?;
    Ok(())
}
