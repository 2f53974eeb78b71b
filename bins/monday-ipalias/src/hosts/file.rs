//! A hosts file that others use at the same time: lock, read, edit, write, and look again.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use super::block::Malformed;
use super::displaced::{Displaced, LateWrite};
use super::folder_lock::FolderLock;
use super::in_place::{recover, write_in_place};
use super::journal::Journal;
use super::snapshot::{Location, Signature, Snapshot};
use super::step::Steps;
use super::swap::{Attempt, remove_if_there, swap};
use super::trusted::only_root_changes;
use crate::error::Error;

/// A file that was written more recently than this may be in the middle of being written: an editor that writes in
/// place empties it first.
const QUIET: Duration = Duration::from_millis(30);

/// How long to go on trying while others write.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the file is written.
#[derive(Clone, Debug, Default)]
pub struct HowToWrite {
    /// Always over the old content, never by a new file in its place.
    pub in_place: bool,
    /// Where a journal may be where none can be made beside the file.
    pub spare_folder: Option<PathBuf>,
    /// Only where nobody but root can put something else in the file's place: root writes for somebody else.
    pub only_where_root_rules: bool,
    /// Is told of each step.
    pub steps: Steps,
}

/// A hosts file.
#[derive(Debug)]
pub struct HostsFile {
    path: PathBuf,
    how: HowToWrite,
    /// As it was when we last looked and found nothing to do.
    known: Option<Signature>,
    /// The files that our writes have displaced.
    displaced: Displaced,
}

/// What the file should hold.
struct Wish {
    new: Option<Vec<u8>>,
    /// What it was made from, if that was not what the file holds.
    late: Option<LateWrite>,
}

/// Makes the new content of the old one; `None` stands for no file.
pub type Edit<'a> = &'a dyn Fn(Option<&[u8]>) -> Result<Option<Vec<u8>>, Malformed>;

impl HostsFile {
    /// That file, which need not exist.
    #[must_use]
    pub fn new(path: PathBuf, how: HowToWrite) -> Self {
        Self {
            path,
            how,
            known: None,
            displaced: Displaced::default(),
        }
    }

