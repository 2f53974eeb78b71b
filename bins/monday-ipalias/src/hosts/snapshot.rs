//! A hosts file at one moment: where it is, what it holds, and by what a later change is recognised.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::OFlag;

use crate::platform;

/// The largest hosts file that is edited, in bytes. Lists of blocked hosts reach a few MB.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Where a hosts file really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file itself, all links followed.
    pub file: PathBuf,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether the path that was given is a link to it.
    pub linked: bool,
}

impl Location {
    /// Follows the links of a path, whose last part need not exist.
    ///
    /// # Errors
    /// What realpath(3) says of the folder.
    pub fn of(path: &Path) -> io::Result<Self> {
        let linked = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
        let file = match path.canonicalize() {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !linked => {
                let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                    return Err(error);
                };
                let folder = if folder.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    folder
                };
                folder.canonicalize()?.join(name)
            }
            Err(error) => return Err(error),
        };
        let Some(folder) = file.parent().map(Path::to_owned) else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        Ok(Self {
            file,
            folder,
            linked,
        })
    }

    /// A hidden file beside it, for that purpose.
    #[must_use]
    pub fn beside(&self, purpose: &str) -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.file.file_name().unwrap_or_default());
        name.push(".monday-");
        name.push(purpose);
        self.folder.join(name)
    }
}

/// By what a change of a file is recognised without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Signature {
    /// That of a file, by its path; `None` if there is none.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|meta| Self::from(&meta))
    }
}

impl From<&Metadata> for Signature {
    fn from(meta: &Metadata) -> Self {
        Self {
            inode: inode(meta),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// What tells a file from every other one.
#[must_use]
pub fn inode(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// The file that was read, kept open: writes of others to it are seen even after it has lost its name.
#[derive(Debug)]
pub struct Snapshot {
    /// The file.
    pub file: File,
    /// What it was when it was opened.
    pub meta: Metadata,
    /// What it held.
    pub bytes: Vec<u8>,
}

impl Snapshot {
    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// What open(2) and read(2) say; also if it is no file or too large to be a hosts file.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        // Not blocking, so that a pipe in its place cannot make us wait.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).bits())
            .open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("it is not an ordinary file"));
        }
        let bytes = read_whole(&file)?;
        Ok(Some(Self { file, meta, bytes }))
    }

    /// Reads the same file again, whatever its name is by now.
    ///
    /// # Errors
    /// What read(2) says.
    pub fn read_again(&self) -> io::Result<Vec<u8>> {
        read_whole(&self.file)
    }

    /// Whether this very file is at the path and holds what it held.
    ///
    /// # Errors
    /// What open(2) and read(2) say.
    pub fn is_still_at(&self, path: &Path) -> io::Result<bool> {
        Ok(Self::take(path)?
            .is_some_and(|now| inode(&now.meta) == inode(&self.meta) && now.bytes == self.bytes))
    }

    /// Whether the file has to keep its inode: something is mounted on it, or it has other names.
    #[must_use]
    pub fn is_pinned(&self, location: &Location) -> bool {
        // If the mounts cannot be told, the attempt to rename will tell.
        self.meta.nlink() > 1
            || platform::is_mount_point(&location.file, &location.folder).unwrap_or(false)
    }

    /// How long ago it was written.
    #[must_use]
    pub fn age(&self) -> Duration {
        let modified = self.meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        // One from the future tells nothing.
        SystemTime::now()
            .duration_since(modified)
            .unwrap_or(Duration::MAX)
    }
}

/// What a snapshot has seen, without the file: nobody is kept from the file by it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What the file was when it was opened.
    pub meta: Metadata,
    /// What it held.
    pub bytes: Vec<u8>,
}

impl From<Snapshot> for Seen {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { meta, bytes, .. } = snapshot;
        Self { meta, bytes }
    }
}

/// Reads a file from its beginning to its end.
///
/// # Errors
/// What read(2) says; also if it is too large to be a hosts file.
pub fn read_whole(mut file: &File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it is larger than {} MiB, which no hosts file is",
            MAX_BYTES / 1024 / 1024
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn links_are_followed_and_a_missing_file_has_a_place_nevertheless() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/hosts"), "x").unwrap();
        std::os::unix::fs::symlink("real/hosts", root.join("hosts")).unwrap();
        let location = Location::of(&root.join("hosts")).unwrap();
        assert_eq!(location.file, root.join("real/hosts"));
        assert_eq!(location.folder, root.join("real"));
        assert!(location.linked);
        let missing = Location::of(&root.join("none")).unwrap();
        assert_eq!(missing.file, root.join("none"));
        assert!(!missing.linked);
        assert_eq!(missing.beside("new"), root.join(".none.monday-new"));
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
        assert!(Location::of(&root.join("dangling")).is_err());
        assert!(Location::of(&root.join("no/folder")).is_err());
    }

    #[test]
    fn a_snapshot_sees_writes_to_the_file_after_it_lost_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        fs::write(&path, "old").unwrap();
        let snapshot = Snapshot::take(&path).unwrap().unwrap();
        let editor = OpenOptions::new().append(true).open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "old").unwrap();
        assert!(
            !snapshot.is_still_at(&path).unwrap(),
            "another file with the same content"
        );
        io::Write::write_all(&mut &editor, b"er").unwrap();
        assert_eq!(snapshot.read_again().unwrap(), b"older");
        assert!(
            Snapshot::take(&folder.path().join("none"))
                .unwrap()
                .is_none()
        );
        assert!(Snapshot::take(folder.path()).is_err());
    }
}
