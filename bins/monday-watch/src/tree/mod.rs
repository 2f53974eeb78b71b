//! The folders below one path that are looked at, and what is known of the files in them.
//!
//! This module holds them; [`scan`] looks at the file system and finds what is different, [`event`] takes what
//! the system tells, [`settle`] decides at the end what came of it.

mod event;
mod list;
mod scan;
mod settle;

pub(crate) use scan::Look;
pub(crate) use settle::Item;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::{AddError, FolderId, Place, RootId, Source, Use, Wd};
use crate::change::Kind;
use crate::repository::{self, Lock};
use crate::rules::{Level, Rules};
use crate::snapshot::Snapshot;

/// The folder at the path itself.
pub(crate) const TOP: FolderId = FolderId(0);

/// The folders below one path.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Where it is, without symbolic links.
    real: PathBuf,
    rules: Rules,
    /// What ignore files above it say.
    above: Option<Arc<Level>>,
    folders: HashMap<FolderId, Folder>,
    last: FolderId,
    /// How many files are in the snapshots.
    files: u64,
    /// Folders whose files have not been looked at.
    unlooked: VecDeque<FolderId>,
    /// Folders whose files were looked at for the first time, and not long ago: events that are about to be told may be
    /// older than that look, and then it does not say what was there before them.
    fresh: HashSet<FolderId>,
    /// Whether all events that are older than those looks have been read.
    older_are_read: bool,
    /// Folders whose ignore files have changed.
    stale_rules: BTreeSet<FolderId>,
    unreadable: BTreeSet<FolderId>,
    /// Folders that are the top of a repository.
    repositories: BTreeSet<FolderId>,
}

/// One folder.
#[derive(Debug)]
struct Folder {
    parent: Option<FolderId>,
    name: Arc<OsStr>,
    children: BTreeMap<Arc<OsStr>, FolderId>,
    wd: Option<Wd>,
    level: Option<Arc<Level>>,
    /// What its ignore files were when they were read.
    rules_print: u64,
    /// Its files; `None` as long as they have not been looked at.
    snapshot: Option<Snapshot>,
}

impl Folder {
    fn new(parent: Option<FolderId>, name: Arc<OsStr>) -> Self {
        Self {
            parent,
            name,
            children: BTreeMap::new(),
            wd: None,
            level: None,
            rules_print: 0,
            snapshot: None,
        }
    }
}

/// Who is told about changes: the path below the tree's own, what happened, and whether a comparison has shown it.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(&Path, Kind, bool);

/// Asks the system for events, or does not.
#[derive(Debug)]
pub(crate) struct Eye<'a> {
    /// `None`: there are none, the tree is polled.
    source: Option<&'a mut Source>,
    root: RootId,
    /// The system allowed no more watches. From then on nothing more is asked for.
    limit_met: bool,
}

enum Asked {
    Watched(Wd),
    /// Nobody was asked.
    Polled,
    Gone,
    Failed(io::Error),
}

impl<'a> Eye<'a> {
    pub(crate) fn new(source: Option<&'a mut Source>, root: RootId) -> Self {
        Self {
            source,
            root,
            limit_met: false,
        }
    }

    /// Whether the system allowed no more watches.
    pub(crate) fn limit_met(&self) -> bool {
        self.limit_met
    }

    fn to(&self, folder: FolderId) -> Use {
        Use {
            root: self.root,
            place: Place::Folder(folder),
        }
    }

    fn ask(&mut self, path: &Path, folder: FolderId) -> Asked {
        let to = self.to(folder);
        let Some(source) = self.source.as_mut().filter(|_| !self.limit_met) else {
            return Asked::Polled;
        };
        match source.add(path, to) {
            Ok(wd) => Asked::Watched(wd),
            Err(AddError::Gone) => Asked::Gone,
            Err(AddError::Io(error)) => Asked::Failed(error),
            Err(AddError::Limit) => {
                self.limit_met = true;
                Asked::Polled
            }
        }
    }

    fn forget(&mut self, wd: Option<Wd>, folder: FolderId) {
        let to = self.to(folder);
        if let (Some(source), Some(wd)) = (self.source.as_mut(), wd) {
            source.remove(wd, to);
        }
    }
}

impl Tree {
    /// A tree at `real`, a path without symbolic links. Nothing is looked at yet.
    pub(crate) fn new(real: PathBuf, rules: Rules, above: Option<Arc<Level>>) -> Self {
        let top = Folder::new(None, Arc::from(OsStr::new("")));
        Self {
            real,
            rules,
            above,
            folders: HashMap::from([(TOP, top)]),
            last: TOP,
            files: 0,
            unlooked: VecDeque::new(),
            fresh: HashSet::new(),
            older_are_read: true,
            stale_rules: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            repositories: BTreeSet::new(),
        }
    }

