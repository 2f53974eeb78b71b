//! Linux: the limits of inotify(7), and file systems that other machines write to.

use std::fs;
use std::path::Path;

use crate::limit::Limits;

/// The limits of inotify that hold for this process.
pub(crate) fn limits() -> Limits {
    Limits {
        watches: smallest(&["fs.inotify.max_user_watches", "user.max_inotify_watches"]),
        instances: smallest(&[
            "fs.inotify.max_user_instances",
            "user.max_inotify_instances",
        ]),
    }
}

/// The system knows a limit by two names, one for each user and one for each user namespace; the smaller one holds.
fn smallest(sysctls: &[&'static str]) -> Option<(&'static str, u64)> {
    let value = |sysctl: &&'static str| {
        let path = Path::new("/proc/sys").join(sysctl.replace('.', "/"));
        let value = fs::read_to_string(path).ok()?;
        Some((*sysctl, value.trim().parse().ok()?))
    };
    sysctls
        .iter()
        .filter_map(value)
        .min_by_key(|(_, value)| *value)
}

/// The name of the file system that `path` is on, if other machines or other programs write to it behind the system's
/// back, so that events tell only a part of what happens.
pub(crate) fn network_file_system(path: &Path) -> Option<&'static str> {
    let magic = nix::sys::statfs::statfs(path).ok()?.filesystem_type().0;
    name_of(magic)
}

/// The numbers are those of statfs(2) and of linux/magic.h; some of them do not fit into 31 bits.
fn name_of(magic: i64) -> Option<&'static str> {
    Some(match magic & 0xffff_ffff {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x0102_1997 => "9p",
        0x6573_5546 => "FUSE",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x00c3_6400 => "Ceph",
        0x786f_4256 => "VirtualBox",
        0x0bd0_0bd0 => "Lustre",
        0x7461_636f => "OCFS2",
        0x0116_1970 => "GFS2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_file_systems_are_told_apart_from_those_of_a_network() {
        assert_eq!(network_file_system(Path::new("/proc")), None);
        assert_eq!(network_file_system(&std::env::temp_dir()), None);
        assert_eq!(name_of(0x6969), Some("NFS"));
        assert_eq!(
            name_of(-11_317_950),
            Some("SMB"),
            "0xff534d42 as a 32-bit number with sign"
        );
    }

    #[test]
    fn the_limits_are_known_with_their_names() {
        let (name, value) = limits().watches.unwrap();
        assert!(name.contains("inotify_watches") || name.contains("max_user_watches"));
        assert!(value > 0);
    }
}
