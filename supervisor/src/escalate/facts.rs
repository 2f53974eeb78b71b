//! Finds out what this machine allows.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use monday_shared::platform::{self, private_hosts};
use monday_shared::protocol::tcpproxy;
use nix::unistd::{AccessFlags, access};
use rustix::fs::StatVfsMountFlags;

use super::decide::{Facts, Lacking, Tool, never};
use super::{Query, Wish};
use crate::config::project::Hosts;
use crate::sidecar::locate::Locator;

/// Finds out what matters for this project: sudo and doas are not even looked for where nothing needs them.
#[must_use]
pub fn gather(query: &Query) -> Facts {
    let path = std::env::var_os("PATH").unwrap_or_default();
    gather_for(nix::unistd::geteuid().is_root(), query, &path)
}

fn gather_for(is_root: bool, query: &Query, path: &OsStr) -> Facts {
    let hosts_writable = is_writable(&query.hosts_file);
    let hosts_fixed = (!hosts_writable)
        .then(|| why_fixed(&query.hosts_file))
        .flatten();
    let low_port_allowed = query.low_port.is_none_or(may_listen_on);
    let lacking = Lacking::of(query, is_root, hosts_writable, low_port_allowed);
    let helps = lacking.any() && never(query, hosts_fixed).is_none();
    let (sudo, doas) = if helps {
        tools(query, path)
    } else {
        (Tool::Missing, Tool::Missing)
    };
    // Names that only apps see are the way out where there is no right, unless they were ruled out.
    let may_be_private = query.has_names && query.hosts != Hosts::System;
    Facts {
        is_root,
        hosts_writable,
        hosts_fixed,
        low_port_allowed,
        sudo,
        doas,
        terminal: query.may_ask && can_ask(),
        private: if may_be_private {
            private_hosts::check().map_err(|why| why.to_string())
        } else {
            Err("they were not asked for".to_owned())
        },
    }
}

/// sudo and doas, as far as they are wished for.
fn tools(query: &Query, path: &OsStr) -> (Tool, Tool) {
    let tool = |name: &str, wishes: [Wish; 2]| {
        if wishes.contains(&query.wish) {
            look_at(name, path, &query.helper)
        } else {
            Tool::Missing
        }
    };
    (
        tool("sudo", [Wish::Auto, Wish::Sudo]),
        tool("doas", [Wish::Auto, Wish::Doas]),
    )
}

/// Whether we may write that file, or make it.
fn is_writable(file: &Path) -> bool {
    match access(file, AccessFlags::W_OK) {
        Err(nix::errno::Errno::ENOENT) => file
            .parent()
            .is_some_and(|folder| access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()),
        found => found.is_ok(),
    }
}

/// Why not even root can write that file, if that is so.
fn why_fixed(file: &Path) -> Option<&'static str> {
    let there = if file.exists() { file } else { file.parent()? };
    let mount = rustix::fs::statvfs(there).ok()?;
    if mount.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Some("it is on a read-only file system");
    }
    is_immutable(there).then_some("`chattr +i` made it immutable")
}

#[cfg(target_os = "linux")]
fn is_immutable(file: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let about = statx(CWD, file, AtFlags::empty(), StatxFlags::BASIC_STATS);
    about.is_ok_and(|about| about.stx_attributes.contains(StatxAttributes::IMMUTABLE))
}

#[cfg(not(target_os = "linux"))]
fn is_immutable(_file: &Path) -> bool {
    false
}

/// Whether an executable gets the right to bind low ports from its file (capabilities(7), setcap(8)).
fn binds_low_ports(executable: &Path) -> bool {
    // A header of 4 bytes and two sets of 8; a version adds 4.
    let mut value = [0_u8; 24];
    let length = rustix::fs::getxattr(executable, "security.capability", &mut value);
    let ignored = rustix::fs::statvfs(executable)
        .is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::NOSUID));
    length.is_ok_and(|length| length >= 20) && !ignored && has_net_bind_service(&value)
}

/// Whether that value of `security.capability` gives `CAP_NET_BIND_SERVICE`, and at once (`struct vfs_cap_data`,
/// little-endian: bit 0 of the first word says whether what is permitted is effective; the second word is what is permitted).
fn has_net_bind_service(value: &[u8]) -> bool {
    const NET_BIND_SERVICE: u8 = 10;
    let byte = |at: usize| value.get(at).copied().unwrap_or(0);
    byte(0) & 1 != 0
        && byte(4 + usize::from(NET_BIND_SERVICE / 8)) & (1 << (NET_BIND_SERVICE % 8)) != 0
}

/// From which port on everybody may listen (ip(7), `ip_unprivileged_port_start`). Elsewhere than on Linux ports below 1024
/// are root's, on a loopback address at least.
fn may_listen_on(port: u16) -> bool {
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first = first.ok().and_then(|text| text.trim().parse().ok());
    let listener = Locator::from_env().find(tcpproxy::NAME);
    port >= first.unwrap_or(1024)
        || nix::unistd::geteuid().is_root()
        || listener.is_ok_and(|listener| binds_low_ports(&listener))
}

