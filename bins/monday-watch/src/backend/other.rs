//! Events from what other systems have, through `notify`: on macOS, `FSEvents`.
//!
//! Such systems watch a whole tree at once. So the first folder of a tree is watched with all that is below it, and the
//! others only say that what happens in them is asked for.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::{AddError, Notice, Place, Reading, Use, Wd, What};

/// How many events one reading takes.
const EVENTS: usize = 1024;

/// The system's events, and who asked for what.
#[derive(Debug)]
pub(crate) struct Source {
    watcher: RecommendedWatcher,
    events: Receiver<notify::Result<Event>>,
    /// Something can be read here when there are events.
    bell: PipeReader,
    paths: HashMap<PathBuf, (Wd, Vec<Use>)>,
    by_wd: HashMap<Wd, PathBuf>,
    last_wd: i32,
    /// What the system was asked to watch.
    watched: BTreeMap<PathBuf, RecursiveMode>,
}

impl Source {
    /// Begins.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open() -> io::Result<Self> {
        let (bell, mut rope) = io::pipe()?;
        let (sender, events) = mpsc::channel();
        let tell = move |event| {
            let _ = sender.send(event);
            // Nobody listens any more at the end.
            let _ = rope.write_all(&[0]);
        };
        let watcher = notify::recommended_watcher(tell).map_err(io::Error::other)?;
        Ok(Self {
            watcher,
            events,
            bell,
            paths: HashMap::new(),
            by_wd: HashMap::new(),
            last_wd: 0,
            watched: BTreeMap::new(),
        })
    }

    /// Whether the mode is called inotify.
    #[cfg_attr(
        test,
        allow(
            dead_code,
            reason = "the tests of this module run where the other one is used"
        )
    )]
    pub(crate) const IS_INOTIFY: bool = false;

    /// Readable when there are events.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// How many folders are watched.
    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }

    /// Watches a folder.
    ///
    /// # Errors
    /// [`AddError`].
    pub(crate) fn add(&mut self, path: &Path, to: Use) -> Result<Wd, AddError> {
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            _ => return Err(AddError::Gone),
        }
        self.cover(path, to.place)?;
        if !self.paths.contains_key(path) {
            self.last_wd += 1;
            self.by_wd.insert(Wd(self.last_wd), path.to_owned());
        }
        let (wd, uses) = self
            .paths
            .entry(path.to_owned())
            .or_insert((Wd(self.last_wd), Vec::new()));
        if !uses.contains(&to) {
            uses.push(to);
        }
        Ok(*wd)
    }

    /// Asks the system for a folder, unless it tells about it already.
    fn cover(&mut self, path: &Path, place: Place) -> Result<(), AddError> {
        let mode = match place {
            Place::Folder(_) => RecursiveMode::Recursive,
            Place::Door(_) | Place::Way => RecursiveMode::NonRecursive,
        };
        let told = |folder: &Path| self.watched.get(folder).copied();
        let covered = path
            .ancestors()
            .any(|folder| told(folder) == Some(RecursiveMode::Recursive));
        if covered || told(path) == Some(mode) {
            return Ok(());
        }
        self.watcher
            .watch(path, mode)
            .map_err(|error| match error.kind {
                notify::ErrorKind::PathNotFound => AddError::Gone,
                notify::ErrorKind::MaxFilesWatch => AddError::Limit,
                other => AddError::Io(io::Error::other(format!("{other:?}"))),
            })?;
        self.watched.insert(path.to_owned(), mode);
        Ok(())
    }

    /// Ends a use.
    pub(crate) fn remove(&mut self, wd: Wd, to: Use) {
        let Some(path) = self.by_wd.get(&wd).cloned() else {
            return;
        };
        if let Some((_, uses)) = self.paths.get_mut(&path) {
            uses.retain(|other| *other != to);
            if !uses.is_empty() {
                return;
            }
        }
        self.paths.remove(&path);
        self.by_wd.remove(&wd);
        if self.watched.remove(&path).is_some() {
            // An error means that it is gone.
            let _ = self.watcher.unwatch(&path);
            let below: Vec<(PathBuf, Place)> = self
                .paths
                .iter()
                .filter(|(other, _)| other.starts_with(&path))
                .flat_map(|(other, (_, uses))| uses.iter().map(move |to| (other.clone(), to.place)))
                .collect();
            for (other, place) in below {
                // What cannot be watched now is gone, and whoever asked for it is told by its parent.
                let _ = self.cover(&other, place);
            }
        }
    }

    /// Reads some events.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn read(&mut self, notices: &mut Vec<Notice>) -> io::Result<Reading> {
        let mut reading = Reading::default();
        for event in self.events.try_iter().take(EVENTS).collect::<Vec<_>>() {
            // One byte was written for each, after it was sent.
            self.bell.read_exact(&mut [0])?;
            reading.some = true;
            match event {
                Ok(event) => {
                    reading.overflow |= event.need_rescan();
                    for path in &event.paths {
                        self.translate(event.kind, path, notices);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the system could not tell what happened; looking for it");
                    reading.overflow = true;
                }
            }
        }
        Ok(reading)
    }

    fn translate(&self, kind: EventKind, path: &Path, notices: &mut Vec<Notice>) {
        let Some(what) = what(kind, || path.symlink_metadata().is_ok()) else {
            return;
        };
        if what == What::Gone {
            self.push(path, What::Itself, OsStr::new(""), false, notices);
        }
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            let is_folder = match what {
                What::Gone => self.paths.contains_key(path),
                _ => path.symlink_metadata().is_ok_and(|found| found.is_dir()),
            };
            self.push(folder, what, name, is_folder, notices);
        }
    }

    fn push(
        &self,
        folder: &Path,
        what: What,
        name: &OsStr,
        is_folder: bool,
        notices: &mut Vec<Notice>,
    ) {
        for to in self
            .paths
            .get(folder)
            .into_iter()
            .flat_map(|(_, uses)| uses)
        {
            if to.place != Place::Way || what == What::Itself {
                notices.push(Notice {
                    to: *to,
                    what,
                    name: name.to_owned(),
                    is_folder,
                });
            }
        }
    }
}

/// What an event means; `None` if nothing. A creation may be told long after it, together with later events, so it
/// proves nothing about what was there before.
fn what(kind: EventKind, exists: impl Fn() -> bool) -> Option<What> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(What::Closed),
        EventKind::Access(_)
        | EventKind::Modify(ModifyKind::Metadata(_) | ModifyKind::Name(RenameMode::Both)) => None,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            Some(What::Gone)
        }
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
            Some(What::MovedIn)
        }
        EventKind::Modify(ModifyKind::Name(_)) if exists() => Some(What::MovedIn),
        EventKind::Modify(ModifyKind::Name(_)) => Some(What::Gone),
        EventKind::Any | EventKind::Modify(_) | EventKind::Other => Some(What::Written),
    }
}
