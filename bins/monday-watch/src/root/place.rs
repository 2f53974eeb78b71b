//! Goes the way to the path, and begins anew where it leads somewhere else than before.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Door, Eyes, Purpose, Root, Site};
use crate::backend::{AddError, Place, Source};
use crate::change::Kind;
use crate::ignore_files;
use crate::platform;
use crate::rules::{FILE_NAMES, Rules};
use crate::snapshot::Fingerprint;
use crate::tree::{Eye, Look, TOP, Tree};
use crate::way::{self, End, Way};

/// How often the way is gone again because it changed while it was gone. It is looked at again with the next event in
/// any case.
const TRIES: usize = 5;

/// What came of watching the way.
enum Watched {
    Wholly,
    /// The limit was reached.
    Limit,
    /// What the path depends on cannot be watched.
    Denied(String),
}

impl Root {
    /// Looks at the path for the first time: everything is in place afterwards, and nothing is told. Where there are no
    /// events, it is said why.
    pub(crate) fn begin(&mut self, eyes: Result<&mut Source, &str>) {
        let (mut eyes, why) = match eyes {
            Ok(source) => (Some(source), None),
            Err(why) => (None, Some(why.to_owned())),
        };
        if self.manner.poll {
            self.poll_because(None);
        } else if why.is_some() {
            self.poll_because(why);
        }
        let end = self.go(eyes.as_deref_mut());
        self.settle_at(end, Look::Begin, eyes);
        self.told_missing = self.is_missing();
    }

    /// Looks whether the way leads somewhere else. What is there then is new, and what was there is gone.
    pub(crate) fn relocate(&mut self, eyes: Eyes<'_>) {
        let mut eyes = eyes;
        self.moved = false;
        let end = self.go(eyes.as_deref_mut());
        if self.is_at(&end, eyes.as_deref_mut()) {
            return;
        }
        self.leave(eyes.as_deref_mut());
        self.settle_at(end, Look::Arrived, eyes);
    }

    /// Whether what is at the end of the way is what was there before.
    fn is_at(&mut self, end: &End, eyes: Eyes<'_>) -> bool {
        let polled = self.is_polled();
        match (&mut self.site, end) {
            (Site::Missing, End::Missing) => true,
            (Site::File { real, .. }, End::File(now)) => real == now,
            (Site::Folder { tree, identity }, End::Folder(now, now_identity)) => {
                tree.real() == now
                    && identity == now_identity
                    // A new folder may have got the inode of the old one; it does not have its watch.
                    && (polled || tree.is_watched_still(&mut Eye::new(eyes, self.id)))
            }
            _ => false,
        }
    }

    /// What was at the end of the way is gone.
    fn leave(&mut self, eyes: Eyes<'_>) {
        match std::mem::replace(&mut self.site, Site::Missing) {
            Site::Missing => {}
            Site::File { .. } => self.batch.note_compared(PathBuf::new(), Kind::Gone),
            Site::Folder { mut tree, .. } => {
                let batch = &mut self.batch;
                tree.remove(TOP, &mut Eye::new(eyes, self.id), &mut |below| {
                    batch.note_compared(below.to_owned(), Kind::Gone);
                });
            }
        }
    }

    /// Takes what is at the end of the way.
    fn settle_at(&mut self, end: End, look: Look, eyes: Eyes<'_>) {
        let is_new = look != Look::Begin;
        let (real, identity) = match end {
            End::Missing => return,
            End::File(real) => {
                let print = real
                    .symlink_metadata()
                    .ok()
                    .map(|found| Fingerprint::from(&found));
                self.site = Site::File { real, print };
                if is_new {
                    self.batch.note_compared(PathBuf::new(), Kind::Created);
                }
                return;
            }
            End::Folder(real, identity) => (real, identity),
        };
        let users = self.manner.gitignore.then(|| ignore_files::of_user(&real));
        // The patterns were checked when they came.
        let rules = match Rules::new(&real, &self.manner.exclude, users) {
            Ok(rules) => rules,
            Err(error) => {
                tracing::error!(%error, "a pattern was good before and is not any more");
                return;
            }
        };
        let above = if self.manner.gitignore {
            ignore_files::above(&real).level
        } else {
            None
        };
        let mut tree = Box::new(Tree::new(real, rules, above));
        let mut eyes = eyes.filter(|_| !self.is_polled());
        let mut eye = Eye::new(eyes.as_deref_mut(), self.id);
        let batch = &mut self.batch;
        tree.scan(TOP, look, &mut eye, &mut |below, kind, _| {
            batch.note_compared(below.to_owned(), kind);
        });
        if is_new {
            batch.note_compared(PathBuf::new(), Kind::Created);
        }
        let limit_met = eye.limit_met();
        self.site = Site::Folder { tree, identity };
        if self.is_polled() {
            while self.look_at_next() {}
        }
        if limit_met {
            self.fall_back(eyes);
        }
    }

