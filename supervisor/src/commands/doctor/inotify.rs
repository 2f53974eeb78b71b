//! How much of inotify(7) this user's programs have used up. Linux only: elsewhere there is no `/proc` to ask.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What is used, and what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InotifyUse {
    pub(super) watches: u64,
    pub(super) max_watches: u64,
    pub(super) instances: u64,
    pub(super) max_instances: u64,
}

/// Measures it; nothing where the system has no such limits.
pub(super) fn measure() -> Option<InotifyUse> {
    let max_watches = smallest(["fs/inotify/max_user_watches", "user/max_inotify_watches"])?;
    let max_instances = smallest([
        "fs/inotify/max_user_instances",
        "user/max_inotify_instances",
    ])?;
    let (instances, watches) = used();
    Some(InotifyUse {
        watches,
        max_watches,
        instances,
        max_instances,
    })
}

/// One limit holds for each user and one for each user namespace.
fn smallest(sysctls: [&str; 2]) -> Option<u64> {
    let read = |name: &str| {
        let text = fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
        text.trim().parse().ok()
    };
    sysctls.into_iter().filter_map(read).min()
}

/// The instances of all processes of this user, and the watches in them.
fn used() -> (u64, u64) {
    let uid = nix::unistd::geteuid().as_raw();
    let mut sum = (0, 0);
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let is_process = process
            .file_name()
            .to_string_lossy()
            .bytes()
            .all(|byte| byte.is_ascii_digit());
        if is_process && process.metadata().is_ok_and(|about| about.uid() == uid) {
            let (instances, watches) = of_process(&process.path());
            sum = (sum.0 + instances, sum.1 + watches);
        }
    }
    sum
}

fn of_process(process: &Path) -> (u64, u64) {
    let mut sum = (0, 0);
    for descriptor in fs::read_dir(process.join("fd"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let leads_to = fs::read_link(descriptor.path());
        if leads_to.is_ok_and(|target| target == Path::new("anon_inode:inotify")) {
            // proc_pid_fdinfo(5): one line for each watch.
            let about = process.join("fdinfo").join(descriptor.file_name());
            let about = fs::read_to_string(about).unwrap_or_default();
            let watches = about
                .lines()
                .filter(|line| line.starts_with("inotify "))
                .count();
            sum = (sum.0 + 1, sum.1 + watches as u64);
        }
    }
    sum
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

    use super::*;

    #[test]
    fn instances_and_watches_are_counted() {
        let before = of_process(Path::new("/proc/self"));
        let inotify = init(CreateFlags::CLOEXEC).unwrap();
        add_watch(&inotify, "/", WatchFlags::CREATE).unwrap();
        add_watch(&inotify, "/proc", WatchFlags::CREATE).unwrap();
        let after = of_process(Path::new("/proc/self"));
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, 2));
        assert!(measure().unwrap().max_watches > 0);
    }
}
