//! A private mount namespace in which `/etc/hosts` is a file of the test's own, so that a test can write host names
//! and look them up as every program does, and nobody else sees it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::user;

/// Binds the file `$0` over `/etc/hosts`, then becomes the command.
const BIND: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";

/// The words before a command that make it run in a new mount namespace where `/etc/hosts` is `hosts_file`.
///
/// Each use makes a namespace of its own; they all see the same file, which monday has to write in place there, a
/// mount point being in the way of a rename.
#[must_use]
pub fn wrapper(hosts_file: &Path) -> Vec<String> {
    let mut words: Vec<String> = unshare().iter().map(|word| (*word).to_owned()).collect();
    words.extend(["sh", "-c", BIND].map(str::to_owned));
    words.push(hosts_file.display().to_string());
    words
}

/// An ordinary user needs a user namespace, in which it is root, to make a mount namespace.
fn unshare() -> &'static [&'static str] {
    if user::is_root() {
        &["unshare", "--mount", "--"]
    } else {
        &["unshare", "--user", "--map-root-user", "--mount", "--"]
    }
}

/// Why there can be no such namespace here, if so.
#[must_use]
pub fn impossible() -> Option<String> {
    static TRIED: OnceLock<Option<String>> = OnceLock::new();
    TRIED
        .get_or_init(|| {
            let copy = tempfile::NamedTempFile::new().expect("temporary files can be made");
            let mut words = wrapper(copy.path()).into_iter();
            let program = words.next().expect("the wrapper has words");
            let tried = Command::new(program)
                .args(words)
                .arg("true")
                .stdin(Stdio::null())
                .output();
            match tried {
                Ok(output) if output.status.success() => None,
                Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
                Err(error) => Some(format!("unshare cannot be run: {error}")),
            }
        })
        .clone()
}

/// Ends the test, skipped, where no private mount namespace can be made.
#[macro_export]
macro_rules! needs_mount_namespace {
    () => {
        if let Some(why) = $crate::namespace::impossible() {
            $crate::skip::skip(&format!(
                "no private mount namespace can be made here: {why}"
            ));
            return;
        }
    };
}
