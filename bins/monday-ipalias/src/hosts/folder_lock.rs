//! The lock that writers of a hosts file take, and users of the lease folder: flock(2) on the folder.
//!
//! The lock cannot be on the hosts file itself, whose inode changes at each write. A file of its own beside it would be
//! litter in `/etc`, and one in a runtime folder would be another one for each user and each environment. The folder
//! is there, is the same for everybody who writes that file, and the kernel frees the lock with its holder, however
//! that died. Whoever may read the folder may take the lock, so nobody waits for it without end.
//!
//! Everybody may read `/etc`, and whoever kept its lock would keep everybody's names away. So root has a lock of its own
//! for the machine's hosts file ([`WriteLock`]), on a folder that nobody else can open.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::status::DEFAULT_FILE;

/// How long another holder is waited for. One holds it for a few milliseconds; a disk that is slow to sync takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to sleep between two tries; there is no flock(2) with a time limit.
const PAUSE: Duration = Duration::from_millis(5);

/// How long root waits for others who keep the lock of `/etc`: one of us, who is not root, holds it for a few milliseconds.
const COURTESY: Duration = Duration::from_millis(300);

/// Root's own folder, for its lock; it is gone with the next boot.
const ROOTS_FOLDER: &str = "/run/monday";

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct FolderLock {
    _folder: Flock<File>,
}

impl FolderLock {
    /// Takes the lock of a folder, waiting for other holders up to 5 s.
    ///
    /// # Errors
    /// `TimedOut` if somebody else keeps it, otherwise what open(2) and flock(2) say.
    pub fn acquire(folder: &Path) -> io::Result<Self> {
        Self::acquire_within(folder, PATIENCE)
    }

    fn acquire_within(folder: &Path, patience: Duration) -> io::Result<Self> {
        let mut open = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_DIRECTORY | OFlag::O_CLOEXEC).bits())
            .open(folder)?;
        let begin = Instant::now();
        loop {
            open = match Flock::lock(open, FlockArg::LockExclusiveNonblock) {
                Ok(folder) => return Ok(Self { _folder: folder }),
                Err((open, Errno::EWOULDBLOCK)) if begin.elapsed() < patience => open,
                Err((_, Errno::EWOULDBLOCK)) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!(
                            "another program has kept the lock on {} for {patience:?} (`lslocks` shows who)",
                            folder.display()
                        ),
                    ));
                }
                Err((_, errno)) => return Err(errno.into()),
            };
            std::thread::sleep(PAUSE);
        }
    }
}

/// The lock of whoever writes a hosts file.
#[derive(Debug)]
pub struct WriteLock {
    _roots: Option<FolderLock>,
    _folder: Option<FolderLock>,
}

impl WriteLock {
    /// Takes the lock for a hosts file, which is in that folder, all links followed.
    ///
    /// # Errors
    /// Those of [`FolderLock::acquire`].
    pub fn acquire(file: &Path, folder: &Path) -> io::Result<Self> {
        let machines_own = file == Path::new(DEFAULT_FILE);
        if machines_own && nix::unistd::geteuid().is_root() {
            match roots_folder() {
                Ok(roots) => {
                    return Ok(Self {
                        _roots: Some(FolderLock::acquire(&roots)?),
                        // Those of us who are not root, and may write the file, have this one only. Whoever keeps it
                        // for longer than any of them does not keep root from writing.
                        _folder: FolderLock::acquire_within(folder, COURTESY).ok(),
                    });
                }
                Err(error) => tracing::debug!(%error, "root has no lock of its own here"),
            }
        }
        Ok(Self {
            _roots: None,
            _folder: Some(FolderLock::acquire(folder)?),
        })
    }
}

/// Makes sure of root's own folder.
fn roots_folder() -> io::Result<PathBuf> {
    let folder = PathBuf::from(ROOTS_FOLDER);
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let meta = folder.symlink_metadata()?;
    if !meta.is_dir() || meta.uid() != 0 || meta.mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{ROOTS_FOLDER} is not root's alone"),
        ));
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_nobody_waits_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::acquire(folder.path()).unwrap();
        let refused = FolderLock::acquire_within(folder.path(), Duration::from_millis(20));
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(held);
        FolderLock::acquire_within(folder.path(), Duration::ZERO).unwrap();
    }
}
