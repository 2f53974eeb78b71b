//! Decides what came of what happened, by looking at what the files are now; the snapshots are up to date afterwards.
//!
//! This comes before the batch is told: what happens after this look is seen again, what happened before it is in the
//! batch.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Tree;
use crate::backend::FolderId;
use crate::change::{Before, Seen};
use crate::snapshot::Fingerprint;

/// A path of a batch, below the tree's own.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its place in the batch.
    pub(crate) at: usize,
    /// The path.
    pub(crate) below: PathBuf,
    /// What happened to it.
    pub(crate) seen: Seen,
}

/// A file of a folder whose files are known.
struct Pending {
    item: Item,
    now: Option<Fingerprint>,
}

impl Tree {
    /// The places of those items that are changes.
    pub(crate) fn settle(&mut self, items: Vec<Item>) -> Vec<usize> {
        let mut changes = Vec::new();
        let mut pending: BTreeMap<FolderId, Vec<Pending>> = BTreeMap::new();
        let mut last_parent: Option<(PathBuf, Option<FolderId>)> = None;
        for item in items {
            let metadata = self.real_path(&item.below).symlink_metadata().ok();
            let now = metadata.as_ref().map(Fingerprint::from);
            let is_folder = metadata.is_some_and(|metadata| metadata.is_dir());
            let parent = item.below.parent().unwrap_or(Path::new(""));
            let folder = match &last_parent {
                Some((path, folder)) if path == parent => *folder,
                _ => {
                    let folder = self.find(parent);
                    last_parent = Some((parent.to_owned(), folder));
                    folder
                }
            };
            let folder = folder.filter(|_| item.below.file_name().is_some());
            match folder {
                // Rules that changed in this very batch are those that count.
                Some(folder) if !self.keeps(folder, &item.below, is_folder) => {}
                Some(folder) if !is_folder && self.is_looked_at(folder) => {
                    pending
                        .entry(folder)
                        .or_default()
                        .push(Pending { item, now });
                }
                _ if item.seen.is_change(Before::Unknown, now) => changes.push(item.at),
                _ => {}
            }
        }
        for (folder, files) in pending {
            self.settle_files(folder, files, &mut changes);
        }
        if self.older_are_read {
            self.fresh.clear();
        }
        changes
    }

    fn is_looked_at(&self, folder: FolderId) -> bool {
        self.folders
            .get(&folder)
            .is_some_and(|folder| folder.snapshot.is_some())
    }

    fn settle_files(
        &mut self,
        folder: FolderId,
        mut files: Vec<Pending>,
        changes: &mut Vec<usize>,
    ) {
        let Some(snapshot) = self
            .folders
            .get_mut(&folder)
            .and_then(|folder| folder.snapshot.as_mut())
        else {
            return;
        };
        // The order in which the snapshot answers.
        files.sort_unstable_by(|a, b| a.item.below.file_name().cmp(&b.item.below.file_name()));
        let news = files
            .iter()
            .map(|Pending { item, now }| {
                let name = item
                    .below
                    .file_name()
                    .map_or_else(OsString::new, OsString::from);
                (name, *now)
            })
            .collect();
        self.files -= snapshot.len();
        let befores = snapshot.update(news);
        self.files += snapshot.len();
        let is_fresh = self.fresh.contains(&folder);
        for (Pending { item, now }, (_, before, _)) in files.into_iter().zip(befores) {
            let before = match before {
                _ if is_fresh => Before::Unknown,
                None => Before::Absent,
                Some(before) => Before::Was(before),
            };
            if item.seen.is_change(before, now) {
                changes.push(item.at);
            }
        }
    }
}
