//! The lock that writers of a hosts file take, and users of the lease folder: flock(2) on the folder.
//!
//! The lock cannot be on the hosts file itself, whose inode changes at each write. A file of its own beside it would be
//! litter in `/etc`, and one in a runtime folder would be another one for each user and each environment. The folder
//! is there, is the same for everybody who writes that file, and the kernel frees the lock with its holder, however
//! that died. Whoever may read the folder may take the lock, so nobody waits for it without end.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

/// How long another holder is waited for. One holds it for a few milliseconds; a disk that is slow to sync takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to sleep between two tries; there is no flock(2) with a time limit.
const PAUSE: Duration = Duration::from_millis(5);

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
