//! Whether git is at work in a repository: what it has written so far is then no state that anybody wants to see.
//!
//! A checkout of a large branch takes longer than any debounce, with pauses in it. While git changes files it holds the
//! file `index.lock`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A lock that is older was left behind by a git that was killed, or belongs to one that waits for somebody.
const OLDEST_LOCK: Duration = Duration::from_secs(60);

/// What git keeps at the top of a repository: a folder, or a file that names it.
pub(crate) const NAME: &str = ".git";

/// The top of the repository that a path is in.
pub(crate) fn top_of(path: &Path) -> Option<PathBuf> {
    let found = path.ancestors().find(|folder| folder.join(NAME).exists());
    found.map(Path::to_owned)
}

/// What git holds while it is at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    /// Where it is.
    pub(crate) path: PathBuf,
    made: SystemTime,
}

/// What git holds if it is at work in the repository with that top.
pub(crate) fn lock(top: &Path) -> Option<Lock> {
    let path = git_folder(top)?.join("index.lock");
    let made = fs::symlink_metadata(&path).ok()?.modified().ok()?;
    // One from the future is no older than a moment: a clock was set.
    let is_old = made.elapsed().is_ok_and(|age| age >= OLDEST_LOCK);
    (!is_old).then_some(Lock { path, made })
}

/// Worktrees and submodules have a file with the line `gitdir: PATH` (gitrepository-layout(5)).
fn git_folder(top: &Path) -> Option<PathBuf> {
    let git = top.join(NAME);
    if git.is_dir() {
        return Some(git);
    }
    let text = fs::read_to_string(git).ok()?;
    let path = text.strip_prefix("gitdir:")?.lines().next()?.trim();
    Some(top.join(path))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn git_is_at_work_while_its_lock_is_there_and_not_old() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        assert_eq!(lock(top), None);
        fs::create_dir(top.join(NAME)).unwrap();
        assert_eq!(lock(top), None);
        let file = File::create(top.join(".git/index.lock")).unwrap();
        assert_eq!(lock(top).unwrap().path, top.join(".git/index.lock"));
        file.set_modified(SystemTime::now() - OLDEST_LOCK).unwrap();
        assert_eq!(lock(top), None, "somebody killed that git");
    }

    #[test]
    fn a_worktree_has_its_lock_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, git) = (
            dir.path().join("tree"),
            dir.path().join("main/.git/worktrees/tree"),
        );
        fs::create_dir_all(&git).unwrap();
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join(NAME), "gitdir: ../main/.git/worktrees/tree\n").unwrap();
        assert_eq!(lock(&tree), None);
        File::create(git.join("index.lock")).unwrap();
        assert!(lock(&tree).is_some());
    }

    #[test]
    fn a_path_is_in_the_nearest_repository_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir(dir.path().join("a/.git")).unwrap();
        assert_eq!(top_of(&deep), Some(dir.path().join("a")));
    }
}