/// Whether there is a terminal, and we are in its foreground: in its background we would be stopped for asking.
fn can_ask() -> bool {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    terminal.is_ok_and(|terminal| {
        rustix::termios::tcgetpgrp(&terminal) == Ok(rustix::process::getpgrp())
    })
}

/// Whether a tool is there, and whether it starts monday-ipalias without asking. Nothing else is tried: the right may be
/// for that one program only.
fn look_at(name: &str, path: &OsStr, helper: &Path) -> Tool {
    match find(name, path) {
        None => Tool::Missing,
        Some(tool) if starts_silently(&tool, helper) => Tool::Silent(tool),
        Some(tool) => Tool::Asks(tool),
    }
}

fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file() && access(file, AccessFlags::X_OK).is_ok())
}

/// Whether the tool starts the helper now, without asking anybody.
pub(super) fn starts_silently(tool: &Path, helper: &Path) -> bool {
    works_silently(&silent_words(tool), helper)
}

/// The words before the path of a program that start it as root without asking anybody (`-n` of sudo(8) and doas(1)).
pub(super) fn silent_words(tool: &Path) -> Vec<OsString> {
    vec![tool.into(), "-n".into(), "--".into()]
}

/// Whether the helper starts now behind these words.
fn works_silently(prefix: &[OsString], helper: &Path) -> bool {
    let said = trial(prefix, helper).and_then(|mut trial| trial.output().ok());
    said.is_some_and(|said| is_the_helper(&said))
}

/// The command that shows whether the helper starts behind these words. `None`: there are no words.
#[must_use]
pub fn trial(prefix: &[OsString], helper: &Path) -> Option<Command> {
    let (tool, words) = prefix.split_first()?;
    let mut command = Command::new(tool);
    command
        .args(words)
        .arg(helper)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    platform::unblock_signals(&mut command);
    Some(command)
}

/// Whether that is what the helper says of itself.
#[must_use]
pub fn is_the_helper(said: &Output) -> bool {
    said.status.success() && said.stdout.starts_with(b"monday-ipalias ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escalate::tests::{program, query};
    use std::fs;

    #[test]
    fn a_tool_is_silent_if_it_starts_the_helper_and_asks_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let helper = folder.path().join("monday-ipalias");
        program(&helper, "echo monday-ipalias 1.2.3");
        let path = folder.path().as_os_str();
        let sudo = folder.path().join("sudo");
        assert_eq!(look_at("sudo", path, &helper), Tool::Missing);
        fs::write(&sudo, "not executable").unwrap();
        assert_eq!(look_at("sudo", path, &helper), Tool::Missing);
        program(
            &sudo,
            "test \"$1 $2\" = '-n --' || exit 9; shift 2; exec \"$@\"",
        );
        assert_eq!(look_at("sudo", path, &helper), Tool::Silent(sudo.clone()));
        for answer in [
            "echo a password is required >&2; exit 1",
            "echo monday-ipalias 1; exit 1",
            "echo something else",
        ] {
            program(&sudo, answer);
            assert_eq!(
                look_at("sudo", path, &helper),
                Tool::Asks(sudo.clone()),
                "{answer}"
            );
        }
    }

    #[test]
    fn nothing_is_asked_where_nothing_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("trace");
        for tool in ["sudo", "doas"] {
            program(
                &folder.path().join(tool),
                &format!("echo called >> {}", trace.display()),
            );
        }
        let hosts_file = folder.path().join("hosts");
        fs::write(&hosts_file, "").unwrap();
        let query = query(folder.path(), &hosts_file);
        let facts = gather_for(false, &query, folder.path().as_os_str());
        assert!(facts.hosts_writable);
        assert_eq!((facts.sudo, facts.doas), (Tool::Missing, Tool::Missing));
        assert!(!trace.exists());
    }

    #[test]
    fn only_the_tool_that_is_wished_for_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        for tool in ["sudo", "doas"] {
            program(&folder.path().join(tool), "exit 1");
        }
        let query = Query {
            wish: Wish::Doas,
            ..query(folder.path(), "/etc/hosts".as_ref())
        };
        let doas = Tool::Asks(folder.path().join("doas"));
        assert_eq!(
            tools(&query, folder.path().as_os_str()),
            (Tool::Missing, doas)
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_writable_if_it_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_writable(&folder.path().join("hosts")));
        assert!(!is_writable(&folder.path().join("none/hosts")));
    }

    #[test]
    fn a_right_to_low_ports_is_read_from_an_executable_s_file() {
        // setcap cap_net_bind_service=+ep, then =+p, then cap_chown=+ep.
        let value = |first: u8, permitted: [u8; 2]| {
            let mut value = [0; 20];
            value[3] = 2;
            value[0] = first;
            value[4..6].copy_from_slice(&permitted);
            value
        };
        assert!(has_net_bind_service(&value(1, [0, 4])));
        assert!(!has_net_bind_service(&value(0, [0, 4])));
        assert!(!has_net_bind_service(&value(1, [1, 0])));
        assert!(!has_net_bind_service(&[]));
    }

    #[test]
    fn high_ports_are_everybodys() {
        assert!(may_listen_on(1024) && may_listen_on(65_535));
    }
}