    /// Goes the way, watching it, and returns where it leads.
    fn go(&mut self, eyes: Eyes<'_>) -> End {
        let mut eyes = eyes;
        self.leave_way(eyes.as_deref_mut());
        let mut way = way::find(&self.path);
        for _ in 0..TRIES {
            if !self.is_polled()
                && let Some(file_system) = network_of(&way.end)
            {
                self.close(eyes.as_deref_mut());
                self.poll_because(Some(format!(
                    "polled: it is on a file system ({file_system}) that others write to without this system noticing"
                )));
            }
            if self.is_polled() {
                return way.end;
            }
            match self.watch_way(&way, eyes.as_deref_mut()) {
                Watched::Wholly => {}
                Watched::Limit => {
                    self.fall_back(eyes.as_deref_mut());
                    return way.end;
                }
                Watched::Denied(why) => {
                    self.close(eyes.as_deref_mut());
                    self.poll_because(Some(format!("polled: {why}")));
                    return way.end;
                }
            }
            // Watched first, gone second: what changed in between is seen here.
            let again = way::find(&self.path);
            if again == way {
                break;
            }
            self.leave_way(eyes.as_deref_mut());
            way = again;
        }
        way.end
    }

    /// Ends the watching of the way.
    pub(super) fn leave_way(&mut self, eyes: Eyes<'_>) {
        let doors = std::mem::take(&mut self.doors);
        let ways = std::mem::take(&mut self.ways);
        let Some(source) = eyes else { return };
        for (number, door) in doors.into_iter().enumerate() {
            source.remove(door.wd, self.to(door.purpose.place(number)));
        }
        for wd in ways {
            source.remove(wd, self.to(Place::Way));
        }
    }

    fn watch_way(&mut self, way: &Way, eyes: Eyes<'_>) -> Watched {
        let Some(source) = eyes else {
            return Watched::Wholly;
        };
        for folder in &way.folders {
            match source.add(folder, self.to(Place::Way)) {
                Ok(wd) => self.ways.push(wd),
                Err(AddError::Limit) => return Watched::Limit,
                // A folder that may be passed and not be read: whether it is moved cannot be known.
                Err(AddError::Gone | AddError::Io(_)) => {}
            }
        }
        // All but a folder at the end depend on events in a door: the folder tells about itself.
        let needs_doors = !matches!(way.end, End::Folder(..));
        for (folder, name, purpose) in self.doors_of(way) {
            match source.add(&folder, self.to(purpose.place(self.doors.len()))) {
                Ok(wd) => self.doors.push(Door { wd, name, purpose }),
                Err(AddError::Limit) => return Watched::Limit,
                Err(AddError::Io(error)) if needs_doors => {
                    return Watched::Denied(format!(
                        "{} cannot be watched: {error}",
                        folder.display()
                    ));
                }
                Err(AddError::Gone | AddError::Io(_)) => {}
            }
        }
        Watched::Wholly
    }

    fn doors_of(&self, way: &Way) -> Vec<(PathBuf, OsString, Purpose)> {
        let mut doors: Vec<_> = way
            .doors
            .iter()
            .map(|(folder, name)| (folder.clone(), name.clone(), Purpose::Way))
            .collect();
        match &way.end {
            End::File(_) => {
                if let Some((_, _, purpose)) = doors.last_mut() {
                    *purpose = Purpose::File;
                }
            }
            End::Folder(real, _) if self.manner.gitignore => {
                for folder in ignore_files::above(real).folders {
                    doors.extend(
                        FILE_NAMES.map(|name| (folder.clone(), name.into(), Purpose::Rules)),
                    );
                }
            }
            _ => {}
        }
        doors
    }
}

fn network_of(end: &End) -> Option<&'static str> {
    match end {
        End::Folder(real, _) => platform::network_file_system(real),
        End::File(real) => real
            .parent()
            .and_then(|folder: &Path| platform::network_file_system(folder)),
        End::Missing => None,
    }
}
