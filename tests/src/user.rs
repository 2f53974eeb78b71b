//! Who runs the executables of a test.

use std::path::Path;

use nix::unistd::{Gid, Uid, chown, geteuid};

/// The number of `nobody` and `nogroup`: an ordinary user that every Linux has.
pub const NOBODY: u32 = 65534;

/// Whether the tests run as root.
#[must_use]
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Who runs the executables of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Whoever runs the tests.
    Same,
    /// An ordinary user: whoever runs the tests if that is one, else `nobody`.
    Ordinary,
}

impl User {
    /// The words before a command that make it run as this user; none where nothing has to change.
    #[must_use]
    pub fn wrapper(self) -> Vec<String> {
        if !self.changes() {
            return Vec::new();
        }
        [
            "setpriv",
            &format!("--reuid={NOBODY}"),
            &format!("--regid={NOBODY}"),
            "--clear-groups",
            "--inh-caps=-all",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// Whether commands run as somebody else than the tests.
    #[must_use]
    pub fn changes(self) -> bool {
        self == Self::Ordinary && is_root()
    }

    /// Gives a file or folder to the user.
    pub fn own(self, path: &Path) {
        if self.changes() {
            chown(
                path,
                Some(Uid::from_raw(NOBODY)),
                Some(Gid::from_raw(NOBODY)),
            )
            .expect("root gives files away");
        }
    }
}
