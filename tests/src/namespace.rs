//! Private namespaces: a mount namespace in which `/etc/hosts` is a file of the test's own, so that a test can write
//! host names and look them up as every program does, and nobody else sees it; and a network namespace in which every
//! port is free.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::user;

/// Binds the file `$0` over `/etc/hosts`, then becomes the command.
const BIND: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";

/// The same, in a network that has nothing but a loopback device.
const BIND_AND_NETWORK: &str = "mount --bind \"$0\" /etc/hosts && ip link set lo up && exec \"$@\"";

/// What is private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// `/etc/hosts`.
    Hosts,
    /// `/etc/hosts`, and the network as well.
    HostsAndNetwork,
}

impl Privacy {
    /// The words before a command that make it run in new namespaces where `/etc/hosts` is `hosts_file`.
    ///
    /// Each use makes namespaces of its own; they all see the same file, which monday has to write in place there, a
    /// mount point being in the way of a rename. [`beside`] runs a command in those of another process.
    #[must_use]
    pub fn wrapper(self, hosts_file: &Path) -> Vec<String> {
        let mut words = vec!["unshare".to_owned(), "--mount".to_owned()];
        if !user::is_root() {
            // An ordinary user is root in a user namespace of its own, and may make the others from there.
            words.extend(["--user", "--map-root-user"].map(str::to_owned));
        }
        let script = match self {
            Self::Hosts => BIND,
            Self::HostsAndNetwork => {
                words.push("--net".to_owned());
                BIND_AND_NETWORK
            }
        };
        words.extend(["--", "sh", "-c", script].map(str::to_owned));
        words.push(hosts_file.display().to_string());
        words
    }

    /// Why there can be no such namespaces here, if so.
    #[must_use]
    pub fn impossible(self) -> Option<String> {
        static HOSTS: OnceLock<Option<String>> = OnceLock::new();
        static NETWORK: OnceLock<Option<String>> = OnceLock::new();
        let tried = match self {
            Self::Hosts => &HOSTS,
            Self::HostsAndNetwork => &NETWORK,
        };
        tried.get_or_init(|| self.trouble()).clone()
    }

    fn trouble(self) -> Option<String> {
        let copy = tempfile::NamedTempFile::new().expect("temporary files can be made");
        let words = self.wrapper(copy.path());
        let tried = Command::new(&words[0])
            .args(&words[1..])
            .arg("true")
            .stdin(Stdio::null())
            .output();
        match tried {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(format!("unshare cannot be run: {error}")),
        }
    }
}

/// The words before a command that make it run in the namespaces of a process.
#[must_use]
pub fn beside(pid: u32) -> Vec<String> {
    let target = pid.to_string();
    let mut words = vec!["nsenter", "--target", &target, "--mount", "--net"];
    if !user::is_root() {
        words.extend(["--user", "--preserve-credentials"]);
    }
    words.push("--");
    words.into_iter().map(str::to_owned).collect()
}

/// Ends the test, skipped, where no private mount namespace can be made.
#[macro_export]
macro_rules! needs_mount_namespace {
    () => {
        $crate::needs_namespaces!($crate::namespace::Privacy::Hosts);
    };
}

/// Ends the test, skipped, where no such namespaces can be made.
#[macro_export]
macro_rules! needs_namespaces {
    ($privacy:expr) => {
        if let Some(why) = $privacy.impossible() {
            $crate::skip::skip(&format!("no private namespaces can be made here: {why}"));
            return;
        }
    };
}
