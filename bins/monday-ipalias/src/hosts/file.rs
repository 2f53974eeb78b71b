//! A hosts file that others use at the same time: lock, read, edit, write, and look again.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use super::block::Malformed;
use super::displaced::{Displaced, LateWrite};
use super::folder_lock::WriteLock;
use super::in_place::{recover, write_in_place};
use super::journal::Journal;
use super::snapshot::{Location, Signature, Snapshot};
use super::step::Steps;
use super::swap::{self, Attempt, swap};
use super::trusted::only_root_changes;
use crate::error::Error;

/// A file that was written more recently than this may be in the middle of being written: an editor that writes in
/// place empties it first.
const QUIET: Duration = Duration::from_millis(30);

/// How long to go on trying while others write.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a file that makes no sense is taken to be unfinished: no editor pauses for so long in the middle. It is less
/// than [`PATIENCE`], so that what is wrong with the file is said in the end.
const UNFINISHED: Duration = Duration::from_secs(1);

/// How long to wait until something that makes no sense yet is looked at again.
const PAUSE: Duration = Duration::from_millis(10);

/// An editor that has opened the file before it was displaced has this long to write, before we look for the last time.
const LATE: Duration = Duration::from_millis(50);

/// How the file is written.
#[derive(Clone, Debug, Default)]
pub struct HowToWrite {
    /// Always over the old content, never by a new file in its place.
    pub in_place: bool,
    /// Where a journal may be where none can be made beside the file.
    pub spare_folder: Option<PathBuf>,
    /// The file that this one is a copy of, with our lines added: whatever is written is made from what that one holds, and
    /// it is written again when that one changes.
    pub base: Option<PathBuf>,
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
    /// The same for the base.
    known_base: Option<Signature>,
    /// The files that our writes have displaced.
    displaced: Displaced,
}

/// What the file should hold.
struct Wish {
    new: Option<Vec<u8>>,
    /// What it was made from, if that was not what the file holds.
    late: Option<LateWrite>,
}

