//! Reads ignore files. A file is never trusted to be small, nor to be a file.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::repository;
use crate::rules::{FILE_NAMES, Level, Texts};

/// What is read of an ignore file at most; people write some kilobytes.
const LARGEST_BYTES: u64 = 1024 * 1024;

/// What the ignore files of a folder say. `has` tells which names are in it.
pub(crate) fn texts(folder: &Path, has: impl Fn(&str) -> bool) -> Texts {
    let [git, plain] = FILE_NAMES.map(|name| has(name).then(|| read(&folder.join(name)))?);
    let exclude = || read(&folder.join(repository::NAME).join("info/exclude")).unwrap_or_default();
    Texts {
        git,
        plain,
        repository: has(repository::NAME).then(exclude),
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let read = || {
        // Opening a pipe would wait for somebody who writes into it.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let mut text = Vec::new();
        File::open(path)?
            .take(LARGEST_BYTES)
            .read_to_end(&mut text)?;
        Ok(text)
    };
    match read() {
        Ok(text) => Some(text),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            None
        }
        Err(error) => {
            tracing::warn!(%error, "{} cannot be read and is not obeyed", path.display());
            None
        }
    }
}

/// The user's own ignore file for git (`core.excludesFile`).
pub(crate) fn of_user(top: &Path) -> Gitignore {
    let (file, error) = GitignoreBuilder::new(top).build_global();
    if let Some(error) = error {
        tracing::debug!(%error, "the user's own ignore file for git is not wholly obeyed");
    }
    file
}

/// The ignore files above a folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Above {
    /// What they say.
    pub(crate) level: Option<Arc<Level>>,
    /// The folders that could have one, the highest first.
    pub(crate) folders: Vec<PathBuf>,
}

/// The ignore files of the folders above `top`, up to the top of the repository that it is in. Where it is in none, nothing
/// above it counts.
pub(crate) fn above(top: &Path) -> Above {
    let Some(repository) = repository::top_of(top) else {
        return Above::default();
    };
    let mut folders: Vec<PathBuf> = top
        .ancestors()
        .skip(1)
        .take_while(|folder| folder.starts_with(&repository))
        .map(Path::to_owned)
        .collect();
    folders.reverse();
    let level = folders.iter().fold(None, |above, folder| {
        let texts = texts(folder, |name| folder.join(name).exists());
        Level::below(above, folder, &texts)
    });
    Above { level, folders }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignore_files_count_up_to_the_top_of_the_repository_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("repo/a/b");
        fs::create_dir_all(&top).unwrap();
        assert!(above(&top).folders.is_empty(), "there is no repository");
        fs::create_dir(dir.path().join("repo/.git")).unwrap();
        let found = above(&top);
        assert_eq!(
            found.folders,
            [dir.path().join("repo"), dir.path().join("repo/a")]
        );
        assert!(found.level.is_some(), "the repository itself is a level");
        assert!(above(&dir.path().join("repo")).folders.is_empty());
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(
            &dir.path().join(".gitignore"),
            nix::sys::stat::Mode::S_IRWXU,
        )
        .unwrap();
        fs::create_dir(dir.path().join(".ignore")).unwrap();
        assert_eq!(texts(dir.path(), |_| true).git, None);
    }

    #[test]
    fn an_endless_file_is_read_in_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".ignore");
        File::create(&path)
            .unwrap()
            .set_len(LARGEST_BYTES * 4)
            .unwrap();
        let texts = texts(dir.path(), |name| name == ".ignore");
        assert_eq!(texts.plain.unwrap().len() as u64, LARGEST_BYTES);
    }
}
