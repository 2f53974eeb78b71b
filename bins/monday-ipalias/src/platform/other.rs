//! Operating systems that we have no better way for.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use monday_shared::identity::Identity;

use crate::privilege::rights::Rights;

/// Cannot be found out with what every Unix has; the pid alone must do.
pub(crate) fn process_start(_pid: u32) -> Option<u64> {
    None
}

/// Cannot be found out with what every Unix has.
pub(crate) fn boot_id() -> Option<String> {
    None
}

/// Cannot be found out with what every Unix has.
pub(crate) fn describe_parent() -> Option<String> {
    None
}

/// Files cannot be bind mounted here; a file on another device than its folder would be one nevertheless.
pub(crate) fn is_mount_point(file: &Path, folder: &Path) -> io::Result<bool> {
    Ok(file.metadata()?.dev() != folder.metadata()?.dev())
}

/// There is no such call that every Unix has.
#[cfg(not(target_os = "macos"))]
pub(crate) fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Root may become anybody and come back here; there is nothing to prepare.
pub(crate) fn take_stand(_user: Identity) -> io::Result<()> {
    Ok(())
}

/// Root's power cannot be divided here.
pub(crate) fn confine(_rights: Rights) -> io::Result<()> {
    Ok(())
}

/// An executable's file gives no rights here but by its set-user-ID bit, which is refused.
pub(crate) fn drop_gained() -> io::Result<()> {
    Ok(())
}

/// There are no leases here.
#[derive(Debug)]
pub(crate) struct Lease<'a>(std::marker::PhantomData<&'a std::fs::File>);

/// There are no leases here.
pub(crate) fn lease(_file: &std::fs::File) -> io::Result<Lease<'_>> {
    Err(io::ErrorKind::Unsupported.into())
}
