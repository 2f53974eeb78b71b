//! The lock beside a socket: whoever holds it owns the socket's name.
//!
//! The lock is an flock(2) on `<socket>.lock`, so the kernel frees it with its holder, however that died. The file
//! holds the holder's pid, for messages only.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};

/// Why the lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// A living process holds it.
    Held {
        /// Its pid, as it wrote it.
        pid: String,
    },
    /// The operating system refused.
    Io(io::Error),
}

/// The lock, held. Dropping it removes the file and frees the lock.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    // Dropped after the file was removed: see `Drop`.
    file: Flock<File>,
}

impl Lock {
    /// Takes the lock of a socket without waiting.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn acquire(socket: &Path) -> Result<Self, LockError> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        loop {
            let file = open(&path).map_err(LockError::Io)?;
            let mut file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                    return Err(LockError::Held {
                        pid: holder(&mut file),
                    });
                }
                Err((_, errno)) => return Err(LockError::Io(errno.into())),
            };
            // Its last holder may have removed the file between our open and our lock: then this is a lock on nothing.
            if !is_at(&file, &path) {
                continue;
            }
            write_pid(&mut file).map_err(LockError::Io)?;
            return Ok(Self { path, file });
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still locked here, so nobody else can hold this file, and nobody who waits for it takes it for the real one.
        if is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
        .open(path)
}

fn holder(file: &mut File) -> String {
    let mut pid = String::new();
    match file.take(20).read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => pid.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => ours.ino() == there.ino() && ours.dev() == there.dev(),
        _ => false,
    }
}
