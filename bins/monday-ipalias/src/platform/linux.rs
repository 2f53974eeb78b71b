//! Linux.

mod lease;
mod rights;

pub(crate) use lease::{Lease, lease};
pub(crate) use rights::{confine, drop_gained, take_stand};

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags};

/// How many words of a command line are enough to recognise it: `monday-supervisor run shop`.
const PARENT_WORDS: usize = 3;

/// When a process started, in clock ticks since the machine started (field 22 of `/proc/PID/stat`, proc(5)); `None`
/// if there is none or it cannot be seen. A zombie counts as started never: it will not do anything any more.
pub(crate) fn process_start(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may itself hold blanks and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    match fields.next()? {
        // No process starts at tick u64::MAX.
        "Z" | "X" | "x" => Some(u64::MAX),
        _ => fields.nth(18)?.parse().ok(),
    }
}

/// Which boot of the machine this is (`/proc/sys/kernel/random/boot_id`, random(4)).
pub(crate) fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = id.trim();
    let plain = |c: char| c.is_ascii_hexdigit() || c == '-';
    (!id.is_empty() && id.chars().all(plain)).then(|| id.to_owned())
}

/// Programs that only start others: who started them is meant. One sudo may be two processes (`use_pty`, sudoers(5)).
const STARTERS: [&str; 2] = ["sudo", "doas"];

/// Who started us, for messages: the command line and the pid of our parent, or of the one that it works for.
pub(crate) fn describe_parent() -> Option<String> {
    let mut pid = nix::unistd::getppid().as_raw();
    while STARTERS.contains(
        &fs::read_to_string(format!("/proc/{pid}/comm"))
            .ok()?
            .trim_end(),
    ) {
        pid = parent_of(pid)?;
    }
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<String> = words
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .take(PARENT_WORDS)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let command = words.first()?.rsplit('/').next()?.to_owned();
    let command: Vec<String> = std::iter::once(command)
        .chain(words.into_iter().skip(1))
        .collect();
    Some(format!("`{}`, pid {pid}", command.join(" ")))
}

/// The fourth field of `/proc/PID/stat` (proc(5)).
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Whether something is mounted on exactly this file. A bind mount of a file of the same filesystem has the same
/// device number as its folder, so the mount ids are compared (`mnt_id` in `/proc/self/fdinfo`, proc(5)).
pub(crate) fn is_mount_point(file: &Path, folder: &Path) -> io::Result<bool> {
    Ok(mount_id(file)? != mount_id(folder)?)
}

fn mount_id(path: &Path) -> io::Result<u64> {
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_PATH | OFlag::O_CLOEXEC).bits())
        .open(path)?;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    info.lines()
        .find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
        .ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Makes two names change places in one step: nobody ever sees one of them missing, and what stood under each is not
/// lost (`RENAME_EXCHANGE`, renameat2(2)).
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    nix::fcntl::renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)
        .map_err(io::Error::from)
}
