//! Puts a file in its place in one step: whoever reads it sees the old one or the new one, whole.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::Builder;

/// The mode of a new file before the umask has its say, as open(2) makes one.
const NEW_FILE_MODE: u32 = 0o666;

/// How the name of a file begins that is not in its place yet.
const TEMPORARY: &str = ".monday-";

/// How many characters follow.
const TEMPORARY_MORE: usize = 6;

/// Whether it is a file of ours that is not in its place yet.
#[must_use]
pub fn is_temporary(path: &str) -> bool {
    let name = path
        .rsplit('/')
        .next()
        .and_then(|name| name.strip_prefix(TEMPORARY));
    name.is_some_and(|rest| {
        rest.len() == TEMPORARY_MORE && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Replaces the content of a file, making it and its folders where they are missing. The mode is the old file's, else
/// what a new file gets. A file behind a symbolic link is replaced, not the link.
///
/// # Errors
/// What the operating system says, or that it is a folder, a device or a pipe; the old file is as it was then.
pub fn replace(to: &Path, content: &[u8]) -> io::Result<()> {
    let place = Place::of(to)?;
    let is_same = |old: &Metadata| {
        old.len() == content.len() as u64 && fs::read(&place.path).is_ok_and(|old| old == content)
    };
    if place.old.as_ref().is_some_and(is_same) {
        // Nothing changes: whoever watches the file is not woken.
        return Ok(());
    }
    let mode = place.old.as_ref().map(Metadata::permissions);
    place.fill(content, mode)
}

/// What [`replace`] does, with another file's content and mode.
///
/// # Errors
/// As [`replace`].
pub fn copy(to: &Path, content: impl Read, mode: Permissions) -> io::Result<()> {
    Place::of(to)?.fill(content, Some(mode))
}

/// Whether it is an ordinary file.
///
/// # Errors
/// It says what it is instead.
pub fn check_kind(about: &Metadata) -> io::Result<()> {
    let kind = about.file_type();
    let (error, what) = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        (io::ErrorKind::IsADirectory, "a folder")
    } else if kind.is_fifo() {
        (io::ErrorKind::InvalidInput, "a pipe")
    } else if kind.is_socket() {
        (io::ErrorKind::InvalidInput, "a socket")
    } else {
        (io::ErrorKind::InvalidInput, "a device")
    };
    Err(io::Error::new(error, format!("it is {what}, not a file")))
}

/// Where a file goes.
struct Place {
    /// Links followed.
    path: PathBuf,
    /// What is there.
    old: Option<Metadata>,
}

impl Place {
    fn of(to: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(to).unwrap_or_else(|_| to.to_owned());
        let old = fs::metadata(&path).ok();
        old.as_ref().map_or(Ok(()), check_kind)?;
        Ok(Self { path, old })
    }

    fn fill(&self, mut content: impl Read, mode: Option<Permissions>) -> io::Result<()> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)?;
        let mut builder = Builder::new();
        builder
            .prefix(TEMPORARY)
            .rand_bytes(TEMPORARY_MORE)
            .permissions(Permissions::from_mode(NEW_FILE_MODE));
        let mut file = builder.tempfile_in(folder)?;
        io::copy(&mut content, &mut file)?;
        if let Some(mode) = mode {
            file.as_file().set_permissions(mode)?;
        }
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_an_old_file_and_a_link_to_it_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_would_be_the_same_is_not_touched() {
        use std::os::unix::fs::MetadataExt as _;

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        replace(&file, b"same").unwrap();
        let before = file.metadata().unwrap().ino();
        replace(&file, b"same").unwrap();
        assert_eq!(file.metadata().unwrap().ino(), before);
    }
}
