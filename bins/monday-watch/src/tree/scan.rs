//! Looks at folders: watches each, **then** lists it, so that nothing that is made in between is missed, and finds
//! what is different from before.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use super::list::Found;
use super::{Asked, Eye, TOP, Tell, Tree};
use crate::backend::FolderId;
use crate::change::Kind;
use crate::snapshot::{Difference, Snapshot};

/// What a look is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The tree is new. Folders are watched, files are left for later, nothing is told.
    Begin,
    /// A folder has come. All that is in it is told.
    Arrived,
    /// Events were lost, or there are none. What is different is told.
    Compare,
    /// Ignore files have changed. As [`Look::Compare`], but what is kept now and was not before is not told: the file that
    /// says so is what changed.
    Rules,
}

/// What is known of a folder that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It was there before.
    Before,
    /// It is new, and all that is in it.
    New,
    /// It is looked at for the first time, and nothing is to be told of it.
    Unspoken,
}

/// A folder that is about to be looked at.
#[derive(Clone, Copy, Debug)]
struct Step {
    id: FolderId,
    known: Known,
    /// What is kept in it may be something else than before.
    other_rules: bool,
}

impl Tree {
    /// Looks at a folder and those below it. Returns whether every one of them could be compared with what it had been
    /// before.
    pub(crate) fn scan(
        &mut self,
        start: FolderId,
        look: Look,
        eye: &mut Eye<'_>,
        tell: Tell<'_>,
    ) -> bool {
        let mut sure = true;
        let mut rest = vec![Step {
            id: start,
            known: match look {
                Look::Begin => Known::Unspoken,
                Look::Arrived => Known::New,
                Look::Compare | Look::Rules => Known::Before,
            },
            other_rules: look == Look::Rules,
        }];
        while let Some(mut step) = rest.pop() {
            let Some(below) = self.below(step.id) else {
                continue;
            };
            let path = self.real_path(&below);
            if !self.watch(step.id, &path, eye) {
                continue;
            }
            let Some(entries) = self.list(step.id, &path, look != Look::Begin) else {
                continue;
            };
            let force = step.other_rules || step.known != Known::Before;
            let read = self.read_rules(step.id, &path, &entries, force);
            step.other_rules = read && step.known == Known::Before;
            let found = self.sift(step.id, &path, entries, step.other_rules);
            self.compare_folders(step, &below, &found, eye, tell, &mut rest);
            if look == Look::Begin {
                self.unlooked.push_back(step.id);
            } else {
                sure &= self.compare_files(step, &below, found, tell);
            }
        }
        sure
    }

    fn compare_folders(
        &mut self,
        step: Step,
        below: &Path,
        found: &Found,
        eye: &mut Eye<'_>,
        tell: Tell<'_>,
        rest: &mut Vec<Step>,
    ) {
        for (name, child) in self.lost_children(step.id, found) {
            let is_gone = !found.left_out.contains(&*name);
            self.remove(child, eye, &mut |below| {
                if is_gone {
                    tell(below, Kind::Gone, true);
                }
            });
        }
        for name in &found.folders {
            if let Some(child) = self.child(step.id, name) {
                rest.push(Step { id: child, ..step });
                continue;
            }
            let known = if step.known == Known::Unspoken || step.other_rules {
                Known::Unspoken
            } else {
                tell(&below.join(name), Kind::Created, true);
                Known::New
            };
            rest.push(Step {
                id: self.insert(step.id, name),
                known,
                other_rules: false,
            });
        }
    }

