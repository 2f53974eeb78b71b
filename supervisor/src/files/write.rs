//! Puts a file in its place in one step: whoever reads it sees the old one or the new one, whole.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::Builder;

/// The mode of a new file before the umask has its say, as open(2) makes one.
const NEW_FILE_MODE: u32 = 0o666;

/// Replaces the content of a file, making it and its folders where they are missing. The mode is `mode`, else the old
/// file's, else what a new file gets. A file behind a symbolic link is replaced, not the link.
///
/// # Errors
/// What the operating system says; the old file is as it was then.
pub fn replace(to: &Path, content: &[u8], mode: Option<Permissions>) -> io::Result<()> {
    let real = fs::canonicalize(to);
    let to = real.as_deref().unwrap_or(to);
    let old = fs::metadata(to).ok();
    if old.is_some() && fs::read(to).is_ok_and(|old| old == content) && mode.is_none() {
        // Nothing changes: whoever watches the file is not woken.
        return Ok(());
    }
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut builder = Builder::new();
    builder
        .prefix(".monday-")
        .permissions(Permissions::from_mode(NEW_FILE_MODE));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(content)?;
    if let Some(mode) = mode.or(old.map(|old| old.permissions())) {
        file.as_file().set_permissions(mode)?;
    }
    file.as_file().sync_all()?;
    file.persist(to)?;
    Ok(())
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
        replace(&link, b"new", None).unwrap();
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
        replace(&file, b"same", None).unwrap();
        let before = file.metadata().unwrap().ino();
        replace(&file, b"same", None).unwrap();
        assert_eq!(file.metadata().unwrap().ino(), before);
    }
}
