//! What differs from one operating system to the next, behind one face.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::{boot_id, describe_parent, exchange, is_mount_point, process_start};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{boot_id, describe_parent, exchange, is_mount_point, process_start};

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
