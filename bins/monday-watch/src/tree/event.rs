//! Takes what the system tells about the entry of a folder.

use std::path::Path;

use super::{Eye, Look, Tell, Tree};
use crate::backend::{FolderId, Notice, What};
use crate::change::Kind;
use crate::repository;
use crate::rules::FILE_NAMES;

impl Tree {
    /// Takes one event of a folder. Returns whether it is about something that is looked at.
    pub(crate) fn take(
        &mut self,
        folder: FolderId,
        notice: &Notice,
        eye: &mut Eye<'_>,
        tell: Tell<'_>,
    ) -> bool {
        let Notice {
            what,
            name,
            is_folder,
            ..
        } = notice;
        // What was told about a folder that is forgotten meanwhile was found again where it is now.
        let Some(within) = self.below(folder) else {
            return false;
        };
        let is_rule = FILE_NAMES.iter().any(|file| name == *file) || name == repository::NAME;
        let is_rule = is_rule && self.rules.obeys_files();
        if is_rule {
            self.stale_rules.insert(folder);
        }
        let below = within.join(name);
        if !self.keeps(folder, &below, *is_folder) {
            return is_rule;
        }
        let kind = match what {
            What::Created => Kind::Created,
            What::MovedIn | What::Written => Kind::Written,
            What::Closed => Kind::PerhapsWritten,
            What::Gone => Kind::Gone,
            What::Itself => return is_rule,
        };
        tell(&below, kind, false);
        if !is_folder {
            return true;
        }
        let known = self.child(folder, name);
        match what {
            What::Created | What::MovedIn => {
                if let Some(old) = known {
                    self.remove(old, eye, &mut |_| ());
                }
                let new = self.insert(folder, name);
                self.scan(new, Look::Arrived, eye, tell);
            }
            What::Gone => {
                if let Some(old) = known {
                    self.remove(old, eye, &mut |below| tell(below, Kind::Gone, true));
                }
                // Two folders that are exchanged (renameat2(2)) both come before the second is told to have gone.
                if self.is_folder_now(&below) {
                    let new = self.insert(folder, name);
                    self.scan(new, Look::Arrived, eye, tell);
                }
            }
            _ => {}
        }
        true
    }

    fn is_folder_now(&self, below: &Path) -> bool {
        let now = self.real_path(below).symlink_metadata();
        now.is_ok_and(|metadata| metadata.is_dir())
    }

    /// Whether something in a folder is looked at.
    pub(super) fn keeps(&self, folder: FolderId, below: &Path, is_folder: bool) -> bool {
        let level = self
            .folders
            .get(&folder)
            .and_then(|folder| folder.level.as_deref());
        self.rules.keeps(level, &self.real_path(below), is_folder)
    }
}