    /// Its path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::Hosts`].
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        let snapshot = Snapshot::take(&self.path).map_err(|source| self.failed("read", source))?;
        Ok(snapshot.map(|snapshot| snapshot.bytes))
    }

    /// Whether it may differ from what the last [`update`](Self::update) left.
    #[must_use]
    pub fn may_have_changed(&self) -> bool {
        !self.displaced.is_empty()
            || self.known.is_none()
            || self.known != Signature::of(&self.path)
    }

    /// Makes the file what `edit` makes of it and returns whether anything had to be written. What a crash has left is
    /// put right first. `edit` is called again when others write at the same time, and must find nothing to do in its
    /// own result.
    ///
    /// # Errors
    /// [`Error::Hosts`] if the file cannot be read or written, [`Error::Malformed`] if `edit` says so,
    /// [`Error::Overtaken`] if others do not leave the file alone. The file holds no bytes of ours then that it did
    /// not hold before.
    pub fn update(&mut self, edit: Edit<'_>) -> Result<bool, Error> {
        let location = Location::of(&self.path).map_err(|source| self.failed("find", source))?;
        let journals = Journal::places(&location, self.how.spare_folder.as_deref());
        let left_over = journals
            .iter()
            .any(|place| place.symlink_metadata().is_ok())
            || location.beside("new").symlink_metadata().is_ok();
        if !left_over && self.needs_nothing(&location, edit)? {
            return Ok(false);
        }
        self.check_rights(&location)?;
        let _lock = FolderLock::acquire(&location.folder)
            .map_err(|source| self.failed("get the lock to write", source))?;
        recover(&location, &journals).map_err(|source| self.failed("repair", source))?;
        remove_if_there(&location.beside("new"))
            .map_err(|source| self.failed("clean up beside", source))?;
        self.write_until_settled(&location, &journals, edit)
    }

    /// Whether the file is what it should be already; the lock is not needed to find that out, nor any right to write.
    fn needs_nothing(&mut self, location: &Location, edit: Edit<'_>) -> Result<bool, Error> {
        let now = self.snapshot(location)?;
        let wish = self.wish(now.as_ref(), edit)?;
        if wish.is_none() {
            self.settled(now.as_ref());
        }
        Ok(wish.is_none())
    }

    fn write_until_settled(
        &mut self,
        location: &Location,
        journals: &[PathBuf],
        edit: Edit<'_>,
    ) -> Result<bool, Error> {
        let begin = Instant::now();
        let mut written = false;
        while begin.elapsed() < PATIENCE {
            let old = self.snapshot(location)?;
            if let Some(wait) = self.wait_for_quiet(old.as_ref()) {
                std::thread::sleep(wait);
                continue;
            }
            let Some(Wish { new, late }) = self.wish(old.as_ref(), edit)? else {
                self.settled(old.as_ref());
                return Ok(written);
            };
            match self.write(location, journals, old.as_ref(), new.as_deref()) {
                Ok(Attempt::Done) => {
                    written = true;
                    self.known = Signature::of(&location.file);
                    if let Some(old) = old {
                        self.displaced.add(old, late);
                    }
                }
                Ok(Attempt::Overtaken) => {}
                Err(source) => return Err(self.failed("write", source)),
            }
        }
        Err(Error::Overtaken {
            file: self.path.clone(),
        })
    }

    fn write(
        &self,
        location: &Location,
        journals: &[PathBuf],
        old: Option<&Snapshot>,
        new: Option<&[u8]>,
    ) -> io::Result<Attempt> {
        let steps = &self.how.steps;
        let over = |old| {
            // A file that must keep its inode cannot go; it is empty instead.
            write_in_place(location, old, new.unwrap_or_default(), journals, steps)
        };
        match old {
            Some(old) if self.how.in_place || location.linked || old.is_pinned(location) => over(old),
            Some(old) => swap(location, Some(old), new, steps).or_else(|error| {
                tracing::debug!(%error, file = %location.file.display(), "written in place instead");
                over(old)
            }),
            None => swap(location, None, new, steps),
        }
    }

    fn snapshot(&self, location: &Location) -> Result<Option<Snapshot>, Error> {
        Snapshot::take(&location.file).map_err(|source| self.failed("read", source))
    }

    /// What the file should hold, if that is not what it holds.
    fn wish(&mut self, now: Option<&Snapshot>, edit: Edit<'_>) -> Result<Option<Wish>, Error> {
        let holds = now.map(|now| now.bytes.as_slice());
        let late = self.displaced.late_write(now, self.known);
        let source = late.as_ref().map_or(holds, |late| Some(&late.bytes));
        let new = edit(source).map_err(|source| Error::Malformed {
            file: self.path.clone(),
            source,
        })?;
        Ok((new.as_deref() != holds).then_some(Wish { new, late }))
    }

    fn settled(&mut self, now: Option<&Snapshot>) {
        self.known = now.map(|now| Signature::from(&now.meta));
        self.displaced.looked(now);
    }

    /// How long to wait until the file can be taken to be complete; not for what we have written ourselves.
    fn wait_for_quiet(&self, old: Option<&Snapshot>) -> Option<Duration> {
        let old = old?;
        if self.known == Some(Signature::from(&old.meta)) {
            return None;
        }
        QUIET.checked_sub(old.age()).filter(|wait| !wait.is_zero())
    }

    /// Asks for the right to write before anything is done, so that nobody who has none takes the lock. It also keeps
    /// the owner of a read-only file from having it replaced.
    fn check_rights(&self, location: &Location) -> Result<(), Error> {
        if self.how.only_where_root_rules {
            only_root_changes(&location.folder).map_err(|source| self.failed("write", source))?;
        }
        match OpenOptions::new()
            .append(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&location.file)
        {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("write", source))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, what: &'static str, source: io::Error) -> Error {
        Error::Hosts {
            what,
            file: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
