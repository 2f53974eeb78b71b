//! Two files that exchange their names (`renamex_np(2)`), for which there is no safe call.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;

/// Makes two names change places in one step. Filesystems that cannot (HFS+, network shares) are told apart as those that do
/// not support it.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let (one, other) = (c_path(one)?, c_path(other)?);
    // SAFETY: both are strings that end in a zero byte and live until the call returns; the call writes nothing to them.
    let done = unsafe { libc::renamex_np(one.as_ptr(), other.as_ptr(), libc::RENAME_SWAP) };
    match Errno::result(done) {
        Ok(_) => Ok(()),
        Err(Errno::ENOTSUP) => Err(io::ErrorKind::Unsupported.into()),
        Err(errno) => Err(errno.into()),
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}
