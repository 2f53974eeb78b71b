//! The way to a path: which folders and symbolic links it leads through, and what is at its end.
//!
//! A path can come to mean something else without anything happening at its end: a folder above it is moved, a link
//! on the way is replaced. So all of these are watched too.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// As many links are followed as Linux follows (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// What is at the end of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A folder: where it is without links, and its device and inode.
    Folder(PathBuf, (u64, u64)),
    /// Something else: where it is without links.
    File(PathBuf),
    /// Nothing, or nothing that can be reached.
    Missing,
}

/// A way to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The folders that it leads through, without links, the one at its end not included.
    pub(crate) folders: Vec<PathBuf>,
    /// A folder, and a name in it on which it depends: links, the end, the first name that is missing.
    pub(crate) doors: Vec<(PathBuf, OsString)>,
    /// What is at its end.
    pub(crate) end: End,
}

/// Goes the way to an absolute path.
pub(crate) fn find(path: &Path) -> Way {
    let mut way = Way {
        folders: Vec::new(),
        doors: Vec::new(),
        end: End::Missing,
    };
    let mut rest: VecDeque<OsString> = VecDeque::new();
    put_before(&mut rest, path);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let is_last = rest.is_empty();
        let next = at.join(&name);
        match fs::symlink_metadata(&next) {
            Ok(found) if found.is_symlink() && links < MOST_LINKS => {
                links += 1;
                way.door(&at, &name);
                let Ok(target) = fs::read_link(&next) else {
                    return way;
                };
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                put_before(&mut rest, &target);
            }
            Ok(found) if found.is_dir() => {
                if is_last {
                    way.door(&at, &name);
                    way.end = End::Folder(next, (found.dev(), found.ino()));
                    return way;
                }
                way.folders.push(next.clone());
                at = next;
            }
            Ok(found) => {
                way.door(&at, &name);
                if is_last && !found.is_symlink() {
                    way.end = End::File(next);
                }
                return way;
            }
            Err(_) => {
                way.door(&at, &name);
                return way;
            }
        }
    }
    // The root folder, or a path that ends in dots.
    if let Ok(found) = fs::symlink_metadata(&at) {
        way.end = End::Folder(at, (found.dev(), found.ino()));
    }
    way
}

fn put_before(rest: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => rest.push_front(name.to_owned()),
            Component::ParentDir => rest.push_front(OsString::from("..")),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
}

impl Way {
    fn door(&mut self, folder: &Path, name: &OsStr) {
        let door = (folder.to_owned(), name.to_owned());
        if !self.doors.contains(&door) {
            self.doors.push(door);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn doors(way: &Way, top: &Path) -> Vec<String> {
        let shown = |(folder, name): &(PathBuf, OsString)| {
            let path = folder.join(name);
            path.strip_prefix(top)
                .map(|path| path.display().to_string())
                .ok()
        };
        way.doors.iter().filter_map(shown).collect()
    }

    fn top() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/file"), "").unwrap();
        (dir, top)
    }

    #[test]
    fn a_folder_depends_on_its_name_and_on_the_folders_above_it() {
        let (_dir, top) = top();
        let way = find(&top.join("a/./b/"));
        assert!(matches!(&way.end, End::Folder(path, _) if *path == top.join("a/b")));
        assert_eq!(doors(&way, &top), ["a/b"]);
        assert_eq!(way.folders.last(), Some(&top.join("a")));
    }

    #[test]
    fn links_are_followed_and_are_doors() {
        let (_dir, top) = top();
        symlink("a", top.join("relative")).unwrap();
        symlink(top.join("relative/file"), top.join("a/b/absolute")).unwrap();
        let way = find(&top.join("relative/b/../b/absolute"));
        assert_eq!(way.end, End::File(top.join("a/file")));
        assert_eq!(doors(&way, &top), ["relative", "a/b/absolute", "a/file"]);
    }

    #[test]
    fn what_is_missing_is_waited_for_at_the_last_folder_that_exists() {
        let (_dir, top) = top();
        let way = find(&top.join("a/x/y/z"));
        assert_eq!(
            (way.end.clone(), doors(&way, &top)),
            (End::Missing, vec!["a/x".to_owned()])
        );
        let through_a_file = find(&top.join("a/file/x"));
        assert_eq!(through_a_file.end, End::Missing);
        assert_eq!(doors(&through_a_file, &top), ["a/file"]);
    }

    #[test]
    fn a_link_into_nothing_depends_on_the_link_and_on_what_it_names() {
        let (_dir, top) = top();
        symlink("a/x", top.join("link")).unwrap();
        let way = find(&top.join("link"));
        assert_eq!(
            (way.end.clone(), doors(&way, &top)),
            (End::Missing, vec!["link".to_owned(), "a/x".to_owned()])
        );
    }

    #[test]
    fn a_circle_of_links_ends() {
        let (_dir, top) = top();
        symlink("two", top.join("one")).unwrap();
        symlink("one", top.join("two")).unwrap();
        let way = find(&top.join("one"));
        assert_eq!(way.end, End::Missing);
        assert_eq!(way.doors.len(), 2);
    }

    #[test]
    fn the_root_folder_is_a_folder() {
        assert!(matches!(find(Path::new("/")).end, End::Folder(..)));
        assert!(
            matches!(find(Path::new("/usr/..")).end, End::Folder(path, _) if path == Path::new("/"))
        );
    }
}
