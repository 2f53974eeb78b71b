//! Finds out what this machine allows.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use monday_shared::platform::{self, private_hosts};
use nix::unistd::{AccessFlags, access};

use super::decide::{Facts, Lacking, Tool};
use super::{Query, Wish};
use crate::config::project::Hosts;

/// Finds out what matters for this project: sudo and doas are not even looked for where nothing needs them.
#[must_use]
pub fn gather(query: &Query) -> Facts {
    let path = std::env::var_os("PATH").unwrap_or_default();
    gather_for(nix::unistd::geteuid().is_root(), query, &path)
}

fn gather_for(is_root: bool, query: &Query, path: &OsStr) -> Facts {
    let hosts_writable = is_writable(&query.hosts_file);
    let low_port_allowed = query.low_port.is_none_or(may_listen_on);
    let lacking = Lacking::of(query, is_root, hosts_writable, low_port_allowed);
    let tool = |name: &str, wishes: [Wish; 2]| {
        if lacking.any() && wishes.contains(&query.wish) {
            look_at(name, path, &query.helper)
        } else {
            Tool::Missing
        }
    };
    // Names that only apps see are the way out where there is no right, unless they were ruled out.
    let may_be_private = query.has_names && query.hosts != Hosts::System;
    Facts {
        is_root,
        hosts_writable,
        low_port_allowed,
        sudo: tool("sudo", [Wish::Auto, Wish::Sudo]),
        doas: tool("doas", [Wish::Auto, Wish::Doas]),
        terminal: can_ask(),
        private: if may_be_private {
            private_hosts::check().map_err(|why| why.to_string())
        } else {
            Err("they were not asked for".to_owned())
        },
    }
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

/// From which port on everybody may listen (ip(7), `ip_unprivileged_port_start`). Elsewhere than on Linux ports below 1024
/// are root's, on a loopback address at least.
fn may_listen_on(port: u16) -> bool {
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first = first.ok().and_then(|text| text.trim().parse().ok());
    port >= first.unwrap_or(1024) || nix::unistd::geteuid().is_root()
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
        // A file that nobody can make.
        let hosts_file = folder.path().join("none/hosts");
        let wish = Wish::Doas;
        let query = Query {
            wish,
            ..query(folder.path(), &hosts_file)
        };
        let facts = gather_for(false, &query, folder.path().as_os_str());
        assert_eq!(facts.sudo, Tool::Missing);
        assert_eq!(facts.doas, Tool::Asks(folder.path().join("doas")));
    }

    #[test]
    fn a_file_that_is_not_there_is_writable_if_it_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_writable(&folder.path().join("hosts")));
        assert!(!is_writable(&folder.path().join("none/hosts")));
    }

    #[test]
    fn high_ports_are_everybodys() {
        assert!(may_listen_on(1024) && may_listen_on(65_535));
    }
}
