//! The folder that holds the sockets: `$XDG_RUNTIME_DIR/monday`, else `monday-<uid>` in the temporary folder.

use std::ffi::OsString;
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::MAX_PATH_BYTES;
use crate::identity::Identity;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeDirError {
    /// It belongs to somebody else, or others may enter it, or it is a link.
    #[error(
        "cannot keep sockets in {path}: {why}; remove it, or set XDG_RUNTIME_DIR to a folder of your own"
    )]
    Untrusted {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system refused.
    #[error("cannot make the folder {path} for sockets: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its path leaves no room for the names of sockets.
    #[error(
        "cannot keep sockets in {path}: with a file name the path is longer than the {MAX_PATH_BYTES} bytes that the operating system allows; set XDG_RUNTIME_DIR to a shorter one"
    )]
    TooLong {
        /// The folder.
        path: PathBuf,
    },
}

/// Makes sure of the runtime folder of this user and returns it.
///
/// # Errors
/// [`RuntimeDirError`] if it cannot be made or cannot be trusted.
pub fn runtime_dir() -> Result<PathBuf, RuntimeDirError> {
    let uid = nix::unistd::geteuid().as_raw();
    let path = location(
        std::env::var_os("XDG_RUNTIME_DIR"),
        &std::env::temp_dir(),
        uid,
    );
    private_dir(&path)?;
    Ok(path)
}

/// Makes sure of the runtime folder of a user whom this process serves, as that user, and returns it. The environment is
/// not asked: it is another one's.
///
/// # Errors
/// [`RuntimeDirError`] if it cannot be made or cannot be trusted.
pub fn runtime_dir_of(user: Identity) -> Result<PathBuf, RuntimeDirError> {
    // Where systemd-logind puts it (pam_systemd(8)); its owner is checked, since anything may be there without it.
    let runtime = PathBuf::from(format!("/run/user/{}", user.uid));
    let theirs = std::fs::symlink_metadata(&runtime)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == user.uid);
    let path = location(
        theirs.then(|| runtime.into_os_string()),
        Path::new("/tmp"),
        user.uid,
    );
    let made = user.act(|| private_dir_of(&path, user.uid));
    made.map_err(|source| RuntimeDirError::Io {
        path: path.clone(),
        source,
    })??;
    Ok(path)
}

/// Makes sure of the folder of one project and returns it. Its name is the project's where that is short and plain,
/// otherwise a shortened one with a hash, so that two projects never share one.
///
/// # Errors
/// [`RuntimeDirError`] if it cannot be made or trusted, or leaves no room for a socket's name.
pub fn project_dir(project: &str) -> Result<PathBuf, RuntimeDirError> {
    let path = runtime_dir()?.join(file_name(project));
    // Room for the longest name that the supervisor uses, `<app>.sock` with a shortened app name.
    if path.as_os_str().len() + 1 + MAX_NAME_BYTES + ".sock".len() > MAX_PATH_BYTES {
        return Err(RuntimeDirError::TooLong { path });
    }
    private_dir(&path)?;
    Ok(path)
}

/// The longest file name that [`file_name`] makes, in bytes.
pub const MAX_NAME_BYTES: usize = 32;

/// A file name for any text: itself where it is plain and short, else what is plain of it and a hash of the whole.
#[must_use]
pub fn file_name(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
            _ => '_',
        })
        .collect();
    if plain == text && !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.starts_with('.') {
        return plain;
    }
    let mut hasher = Fnv::default();
    hasher.write(text.as_bytes());
    let start: String = plain.trim_start_matches('.').chars().take(15).collect();
    format!("{start}-{:016x}", hasher.finish())
}

/// FNV-1a, 64 bits (RFC draft-eastlake-fnv): the same on every machine and in every version, which the standard
/// library's hasher does not promise.
#[derive(Debug)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn location(runtime: Option<OsString>, temporary: &Path, uid: u32) -> PathBuf {
    match runtime.map(PathBuf::from) {
        Some(runtime) if runtime.is_absolute() => runtime.join("monday"),
        _ => temporary.join(format!("monday-{uid}")),
    }
}

/// Makes a folder of mode 0700 if it is not there, and checks that it is ours alone.
fn private_dir(path: &Path) -> Result<(), RuntimeDirError> {
    private_dir_of(path, nix::unistd::geteuid().as_raw())
}

fn private_dir_of(path: &Path, uid: u32) -> Result<(), RuntimeDirError> {
    let io_error = |source| RuntimeDirError::Io {
        path: path.to_owned(),
        source,
    };
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io_error(error)),
        _ => {}
    }
    let meta = std::fs::symlink_metadata(path).map_err(io_error)?;
    let untrusted = |why: String| {
        Err(RuntimeDirError::Untrusted {
            path: path.to_owned(),
            why,
        })
    };
    if !meta.is_dir() {
        return untrusted("it is not a folder".to_owned());
    }
    if meta.uid() != uid {
        return untrusted(format!(
            "it belongs to uid {}, and not to uid {uid}",
            meta.uid()
        ));
    }
    if meta.mode() & 0o077 != 0 {
        return untrusted(format!(
            "others may enter it (mode {:03o}, it should be 700)",
            meta.mode() & 0o777
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_folder_is_in_the_users_runtime_folder_or_the_temporary_one() {
        let temporary = Path::new("/tmp");
        assert_eq!(
            location(Some("/run/user/7".into()), temporary, 7),
            Path::new("/run/user/7/monday")
        );
        for unusable in [None, Some("".into()), Some("relative".into())] {
            assert_eq!(location(unusable, temporary, 7), Path::new("/tmp/monday-7"));
        }
    }

    #[test]
    fn a_folder_that_others_may_enter_and_a_link_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(
            private_dir(&open)
                .unwrap_err()
                .to_string()
                .contains("mode 755")
        );
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(private_dir(&link).is_err());
        let fresh = dir.path().join("fresh");
        private_dir(&fresh).unwrap();
        private_dir(&fresh).unwrap();
    }

    #[test]
    fn names_stay_short_plain_and_different() {
        assert_eq!(file_name("user-api"), "user-api");
        let odd = [
            "a/b",
            "a b",
            "",
            "..",
            ".",
            "größe",
            &"x".repeat(300),
            &"x".repeat(301),
        ];
        let mut names: Vec<String> = odd.iter().map(|text| file_name(text)).collect();
        for name in &names {
            assert!(name.len() <= MAX_NAME_BYTES && !name.contains('/') && !name.starts_with('.'));
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), odd.len());
    }
}
