//! Lists a folder, reads its ignore files and leaves out what is not kept.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::Path;

use super::Tree;
use crate::backend::FolderId;
use crate::rules::{FILE_NAMES, Level};
use crate::snapshot::{Fingerprint, Snapshot};
use crate::{ignore_files, repository};

/// An entry of a folder.
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) is_folder: bool,
    /// Only of files, and only if it was asked for.
    pub(super) print: Option<Fingerprint>,
}

/// What is in a folder, as far as it is kept.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: Vec<(OsString, Fingerprint)>,
    pub(super) folders: Vec<OsString>,
    /// What is there and is not kept, if that matters.
    pub(super) left_out: HashSet<OsString>,
}

impl Tree {
    pub(super) fn cannot_read(&mut self, id: FolderId, path: &Path, error: &io::Error) {
        // Nothing is known to be in it.
        if self
            .folders
            .get(&id)
            .is_some_and(|folder| folder.snapshot.is_none())
        {
            self.set_snapshot(id, Snapshot::default());
        }
        if self.unreadable.insert(id) {
            tracing::debug!(%error, "{} cannot be looked at", path.display());
        }
    }

    pub(super) fn list(
        &mut self,
        id: FolderId,
        path: &Path,
        with_prints: bool,
    ) -> Option<Vec<Entry>> {
        match list(path, with_prints) {
            Ok(entries) => {
                self.unreadable.remove(&id);
                if entries.iter().any(|entry| entry.name == repository::NAME) {
                    self.repositories.insert(id);
                } else {
                    self.repositories.remove(&id);
                }
                Some(entries)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                None
            }
            Err(error) => {
                self.cannot_read(id, path, &error);
                None
            }
        }
    }

    /// Reads the ignore files of a folder, if `force`, or if they are others than before. Returns whether they were.
    pub(super) fn read_rules(
        &mut self,
        id: FolderId,
        path: &Path,
        entries: &[Entry],
        force: bool,
    ) -> bool {
        if !self.rules.obeys_files() {
            return false;
        }
        let print = rules_print(entries);
        let Some(folder) = self.folders.get(&id) else {
            return false;
        };
        if !force && folder.rules_print == print {
            return false;
        }
        let above = match folder.parent {
            Some(parent) => self
                .folders
                .get(&parent)
                .and_then(|parent| parent.level.clone()),
            None => self.above.clone(),
        };
        let has = |name: &str| entries.iter().any(|entry| entry.name == name);
        let texts = ignore_files::texts(path, has);
        let level = Level::below(above, path, &texts);
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.level = level;
            folder.rules_print = print;
        }
        true
    }

    /// Leaves out what is not kept.
    pub(super) fn sift(
        &self,
        id: FolderId,
        path: &Path,
        entries: Vec<Entry>,
        note_left_out: bool,
    ) -> Found {
        let level = self
            .folders
            .get(&id)
            .and_then(|folder| folder.level.as_deref());
        let mut found = Found::default();
        let mut of_entry = path.to_owned();
        for Entry {
            name,
            is_folder,
            print,
        } in entries
        {
            of_entry.push(&name);
            let kept = self.rules.keeps(level, &of_entry, is_folder);
            of_entry.pop();
            match (kept, is_folder, print) {
                (true, true, _) => found.folders.push(name),
                (true, false, Some(print)) => found.files.push((name, print)),
                (false, _, _) if note_left_out => {
                    found.left_out.insert(name);
                }
                _ => {}
            }
        }
        found
    }
}

/// What the ignore files of a folder are, as a number; 0 if there are none.
fn rules_print(entries: &[Entry]) -> u64 {
    let mut rules: Vec<_> = entries
        .iter()
        .filter(|entry| {
            FILE_NAMES.iter().any(|name| entry.name == *name) || entry.name == repository::NAME
        })
        .collect();
    if rules.is_empty() {
        return 0;
    }
    rules.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut hasher = DefaultHasher::new();
    for Entry {
        name,
        is_folder,
        print,
    } in rules
    {
        (name, is_folder, print).hash(&mut hasher);
    }
    hasher.finish()
}

/// What is in a folder. Ignore files have their prints in any case. A file that vanishes meanwhile is left out.
fn list(path: &Path, with_prints: bool) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let is_folder = kind.is_dir();
        let wanted = with_prints || FILE_NAMES.iter().any(|file| name == *file);
        let print = if !is_folder && wanted {
            match entry.metadata() {
                Ok(metadata) => Some(Fingerprint::from(&metadata)),
                Err(_) => continue,
            }
        } else {
            None
        };
        entries.push(Entry {
            name,
            is_folder,
            print,
        });
    }
    Ok(entries)
}