    /// Returns whether there was something to compare with, if that was needed.
    fn compare_files(&mut self, step: Step, below: &Path, found: Found, tell: Tell<'_>) -> bool {
        let newer = Snapshot::new(found.files);
        let older = self
            .folders
            .get(&step.id)
            .and_then(|folder| folder.snapshot.as_ref());
        match (step.known, older) {
            (Known::Unspoken, _) | (Known::Before, None) => {}
            (Known::New, _) => {
                newer
                    .iter()
                    .for_each(|(name, _)| tell(&below.join(name), Kind::Created, true));
            }
            (Known::Before, Some(older)) => {
                for (name, difference) in older.differences(&newer) {
                    let kind = match difference {
                        Difference::New if step.other_rules => continue,
                        Difference::Gone if found.left_out.contains(name) => continue,
                        Difference::New => Kind::Created,
                        Difference::Written => Kind::Written,
                        Difference::Gone => Kind::Gone,
                    };
                    tell(&below.join(name), kind, true);
                }
            }
        }
        let sure = step.known != Known::Before || older.is_some();
        self.set_snapshot(step.id, newer);
        if !sure {
            self.is_fresh(step.id);
        }
        sure
    }

    /// Looks at the files of one folder that have not been looked at. Returns whether there was one.
    pub(crate) fn look_at_next(&mut self) -> bool {
        let Some(id) = self.unlooked.pop_front() else {
            return false;
        };
        let snapshot = self
            .folders
            .get(&id)
            .map(|folder| folder.snapshot.is_some());
        if snapshot == Some(false)
            && let Some(below) = self.below(id)
        {
            let path = self.real_path(&below);
            if let Some(entries) = self.list(id, &path, true) {
                let found = self.sift(id, &path, entries, false);
                self.set_snapshot(id, Snapshot::new(found.files));
                self.is_fresh(id);
            }
        }
        true
    }

    /// All events that the system had were read; whether any of them waits to be told is known by the caller.
    pub(crate) fn events_are_read(&mut self, none_waits: bool) {
        self.older_are_read = true;
        if none_waits {
            self.fresh.clear();
        }
    }

    fn is_fresh(&mut self, id: FolderId) {
        self.fresh.insert(id);
        self.older_are_read = false;
    }

    /// Reads ignore files again that have changed, and looks at what they are about.
    pub(crate) fn refresh_rules(&mut self, eye: &mut Eye<'_>, tell: Tell<'_>) {
        for id in std::mem::take(&mut self.stale_rules) {
            self.scan(id, Look::Rules, eye, tell);
        }
    }

    /// Asks for the events of a folder. Returns whether it is worth looking into.
    fn watch(&mut self, id: FolderId, path: &Path, eye: &mut Eye<'_>) -> bool {
        let wd = match eye.ask(path, id) {
            Asked::Watched(wd) => Some(wd),
            Asked::Polled => None,
            // Its parent tells, or will be compared.
            Asked::Gone => return false,
            Asked::Failed(error) => {
                self.cannot_read(id, path, &error);
                return false;
            }
        };
        let Some(folder) = self.folders.get_mut(&id) else {
            return false;
        };
        let old = std::mem::replace(&mut folder.wd, wd);
        if old != wd {
            eye.forget(old, id);
        }
        true
    }

    /// Whether the folder at the path is the one that is watched.
    pub(crate) fn is_watched_still(&mut self, eye: &mut Eye<'_>) -> bool {
        let before = self.folders.get(&TOP).and_then(|folder| folder.wd);
        let path = self.real.clone();
        self.watch(TOP, &path, eye);
        before == self.folders.get(&TOP).and_then(|folder| folder.wd)
    }

    /// The folders in this one that are known and were not found.
    fn lost_children(&self, id: FolderId, found: &Found) -> Vec<(Arc<OsStr>, FolderId)> {
        let Some(folder) = self
            .folders
            .get(&id)
            .filter(|folder| !folder.children.is_empty())
        else {
            return Vec::new();
        };
        let there: HashSet<&OsStr> = found.folders.iter().map(OsString::as_os_str).collect();
        folder
            .children
            .iter()
            .filter(|(name, _)| !there.contains(&***name))
            .map(|(name, child)| (Arc::clone(name), *child))
            .collect()
    }
}