    /// Where it is.
    pub(crate) fn real(&self) -> &Path {
        &self.real
    }

    /// How many folders are looked at.
    pub(crate) fn folder_count(&self) -> u64 {
        self.folders.len() as u64
    }

    /// How many files are in them, once all have been looked at.
    pub(crate) fn file_count(&self) -> Option<u64> {
        (self.unlooked.is_empty()
            && self
                .folders
                .values()
                .all(|folder| folder.snapshot.is_some()))
        .then_some(self.files)
    }

    /// How many folders cannot be read, and one of them.
    pub(crate) fn unreadable(&self) -> Option<(usize, PathBuf)> {
        let first = self.unreadable.iter().find_map(|id| self.below(*id))?;
        Some((self.unreadable.len(), self.real_path(&first)))
    }

    /// What git holds if it is at work in it.
    pub(crate) fn git_lock(&self) -> Option<Lock> {
        let below = self.repositories.iter().filter_map(|id| self.below(*id));
        below
            .map(|below| self.real_path(&below))
            .find_map(|top| repository::lock(&top))
    }

    /// The ignore files above it have changed.
    pub(crate) fn set_above(&mut self, above: Option<Arc<Level>>) {
        self.above = above;
        self.stale_rules.insert(TOP);
    }

    /// Ends every use of the source.
    pub(crate) fn close_eyes(&mut self, eye: &mut Eye<'_>) {
        for (id, folder) in &mut self.folders {
            eye.forget(folder.wd.take(), *id);
        }
    }

    /// The path of a folder below the tree's own; `None` if there is no such folder any more.
    fn below(&self, id: FolderId) -> Option<PathBuf> {
        let mut names = Vec::new();
        let mut folder = self.folders.get(&id)?;
        while let Some(parent) = folder.parent {
            names.push(&*folder.name);
            folder = self.folders.get(&parent)?;
        }
        Some(names.into_iter().rev().collect())
    }

    /// Where something below the tree's own path is.
    fn real_path(&self, below: &Path) -> PathBuf {
        if below.as_os_str().is_empty() {
            self.real.clone()
        } else {
            self.real.join(below)
        }
    }

    /// The folder at a path below the tree's own.
    fn find(&self, below: &Path) -> Option<FolderId> {
        below.iter().try_fold(TOP, |id, name| self.child(id, name))
    }

    fn child(&self, parent: FolderId, name: &OsStr) -> Option<FolderId> {
        self.folders.get(&parent)?.children.get(name).copied()
    }

    fn insert(&mut self, parent: FolderId, name: &OsStr) -> FolderId {
        self.last = FolderId(self.last.0 + 1);
        let name: Arc<OsStr> = Arc::from(name);
        self.folders
            .insert(self.last, Folder::new(Some(parent), Arc::clone(&name)));
        if let Some(folder) = self.folders.get_mut(&parent) {
            folder.children.insert(name, self.last);
        }
        self.last
    }

    /// Forgets a folder and all below it, and says what was in them.
    pub(crate) fn remove(&mut self, id: FolderId, eye: &mut Eye<'_>, gone: &mut dyn FnMut(&Path)) {
        let Some(below) = self.below(id) else { return };
        if let Some(folder) = self.folders.get(&id)
            && let Some(parent) = folder.parent
        {
            let name = Arc::clone(&folder.name);
            if let Some(parent) = self.folders.get_mut(&parent) {
                parent.children.remove(&name);
            }
        }
        let mut rest = vec![(id, below)];
        while let Some((id, below)) = rest.pop() {
            let Some(folder) = self.folders.remove(&id) else {
                continue;
            };
            eye.forget(folder.wd, id);
            self.fresh.remove(&id);
            self.stale_rules.remove(&id);
            self.unreadable.remove(&id);
            self.repositories.remove(&id);
            gone(&below);
            if let Some(snapshot) = &folder.snapshot {
                self.files -= snapshot.len();
                snapshot
                    .iter()
                    .for_each(|(name, _)| gone(&below.join(name)));
            }
            rest.extend(
                folder
                    .children
                    .iter()
                    .map(|(name, child)| (*child, below.join(&**name))),
            );
        }
    }

    fn set_snapshot(&mut self, id: FolderId, snapshot: Snapshot) {
        if let Some(folder) = self.folders.get_mut(&id) {
            self.files += snapshot.len();
            if let Some(old) = folder.snapshot.replace(snapshot) {
                self.files -= old.len();
            }
        }
    }
}
