//! Another user, in whose place a process that runs as root does something for a moment.
//!
//! A helper that runs as root for somebody has no business of its own in that user's folders: what it makes, opens and
//! removes there, it does as that user, with that user's rights and no more. Then no link, no swapped folder and no
//! cunning path can lead it to anything that the user could not have reached without it.

use std::io;

use crate::platform;

/// A user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The user's number.
    pub uid: u32,
    /// The number of the user's group.
    pub gid: u32,
}

impl Identity {
    /// Who this process is.
    #[must_use]
    pub fn own() -> Self {
        Self {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
        }
    }

    /// Does something with this user's rights to files, which also owns what is made meanwhile. On Linux only this thread
    /// changes; elsewhere the whole process does, and other callers wait.
    ///
    /// It needs the user among this process's own ids (real, effective or saved), or the right to change them.
    ///
    /// # Errors
    /// If this process may not become that user; nothing was done then.
    pub fn act<T>(self, deed: impl FnOnce() -> T) -> io::Result<T> {
        let _acting = platform::act_as(self)?;
        Ok(deed())
    }

    /// The same for a user that there may be: without one it is done as who this process is.
    ///
    /// # Errors
    /// Those of [`act`](Self::act).
    pub fn act_for<T>(user: Option<Self>, deed: impl FnOnce() -> T) -> io::Result<T> {
        match user {
            Some(user) => user.act(deed),
            None => Ok(deed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    /// `nobody`, who has nothing.
    const NOBODY: Identity = Identity {
        uid: 65_534,
        gid: 65_534,
    };

    #[test]
    fn who_acts_as_oneself_changes_nothing() {
        let own = Identity::own();
        assert_eq!(own.act(Identity::own).unwrap(), own);
        assert_eq!(Identity::act_for(None, || 7).unwrap(), 7);
    }

    #[test]
    fn what_root_makes_for_a_user_is_the_users_and_what_the_user_may_not_do_fails() {
        if !nix::unistd::geteuid().is_root() {
            // Nobody else can become another user: that is the other half.
            assert!(NOBODY.act(|| ()).is_err());
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (theirs, ours) = (folder.path().join("theirs"), folder.path().join("ours"));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(&ours, "secret").unwrap();
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o600)).unwrap();
        NOBODY
            .act(|| {
                fs::write(&theirs, "x").unwrap();
                assert!(fs::read(&ours).is_err());
                assert!(fs::write("/etc/monday-test", "x").is_err());
            })
            .unwrap();
        let meta = fs::metadata(&theirs).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (NOBODY.uid, NOBODY.gid));
        // Afterwards everything is as it was.
        assert_eq!(fs::read(&ours).unwrap(), b"secret");
        fs::write(folder.path().join("again"), "x").unwrap();
        let meta = fs::metadata(folder.path().join("again")).unwrap();
        assert_eq!(meta.uid(), 0);
    }
}
