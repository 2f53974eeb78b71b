//! What files tell about when and by whom they were changed.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::change_filter;
use super::tracked::is_tracked;

/// How many files are listed at most. Where there are more, each counts as one that was there.
const LISTED: usize = 50_000;

/// How much of a file is looked at to tell text from something else; as git does it.
const LOOKED_AT: u64 = 8000;

/// What is never listed: nobody is told of changes in them either.
const LEFT_OUT: [&str; 4] = [".git", "node_modules", "vendor", "target"];

/// The files that there were before the first build.
pub(super) type Listed = HashSet<PathBuf>;

/// Lists the files below these paths; nothing if there are too many.
pub(super) fn list(paths: Vec<PathBuf>) -> Option<Listed> {
    let mut listed = Listed::new();
    let mut folders = paths;
    while let Some(folder) = folders.pop() {
        // What cannot be read is not watched either.
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let is_left_out = LEFT_OUT.iter().any(|name| entry.file_name() == *name);
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !is_left_out => folders.push(entry.path()),
                Ok(kind) if !kind.is_dir() => {
                    listed.insert(entry.path());
                }
                _ => {}
            }
            if listed.len() + folders.len() > LISTED {
                return None;
            }
        }
    }
    Some(listed)
}

/// The traces that a build left.
#[derive(Clone, Debug, Default)]
pub(super) struct Traces {
    /// When the last build began.
    pub(super) began: Option<SystemTime>,
    /// When the last build ended; nothing: it goes on, or there was none.
    pub(super) built: Option<SystemTime>,
    /// The files before the first build, if they were listed.
    pub(super) listed: Option<Arc<Listed>>,
}

impl Traces {
    /// Whether the path was changed after the build.
    pub(super) fn is_later(&self, path: &str) -> bool {
        let changed = changed(path);
        matches!((self.built, changed), (Some(built), Some(changed)) if changed > built)
    }
}

impl change_filter::Traces for Traces {
    fn by_somebody(&self, path: &str) -> bool {
        self.is_later(path)
    }

    fn by_build(&self, path: &str) -> bool {
        let span = self.began.zip(self.built).zip(changed(path));
        span.is_some_and(|((began, built), changed)| began <= changed && changed <= built)
    }

    fn is_new(&self, path: &str) -> bool {
        let listed = self.listed.as_ref();
        listed.is_some_and(|listed| !listed.contains(Path::new(path)))
    }

    fn is_source(&self, path: &str) -> bool {
        let path = Path::new(path);
        is_tracked(path).unwrap_or_else(|| {
            let was_there = self
                .listed
                .as_ref()
                .is_none_or(|listed| listed.contains(path));
            was_there && is_text(path)
        })
    }
}

/// Whether the path is known to have been changed at that moment or before it.
pub(super) fn is_not_later(path: &str, moment: SystemTime) -> bool {
    changed(path).is_some_and(|changed| changed <= moment)
}

/// Whether a person can have written it, as far as its first bytes tell. One that is gone may have been anything.
fn is_text(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LOOKED_AT).read_to_end(&mut start));
    read.is_err() || !start.contains(&0)
}

/// When the path was written, or moved to its place, whatever time it was given then; nothing if it is gone.
fn changed(path: &str) -> Option<SystemTime> {
    let about = std::fs::symlink_metadata(path).ok()?;
    let seconds = u64::try_from(about.ctime()).ok()?;
    let nanoseconds = u32::try_from(about.ctime_nsec()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_file_that_was_moved_here_is_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let file = File::create(&from).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let to_text = to.to_str().unwrap();
        let built = SystemTime::now();
        let traces = Traces {
            built: Some(built),
            ..Traces::default()
        };
        assert!(!traces.is_later(to_text), "it is not there");
        assert!(is_not_later(from.to_str().unwrap(), built));
        while SystemTime::now() < built + Duration::from_millis(20) {
            // The clock of the file system is a few milliseconds coarse.
            std::thread::sleep(Duration::from_millis(5));
        }
        std::fs::rename(&from, &to).unwrap();
        assert!(traces.is_later(to_text));
        assert!(!is_not_later(to_text, built));
        assert!(!Traces::default().is_later(to_text));
    }

    #[test]
    fn without_git_a_text_that_was_there_before_may_be_a_source() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("deep/target")).unwrap();
        for name in ["main.c", "prog", "deep/lib.c", "deep/target/x"] {
            std::fs::write(path(name), name).unwrap();
        }
        let listed = list(vec![dir.path().to_owned()]).unwrap();
        let expected = ["main.c", "prog", "deep/lib.c"].map(path);
        assert_eq!(listed, Listed::from(expected));
        std::fs::write(path("prog"), b"\x7fELF\0").unwrap();
        std::fs::write(path("new.txt"), "new").unwrap();
        let traces = Traces {
            listed: Some(Arc::new(listed)),
            ..Traces::default()
        };
        for (name, is_source) in [
            ("main.c", true),
            ("deep/lib.c", true),
            ("prog", false),
            ("new.txt", false),
        ] {
            let is = change_filter::Traces::is_source(&traces, path(name).to_str().unwrap());
            assert_eq!(is, is_source, "{name}");
        }
    }
}
