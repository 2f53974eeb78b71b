//! What differs from one operating system to the next, behind one face.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::{
    Lease, boot_id, confine, describe_parent, drop_gained, exchange, is_mount_point, lease,
    process_start, take_stand,
};
#[cfg(target_os = "macos")]
pub(crate) use macos::{COMPANION, exchange, loopback};
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) use other::exchange;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{
    Lease, boot_id, confine, describe_parent, drop_gained, is_mount_point, lease, process_start,
    take_stand,
};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// Whether there is a process of that pid.
pub(crate) fn process_exists(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else {
        return false;
    };
    // 0 and below would ask about groups of processes.
    pid > 0 && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
}

/// Names need their IPv4 line only.
#[cfg(not(target_os = "macos"))]
pub(crate) const COMPANION: crate::companion::Companion = crate::companion::none;

/// Every address of 127.0.0.0/8 is there without anybody adding it.
#[cfg(not(target_os = "macos"))]
#[allow(clippy::unnecessary_wraps, reason = "it is one elsewhere")]
pub(crate) fn loopback() -> Option<std::sync::Arc<dyn crate::alias::Interface>> {
    None
}
