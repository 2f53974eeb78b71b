//! Finds the sidecars' executables: in `MONDAY_BIN_DIR` if that is set, else beside our own executable, then on PATH.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// An executable that is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot find the executable `{name}` in {}; install all of monday's executables into one folder, or name theirs in MONDAY_BIN_DIR",
    shown(searched)
)]
pub struct NotFound {
    name: &'static str,
    searched: Vec<PathBuf>,
}

fn shown(folders: &[PathBuf]) -> String {
    let folders: Vec<String> = folders
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    folders.join(", ")
}

/// The folders to look into.
#[derive(Clone, Debug)]
pub struct Locator {
    folders: Vec<PathBuf>,
}

impl Locator {
    /// The folders that this process's environment gives.
    #[must_use]
    pub fn from_env() -> Self {
        let beside = env::current_exe()
            .ok()
            .and_then(|exe| exe.parent().map(Path::to_owned));
        Self::new(env::var_os("MONDAY_BIN_DIR"), beside, env::var_os("PATH"))
    }

    fn new(chosen: Option<OsString>, beside: Option<PathBuf>, path: Option<OsString>) -> Self {
        if let Some(chosen) = chosen.filter(|dir| !dir.is_empty()) {
            return Self {
                folders: vec![PathBuf::from(chosen)],
            };
        }
        let on_path = path.iter().flat_map(env::split_paths);
        Self {
            folders: beside.into_iter().chain(on_path).collect(),
        }
    }

    /// Where the executable is.
    ///
    /// # Errors
    /// [`NotFound`] with the folders that were looked into.
    pub fn find(&self, name: &'static str) -> Result<PathBuf, NotFound> {
        self.folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|file| is_executable(file))
            .ok_or_else(|| NotFound {
                name,
                searched: self.folders.clone(),
            })
    }
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_folder_overrides_our_own_and_our_own_comes_before_path() {
        let (chosen, beside, path) = ("/chosen", "/beside", "/p1:/p2");
        let all = Locator::new(Some(chosen.into()), Some(beside.into()), Some(path.into()));
        assert_eq!(all.folders, [Path::new("/chosen")]);
        let found = Locator::new(Some("".into()), Some(beside.into()), Some(path.into()));
        assert_eq!(found.folders, ["/beside", "/p1", "/p2"].map(PathBuf::from));
    }

    #[test]
    fn a_file_that_may_not_be_executed_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("monday-run");
        std::fs::write(&file, "").unwrap();
        let locator = Locator::new(Some(dir.path().into()), None, None);
        let error = locator.find("monday-run").unwrap_err().to_string();
        assert!(
            error.contains("MONDAY_BIN_DIR") && error.contains(&dir.path().display().to_string())
        );
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(locator.find("monday-run").unwrap(), file);
    }
}
