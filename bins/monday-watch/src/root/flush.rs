//! Brings everything up to date and says what came of it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Eyes, Root, Site};
use crate::change::{Batch, Before, Kind};
use crate::ignore_files;
use crate::poll;
use crate::snapshot::Fingerprint;
use crate::tree::{Eye, Item, Look, TOP};

/// What a path has to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// What changed, absolute.
    pub(crate) changed: Vec<PathBuf>,
    /// The system dropped events, and this cannot be all.
    pub(crate) unsure: bool,
    /// The system dropped events.
    pub(crate) overflow: bool,
    /// The path is missing, or there, and was the other before.
    pub(crate) missing: Option<bool>,
}

impl Root {
    /// Follows the way again if something happened to it. What is new there is watched from now on, and not only when the
    /// batch is told.
    pub(crate) fn catch_up(&mut self, eyes: Eyes<'_>) {
        if self.moved {
            self.relocate(eyes);
        }
    }

    /// Everything that is to be told now.
    pub(crate) fn flush(&mut self, eyes: Eyes<'_>) -> News {
        let mut eyes = eyes;
        let mut news = News::default();
        if std::mem::take(&mut self.events_lost) {
            news.overflow = true;
            self.relocate(eyes.as_deref_mut());
            news.unsure = !self.compare(eyes.as_deref_mut());
        }
        self.catch_up(eyes.as_deref_mut());
        self.refresh_rules(eyes);
        news.changed = self.settle();
        let is_missing = self.is_missing();
        if is_missing != self.told_missing {
            self.told_missing = is_missing;
            news.missing = Some(is_missing);
        }
        news
    }

    /// Looks at everything because nobody tells. Returns whether something is different.
    pub(crate) fn look(&mut self) -> bool {
        let began = Instant::now();
        let before = self.batch.len();
        self.relocate(None);
        self.compare(None);
        self.next_look = Some(poll::next(began, Instant::now()));
        self.batch.len() > before
    }

    /// Compares what is there with what was there. Returns whether that was possible everywhere.
    fn compare(&mut self, eyes: Eyes<'_>) -> bool {
        let mut eyes = eyes.filter(|_| !self.is_polled());
        let sure = match &mut self.site {
            Site::Missing => return true,
            Site::File { real, print } => {
                let now = print_of(real);
                if now != *print {
                    self.batch.note(PathBuf::new(), Kind::Written);
                }
                return true;
            }
            Site::Folder { tree, .. } => {
                let batch = &mut self.batch;
                let mut eye = Eye::new(eyes.as_deref_mut(), self.id);
                let sure = tree.scan(TOP, Look::Compare, &mut eye, &mut |below, kind, _| {
                    batch.note_compared(below.to_owned(), kind);
                });
                if !eye.limit_met() {
                    return sure;
                }
                sure
            }
        };
        self.fall_back(eyes);
        sure
    }

    fn refresh_rules(&mut self, eyes: Eyes<'_>) {
        let above_is_stale = std::mem::take(&mut self.above_is_stale);
        let mut eyes = eyes.filter(|_| !self.is_polled());
        let Site::Folder { tree, .. } = &mut self.site else {
            return;
        };
        if above_is_stale {
            let above = ignore_files::above(tree.real());
            tree.set_above(above.level);
        }
        let mut eye = Eye::new(eyes.as_deref_mut(), self.id);
        let batch = &mut self.batch;
        tree.refresh_rules(&mut eye, &mut |below, kind, _| {
            batch.note_compared(below.to_owned(), kind);
        });
        if eye.limit_met() {
            self.fall_back(eyes);
        }
    }

    /// What came of the batch, which is empty afterwards.
    fn settle(&mut self) -> Vec<PathBuf> {
        let mut batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Vec::new();
        }
        let is_kept = self.decide(&batch);
        batch.keep(|at| is_kept.get(at).copied().unwrap_or_default());
        batch
            .iter()
            .map(|(below, _)| {
                if below.as_os_str().is_empty() {
                    self.path.clone()
                } else {
                    self.path.join(below)
                }
            })
            .collect()
    }

    /// Which paths of the batch, in its order, are to be told.
    fn decide(&mut self, batch: &Batch) -> Vec<bool> {
        let mut is_kept = vec![false; batch.len()];
        match &mut self.site {
            Site::Missing => {
                for (kept, (_, seen)) in is_kept.iter_mut().zip(batch.iter()) {
                    *kept = seen.is_change(Before::Unknown, None);
                }
            }
            Site::File { real, print } => {
                let now = print_of(real);
                let before = print.map_or(Before::Absent, Before::Was);
                for (kept, (below, seen)) in is_kept.iter_mut().zip(batch.iter()) {
                    // Other paths are those of a folder that was here before the file.
                    *kept = if below == Path::new("") {
                        seen.is_change(before, now)
                    } else {
                        seen.is_change(Before::Unknown, None)
                    };
                }
                *print = now;
            }
            Site::Folder { tree, .. } => {
                let items = batch
                    .iter()
                    .enumerate()
                    .map(|(at, (below, seen))| Item {
                        at,
                        below: below.to_owned(),
                        seen,
                    })
                    .collect();
                for at in tree.settle(items) {
                    if let Some(kept) = is_kept.get_mut(at) {
                        *kept = true;
                    }
                }
            }
        }
        is_kept
    }
}

fn print_of(path: &Path) -> Option<Fingerprint> {
    path.symlink_metadata()
        .ok()
        .map(|found| Fingerprint::from(&found))
}
