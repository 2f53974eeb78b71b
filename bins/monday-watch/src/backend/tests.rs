//! Both sources of events, with the same expectations.

use std::fs;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;

/// How long an event may take on a busy machine; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

const ROOT: RootId = RootId(1);

fn folder(number: u32) -> Use {
    Use {
        root: ROOT,
        place: Place::Folder(FolderId(number)),
    }
}

fn wait(fd: BorrowedFd<'_>, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left).unwrap();
    let ready = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout).unwrap();
    assert!(ready > 0, "no event came");
}

macro_rules! tests_of {
    ($name:ident, $source:ty) => {
        mod $name {
            use super::*;

            /// Reads until something was told that fits, and returns all that came until then.
            fn until(source: &mut $source, fits: impl Fn(&Notice) -> bool) -> Vec<Notice> {
                let deadline = Instant::now() + PATIENCE;
                let mut notices = Vec::new();
                while !notices.iter().any(&fits) {
                    wait(source.fd(), deadline);
                    assert!(!source.read(&mut notices).unwrap().overflow);
                }
                notices
            }

            fn named(name: &'static str) -> impl Fn(&Notice) -> bool {
                move |notice| notice.name == name
            }

            #[test]
            fn what_happens_in_a_folder_is_told_to_everybody_who_asked_for_it() {
                let dir = tempfile::tempdir().unwrap();
                let top = dir.path().canonicalize().unwrap();
                let mut source = <$source>::open().unwrap();
                let first = source.add(&top, folder(0)).unwrap();
                let second = source.add(&top, folder(7)).unwrap();
                assert_eq!((first, source.len()), (second, 1));
                fs::write(top.join("x"), "1").unwrap();
                let notices = until(&mut source, |notice| notice.to == folder(7));
                assert!(notices.iter().any(|notice| notice.to == folder(0)));
                source.remove(first, folder(0));
                fs::write(top.join("y"), "1").unwrap();
                let notices = until(&mut source, named("y"));
                assert!(!notices.iter().any(|n| n.to == folder(0) && n.name == "y"));
                source.remove(second, folder(7));
                assert_eq!(source.len(), 0);
            }

            #[test]
            fn reading_and_changing_rights_are_no_events() {
                let dir = tempfile::tempdir().unwrap();
                let top = dir.path().canonicalize().unwrap();
                fs::write(top.join("x"), "1").unwrap();
                let mut source = <$source>::open().unwrap();
                source.add(&top, folder(0)).unwrap();
                fs::read(top.join("x")).unwrap();
                let mut rights = fs::metadata(top.join("x")).unwrap().permissions();
                rights.set_readonly(true);
                fs::set_permissions(top.join("x"), rights).unwrap();
                fs::write(top.join("last"), "").unwrap();
                let notices = until(&mut source, named("last"));
                assert!(!notices.iter().any(named("x")), "{notices:?}");
            }

            #[test]
            fn the_end_of_a_folder_itself_is_told() {
                let dir = tempfile::tempdir().unwrap();
                let top = dir.path().canonicalize().unwrap().join("sub");
                fs::create_dir(&top).unwrap();
                let mut source = <$source>::open().unwrap();
                source.add(&top, folder(0)).unwrap();
                fs::rename(&top, top.with_file_name("other")).unwrap();
                until(&mut source, |notice| notice.what == What::Itself);
            }

            #[test]
            fn a_folder_of_which_only_its_end_matters_tells_nothing_else() {
                let dir = tempfile::tempdir().unwrap();
                let top = dir.path().canonicalize().unwrap().join("sub");
                fs::create_dir(&top).unwrap();
                let mut source = <$source>::open().unwrap();
                let way = Use {
                    root: ROOT,
                    place: Place::Way,
                };
                source.add(&top, way).unwrap();
                fs::write(top.join("x"), "1").unwrap();
                fs::rename(&top, top.with_file_name("other")).unwrap();
                let notices = until(&mut source, |notice| notice.to == way);
                assert!(
                    notices.iter().all(|n| n.what == What::Itself),
                    "{notices:?}"
                );
            }

            #[test]
            fn what_is_no_folder_cannot_be_watched() {
                let dir = tempfile::tempdir().unwrap();
                let top = dir.path().canonicalize().unwrap();
                fs::write(top.join("file"), "").unwrap();
                std::os::unix::fs::symlink(&top, top.join("link")).unwrap();
                let mut source = <$source>::open().unwrap();
                for name in ["file", "link", "nothing"] {
                    let error = source.add(&top.join(name), folder(0)).unwrap_err();
                    assert!(matches!(error, AddError::Gone), "{name}: {error}");
                }
                assert!(source.add(Path::new("/proc/1/nothing"), folder(0)).is_err());
            }
        }
    };
}

#[cfg(target_os = "linux")]
tests_of!(inotify_itself, Source);
tests_of!(through_notify, other::Source);

#[cfg(target_os = "linux")]
#[test]
fn files_in_a_folder_below_are_told_by_notify_to_whoever_asked_for_that_folder() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    fs::create_dir(top.join("sub")).unwrap();
    let mut source = other::Source::open().unwrap();
    let upper = source.add(&top, folder(0)).unwrap();
    source.add(&top.join("sub"), folder(1)).unwrap();
    // The folder below goes on being watched when the one above it is not any more.
    source.remove(upper, folder(0));
    fs::write(top.join("sub/x"), "1").unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut notices = Vec::new();
    while !notices
        .iter()
        .any(|n: &Notice| n.to == folder(1) && n.name == "x")
    {
        wait(source.fd(), deadline);
        source.read(&mut notices).unwrap();
    }
}