/// The file as it was found.
struct Looked {
    now: Option<Snapshot>,
    /// What it should hold, if that is not what it holds.
    wish: Option<Wish>,
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
            known_base: None,
            displaced: Displaced::default(),
        }
    }

    /// Whether it is a copy of another file.
    #[must_use]
    pub fn is_private_copy(&self) -> bool {
        self.how.base.is_some()
    }

    /// What its content is made from: what it holds, or what the file holds that it is a copy of.
    ///
    /// # Errors
    /// [`Error::Hosts`].
    pub fn source(&self) -> Result<Option<Vec<u8>>, Error> {
        match self.how.base {
            Some(_) => Ok(self.base()?.map(|base| base.bytes)),
            None => self.read(),
        }
    }

    /// Its path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; `None` if there is no such file. One that a crash has torn is read as it will be once it is repaired.
    ///
    /// # Errors
    /// [`Error::Hosts`].
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        let snapshot = Snapshot::take(&self.path).map_err(|source| self.failed("read", source))?;
        Ok(snapshot.map(|snapshot| self.whole(snapshot.bytes)))
    }

    /// Reads it and what stands in it. Where that makes no sense, it is taken to be in the middle of being written and read
    /// again for a while.
    ///
    /// # Errors
    /// [`Error::Hosts`]; [`Error::Malformed`] if it goes on making no sense.
    pub fn read_as<T>(
        &self,
        parse: impl Fn(Option<&[u8]>) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        let begin = Instant::now();
        loop {
            let now = Snapshot::take(&self.path).map_err(|source| self.failed("read", source))?;
            let wait = Self::wait_for_sense(now.as_ref(), begin);
            let whole = now.map(|now| self.whole(now.bytes));
            match (parse(whole.as_deref()), wait) {
                (Err(_), Some(wait)) => std::thread::sleep(wait),
                (parsed, _) => return parsed.map_err(|source| self.malformed(source)),
            }
        }
    }

    /// A content, or what a journal makes of it.
    fn whole(&self, content: Vec<u8>) -> Vec<u8> {
        let Ok(location) = Location::of(&self.path) else {
            return content;
        };
        let journals = Journal::places(&location, self.how.spare_folder.as_deref());
        let journals = journals
            .iter()
            .filter_map(|place| Journal::read(place).ok()?);
        let torn = |journal: &Journal| content != journal.old && journal.explains(&content);
        match journals.into_iter().find(torn) {
            Some(journal) => journal.new,
            None => content,
        }
    }

    /// Whether it may differ from what the last [`update`](Self::update) left.
    #[must_use]
    pub fn may_have_changed(&self) -> bool {
        !self.displaced.is_empty()
            || self.known.is_none()
            || self.known != Signature::of(&self.path)
            || self.base_has_changed()
    }

    /// Whether the file that this one is a copy of differs from what it was copied from.
    #[must_use]
    pub fn base_has_changed(&self) -> bool {
        let base = self.how.base.as_deref();
        base.is_some_and(|base| self.known_base != Signature::of(base))
    }

    /// Whether writes of others may come into files that ours have displaced.
    #[must_use]
    pub fn awaits_late_writes(&self) -> bool {
        !self.displaced.is_empty()
    }

    /// [`update`](Self::update), as the last thing that is done with the file: where it has displaced a file, it waits a
    /// moment for whoever has that one open, and looks once more.
    ///
    /// # Errors
    /// Those of [`update`](Self::update).
    pub fn update_and_wait_for_late_writes(&mut self, edit: Edit<'_>) -> Result<bool, Error> {
        let written = self.update(edit)?;
        if !self.awaits_late_writes() {
            return Ok(written);
        }
        std::thread::sleep(LATE);
        Ok(self.update(edit)? || written)
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
            .chain(&swap::leftovers(&location))
            .any(|place| place.symlink_metadata().is_ok());
        if !left_over && self.needs_nothing(&location, edit)? {
            return Ok(false);
        }
        self.check_rights(&location)?;
        let _lock = WriteLock::acquire(&self.path, &location.folder)
            .map_err(|source| self.failed("get the lock to write", source))?;
        recover(&location, &journals).map_err(|source| self.failed("repair", source))?;
        swap::recover(&location).map_err(|source| self.failed("clean up beside", source))?;
        self.write_until_settled(&location, &journals, edit)
    }

    /// Whether the file is what it should be already; the lock is not needed to find that out, nor any right to write.
    fn needs_nothing(&mut self, location: &Location, edit: Edit<'_>) -> Result<bool, Error> {
        let looked = self.look(location, edit, Instant::now())?;
        let settled = looked.filter(|looked| looked.wish.is_none());
        if let Some(looked) = &settled {
            self.settled(looked.now.as_ref());
        }
        Ok(settled.is_some())
    }

    fn write_until_settled(
        &mut self,
        location: &Location,
        journals: &[PathBuf],
        edit: Edit<'_>,
    ) -> Result<bool, Error> {
        let mut begin = Instant::now();
        let mut written = false;
        while let Some(Looked { now: old, wish }) = self.look(location, edit, begin)? {
            let Some(Wish { new, late }) = wish else {
                self.settled(old.as_ref());
                return Ok(written);
            };
            match self.write(location, journals, old, new.as_deref()) {
                Ok((Attempt::Done, displaced)) => {
                    if !written {
                        // A slow disk is nobody else's doing.
                        begin = Instant::now();
                    }
                    written = true;
                    self.known = Signature::of(&location.file);
                    self.displaced.add(displaced, late);
                }
                Ok((Attempt::Overtaken, _)) => {}
                Err(source) => return Err(self.failed("write", source)),
            }
        }
        Err(Error::Overtaken {
            file: self.path.clone(),
        })
    }

    /// The file, and what it should hold if that is not what it holds. While it looks as if somebody were in the middle of
    /// writing it, it is looked at again; nothing is returned if that does not end.
    fn look(
        &mut self,
        location: &Location,
        edit: Edit<'_>,
        begin: Instant,
    ) -> Result<Option<Looked>, Error> {
        while begin.elapsed() < PATIENCE {
            let now = self.snapshot(location)?;
            let base = self.base()?;
            let busy = Self::wait_for_quiet(now.as_ref(), self.known)
                .or_else(|| Self::wait_for_quiet(base.as_ref(), self.known_base));
            if let Some(wait) = busy {
                std::thread::sleep(wait);
                continue;
            }
            match self.wish(now.as_ref(), base.as_ref(), edit) {
                Ok(wish) => {
                    if let Some(base) = base {
                        self.known_base = Some(Signature::from(&base.meta));
                    }
                    return Ok(Some(Looked { now, wish }));
                }
                Err(error) => {
                    let read = if base.is_some() { &base } else { &now };
                    match Self::wait_for_sense(read.as_ref(), begin) {
                        Some(wait) => std::thread::sleep(wait),
                        None => return Err(error),
                    }
                }
            }
        }
        Ok(None)
    }

    /// Writes, and returns the file that was displaced by a new one, if one was.
    fn write(
        &self,
        location: &Location,
        journals: &[PathBuf],
        old: Option<Snapshot>,
        new: Option<&[u8]>,
    ) -> io::Result<(Attempt, Option<Snapshot>)> {
        let steps = &self.how.steps;
        if let Some(old) = old {
            if !(self.how.in_place || location.linked || old.is_pinned(location)) {
                match swap(location, Some(&old), new, steps) {
                    Ok(attempt) => return Ok((attempt, Some(old))),
                    Err(error) => {
                        tracing::debug!(%error, file = %location.file.display(), "written in place instead");
                    }
                }
            }
            // A file that must keep its inode cannot go; it is empty instead.
            let new = new.unwrap_or_default();
            let attempt = write_in_place(location, &old.into(), new, journals, steps)?;
            Ok((attempt, None))
        } else {
            Ok((swap(location, None, new, steps)?, None))
        }
    }

    fn snapshot(&self, location: &Location) -> Result<Option<Snapshot>, Error> {
        Snapshot::take(&location.file).map_err(|source| self.failed("read", source))
    }

    /// What the file is a copy of, where it is one.
    fn base(&self) -> Result<Option<Snapshot>, Error> {
        let Some(base) = &self.how.base else {
            return Ok(None);
        };
        Snapshot::take(base).map_err(|source| Error::Hosts {
            what: "read",
            file: base.clone(),
            source,
        })
    }

    /// What the file should hold, if that is not what it holds.
    fn wish(
        &mut self,
        now: Option<&Snapshot>,
        base: Option<&Snapshot>,
        edit: Edit<'_>,
    ) -> Result<Option<Wish>, Error> {
        let holds = now.map(|now| now.bytes.as_slice());
        let late = match self.how.base {
            Some(_) => None,
            None => self.displaced.late_write(now, self.known),
        };
        let source = match (&self.how.base, &late) {
            (Some(_), _) => base.map(|base| base.bytes.as_slice()),
            (None, Some(late)) => Some(late.bytes.as_slice()),
            (None, None) => holds,
        };
        let new = edit(source).map_err(|source| self.malformed(source))?;
        Ok((new.as_deref() != holds).then_some(Wish { new, late }))
    }

    fn settled(&mut self, now: Option<&Snapshot>) {
        self.known = now.map(|now| Signature::from(&now.meta));
        self.displaced.looked(now);
    }

    /// How long to wait until the file can be taken to be complete; not for what we have known before.
    fn wait_for_quiet(file: Option<&Snapshot>, known: Option<Signature>) -> Option<Duration> {
        let file = file?;
        if known == Some(Signature::from(&file.meta)) {
            return None;
        }
        QUIET.checked_sub(file.age()).filter(|wait| !wait.is_zero())
    }

    /// How long to wait until a file that makes no sense is looked at again: not at all where nobody has written it lately,
    /// or where it was waited for already.
    fn wait_for_sense(file: Option<&Snapshot>, begin: Instant) -> Option<Duration> {
        let lately = file.is_some_and(|file| file.age() < UNFINISHED);
        (lately && begin.elapsed() < UNFINISHED).then_some(PAUSE)
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

    fn malformed(&self, source: Malformed) -> Error {
        Error::Malformed {
            file: self.how.base.as_ref().unwrap_or(&self.path).clone(),
            source,
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
