//! What files tell about when and by whom they were changed.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::change_filter;
use super::tracked::is_tracked;

/// The traces that a build left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traces {
    /// When the last build ended; nothing: it goes on, or there was none.
    pub(super) built: Option<SystemTime>,
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

    fn is_source(&self, path: &str) -> bool {
        is_tracked(Path::new(path))
    }
}

/// Whether the path is known to have been changed at that moment or before it.
pub(super) fn is_not_later(path: &str, moment: SystemTime) -> bool {
    changed(path).is_some_and(|changed| changed <= moment)
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
        let file = std::fs::File::create(&from).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let to_text = to.to_str().unwrap();
        let built = SystemTime::now();
        let traces = Traces { built: Some(built) };
        assert!(!traces.is_later(to_text), "it is not there");
        assert!(is_not_later(from.to_str().unwrap(), built));
        while SystemTime::now() < built + Duration::from_millis(20) {
            // The clock of the file system is a few milliseconds coarse.
            std::thread::sleep(Duration::from_millis(5));
        }
        std::fs::rename(&from, &to).unwrap();
        assert!(traces.is_later(to_text));
        assert!(!is_not_later(to_text, built));
        assert!(!Traces { built: None }.is_later(to_text));
    }
}
