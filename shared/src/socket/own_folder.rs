//! Whether a folder is one user's alone, looked at from the root on, so that nothing can be swapped on the way.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, fstat};

/// Why a folder is not one user's alone.
#[derive(Debug, thiserror::Error)]
pub enum NotOwn {
    /// Something about it, or about a folder on the way to it.
    #[error(
        "{path} {why}; choose a path in a folder of mode 0700 of your own, such as $XDG_RUNTIME_DIR"
    )]
    Unfit {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system refused.
    #[error("cannot look at the folder {path}: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A folder is opened only to ask what it is; where there is no such mode, to be read.
#[cfg(target_os = "linux")]
const ONLY_LOOK: OFlag = OFlag::O_PATH;
#[cfg(not(target_os = "linux"))]
const ONLY_LOOK: OFlag = OFlag::O_RDONLY;

/// Checks that the folder is that user's, that nobody else may enter it, and that on the way from the root on nobody but
/// root and that user could have put another one in its place. Returns it with all links resolved.
///
/// # Errors
/// [`NotOwn`] names the folder that is at fault.
pub fn check(folder: &Path, uid: u32) -> Result<PathBuf, NotOwn> {
    let unfit = |path: &Path, why: String| {
        Err(NotOwn::Unfit {
            path: path.to_owned(),
            why,
        })
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| NotOwn::Io { path, source }
    };
    if !folder.is_absolute() {
        return unfit(folder, "is not an absolute path".to_owned());
    }
    let meta = fs::symlink_metadata(folder).map_err(failed(folder))?;
    if meta.is_symlink() {
        return unfit(folder, "is a link".to_owned());
    }
    let real = folder.canonicalize().map_err(failed(folder))?;
    let mut way = PathBuf::from("/");
    let flags = ONLY_LOOK | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut at: OwnedFd = open("/", flags, Mode::empty()).map_err(|e| failed(&way)(e.into()))?;
    for part in real.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        if let Err(why) = check_on_the_way(&at, uid).map_err(failed(&way))? {
            return unfit(&way, why);
        }
        way.push(name);
        // No link is followed: what was resolved above must not have become one.
        at = openat(&at, name, flags, Mode::empty()).map_err(|e| failed(&way)(e.into()))?;
    }
    let (owner, mode) = owner_and_mode(&at).map_err(failed(&real))?;
    if owner != uid {
        return unfit(
            &real,
            format!("belongs to uid {owner}, and not to uid {uid}"),
        );
    }
    if mode & 0o077 != 0 {
        return unfit(
            &real,
            format!(
                "may be entered by others (mode {:03o}, it should be 700)",
                mode & 0o777
            ),
        );
    }
    Ok(real)
}

/// What is wrong with a folder on the way, if anything. Its group does not matter: that is the user's own, mostly.
fn check_on_the_way(folder: &OwnedFd, uid: u32) -> io::Result<Result<(), String>> {
    let (owner, mode) = owner_and_mode(folder)?;
    if owner != uid && owner != 0 {
        return Ok(Err(format!("belongs to uid {owner}")));
    }
    // In a sticky folder, such as /tmp, nobody can move what belongs to somebody else.
    if mode & 0o002 != 0 && mode & 0o1000 == 0 {
        return Ok(Err("may be changed by everybody".to_owned()));
    }
    Ok(Ok(()))
}

/// `st_mode` has another width on other systems.
#[allow(clippy::useless_conversion, reason = "it is one on Linux only")]
fn owner_and_mode(folder: &OwnedFd) -> io::Result<(u32, u32)> {
    let FileStat {
        st_uid, st_mode, ..
    } = fstat(folder)?;
    Ok((st_uid, u32::from(st_mode)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn folder(mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        folder
    }

    fn own_uid() -> u32 {
        nix::unistd::geteuid().as_raw()
    }

    fn refused(path: &Path) -> String {
        check(path, own_uid()).unwrap_err().to_string()
    }

    #[test]
    fn a_folder_of_ones_own_is_found_with_its_real_path() {
        let folder = folder(0o700);
        let real = folder.path().canonicalize().unwrap();
        assert_eq!(check(folder.path(), own_uid()).unwrap(), real);
        let roundabout = folder
            .path()
            .join("../")
            .join(folder.path().file_name().unwrap());
        assert_eq!(check(&roundabout, own_uid()).unwrap(), real);
    }

    #[test]
    fn folders_that_others_enter_own_or_replace_are_refused() {
        assert!(refused(folder(0o755).path()).contains("mode 755"));
        let theirs = folder(0o700);
        let error = check(theirs.path(), own_uid() + 1).unwrap_err();
        assert!(error.to_string().contains("and not to uid"), "{error}");
        let parent = folder(0o777);
        let inside = parent.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(refused(&inside).contains("changed by everybody"));
    }

    #[test]
    fn links_relative_paths_and_what_is_not_there_are_refused() {
        let folder = folder(0o700);
        let link = folder.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert!(refused(&link).contains("is a link"));
        assert!(refused(Path::new("relative")).contains("absolute"));
        assert!(refused(&folder.path().join("none")).contains("cannot look at"));
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(refused(&folder.path().join("file")).contains("cannot look at"));
    }
}
