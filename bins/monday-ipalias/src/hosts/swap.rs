//! The better way to write: a new file takes the old one's place in one step.
//!
//! The two files exchange their names, so what is displaced is not lost: it can be compared with what the new content
//! was made from. If somebody else has written in between, the exchange is undone, and nothing of theirs is gone.
//! The displaced file is kept open for a while after it has lost its name, because an editor may have opened it before
//! the exchange and write into it after.
//!
//! From the exchange on nothing is removed that is not known: under the temporary name there may be somebody's newest
//! version. What is known (the old content, and the new one) is written down before, so that it is known after a crash as
//! well. What is neither goes back to its place, or is kept where a person finds it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use xattr::FileExt as _;

use super::journal::Journal;
use super::snapshot::{Location, Snapshot, inode};
use super::step::{Step, Steps};
use crate::platform;

/// The mode of a hosts file that did not exist: everybody reads it.
const NEW_MODE: u32 = 0o644;

/// How often an exchange is undone for others who write at the same time, before giving up: each time takes others
/// another write within microseconds.
const UNDO_ATTEMPTS: usize = 100;

/// How many versions of others are kept beside the file at most; that there is more than one is unheard of.
const KEPT_LIMIT: usize = 100;

/// What became of an attempt to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The file holds the new content.
    Done,
    /// Somebody else has changed the file in the meantime; it holds their version.
    Overtaken,
}

/// The files beside a hosts file that an exchange needs for a moment: the new file, and what is written down about it.
#[must_use]
pub fn leftovers(location: &Location) -> [PathBuf; 2] {
    [location.beside("new"), location.beside("swap")]
}

/// Puts `new` in the place of `old`; `None` stands for no file.
///
/// # Errors
/// What the operating system says. The file is then what it was.
pub fn swap(
    location: &Location,
    old: Option<&Snapshot>,
    new: Option<&[u8]>,
    steps: &Steps,
) -> io::Result<Attempt> {
    recover(location)?;
    let [temp, journal] = leftovers(location);
    let attempt = match (old, new) {
        (None, None) => Ok(Attempt::Done),
        (None, Some(new)) => {
            let made = prepare(&temp, None, new, steps).and_then(|_| create(location, &temp));
            // Nobody else's content can be under this name.
            made.and_then(|made| remove_if_there(&temp).map(|()| made))
        }
        (Some(old), new) => {
            let prepared = new
                .map(|new| prepare(&temp, Some(old), new, steps))
                .transpose();
            let known = Journal {
                old: old.bytes.clone(),
                new: new.unwrap_or_default().to_vec(),
            };
            let written = prepared.and_then(|prepared| {
                known.write(&[journal], steps)?;
                Ok(prepared)
            });
            match written {
                // Nothing has been exchanged yet.
                Err(error) => remove_if_there(&temp).and(Err(error)),
                Ok(prepared) => {
                    let attempt = match prepared {
                        Some(prepared) => replace(
                            location,
                            old,
                            &temp,
                            &version(&prepared, &known.new)?,
                            steps,
                        ),
                        None => take_away(location, old, &temp, steps),
                    };
                    let cleared = clear(location, &known);
                    attempt.and_then(|attempt| Ok(cleared?.unwrap_or(attempt)))
                }
            }
        }
    };
    steps.done(Step::OldRemoved);
    let attempt = attempt?;
    // Without it the change may be lost with the power, never the file.
    sync_folder(&location.folder);
    Ok(attempt)
}

/// Puts right what an exchange has left that was cut short.
///
/// # Errors
/// What the operating system says; what was found is left where it is then.
pub fn recover(location: &Location) -> io::Result<()> {
    let [temp, journal] = leftovers(location);
    if let Some(known) = Journal::read(&journal)? {
        return clear(location, &known).map(drop);
    }
    // What is known is written down before the exchange, so there was none: under the name is our own new file.
    remove_if_there(&temp)?;
    remove_if_there(&journal)
}

/// Clears up after an exchange: what is under the temporary name is removed if it is known. Otherwise it is somebody's
/// version that we have displaced; `Overtaken` if it went back to its place.
fn clear(location: &Location, known: &Journal) -> io::Result<Option<Attempt>> {
    let [temp, journal] = leftovers(location);
    let attempt = match Snapshot::take(&temp) {
        Ok(None) => None,
        Ok(Some(left)) if left.bytes == known.old || left.bytes == known.new => {
            remove_if_there(&temp)?;
            None
        }
        Ok(Some(_)) => put_back(location, &temp, known)?,
        Err(error) => {
            keep(location, &temp, &error)?;
            None
        }
    };
    remove_if_there(&journal)?;
    Ok(attempt)
}

/// Puts a version of somebody else's back in its place, unless there is a newer one.
fn put_back(location: &Location, temp: &Path, known: &Journal) -> io::Result<Option<Attempt>> {
    let back = match Snapshot::take(&location.file) {
        Ok(Some(ours)) if ours.bytes == known.new => {
            undo(location, temp, (inode(&ours.meta), ours.bytes))
        }
        Ok(Some(_)) => Err(io::Error::other("there is a newer version in its place")),
        Ok(None) => fs::hard_link(temp, &location.file),
        Err(error) => Err(error),
    };
    match back {
        Ok(()) => {
            remove_if_there(temp)?;
            Ok(Some(Attempt::Overtaken))
        }
        Err(error) => {
            keep(location, temp, &error)?;
            Ok(None)
        }
    }
}

/// Gives a version of somebody else's a name under which a person finds it.
fn keep(location: &Location, temp: &Path, why: &io::Error) -> io::Result<()> {
    for number in 1..=KEPT_LIMIT {
        let mut name = location.file.file_name().unwrap_or_default().to_owned();
        name.push(format!(".monday-kept-{number}"));
        let kept = location.folder.join(name);
        match fs::hard_link(temp, &kept) {
            Ok(()) => {
                tracing::warn!(
                    file = %location.file.display(),
                    kept = %kept.display(),
                    "another program wrote the hosts file at the same moment, and its version could not be put back \
                     ({why}): it is kept beside it, for you to compare"
                );
                return remove_if_there(temp);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "{KEPT_LIMIT} files are kept beside it already"
    )))
}

/// A file with a content.
type Version = ((u64, u64), Vec<u8>);

fn version(file: &File, content: &[u8]) -> io::Result<Version> {
    Ok((inode(&file.metadata()?), content.to_vec()))
}

/// Removes a file that need not exist.
///
/// # Errors
/// What unlink(2) says.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    // In a folder that is read-only, removing even what is not there is refused.
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Brings the names of a folder to the disk, as far as the filesystem can.
pub fn sync_folder(folder: &Path) {
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::debug!(%error, folder = %folder.display(), "the folder could not be synced");
    }
}

fn prepare(temp: &Path, old: Option<&Snapshot>, new: &[u8], steps: &Steps) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags((OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW).bits())
        .open(temp)?;
    steps.done(Step::TempCreated);
    file.write_all(new)?;
    steps.done(Step::TempWritten);
    match old {
        Some(old) => copy_attributes(old, &file)?,
        None => file.set_permissions(fs::Permissions::from_mode(NEW_MODE))?,
    }
    file.sync_all()?;
    steps.done(Step::TempReady);
    Ok(file)
}

/// Owner, mode and extended attributes, the label of `SELinux` and access lists among them. Whatever cannot be copied is an
/// error: then the file is better written in place, where all of it stays by itself.
fn copy_attributes(old: &Snapshot, new: &File) -> io::Result<()> {
    let (was, is) = (&old.meta, new.metadata()?);
    if (was.uid(), was.gid()) != (is.uid(), is.gid()) {
        fchown(new, Some(was.uid()), Some(was.gid()))?;
    }
    // After the owner, whose change takes bits away.
    new.set_permissions(fs::Permissions::from_mode(was.mode() & 0o7777))?;
    let names = match old.file.list_xattr() {
        Err(error) if error.raw_os_error() == Some(Errno::ENOTSUP as i32) => return Ok(()),
        names => names?,
    };
    for name in names {
        let value = old.file.get_xattr(&name)?;
        if let Some(value) = value
            && new.get_xattr(&name)?.as_ref() != Some(&value)
        {
            new.set_xattr(&name, &value)?;
        }
    }
    Ok(())
}

fn replace(
    location: &Location,
    old: &Snapshot,
    temp: &Path,
    new: &Version,
    steps: &Steps,
) -> io::Result<Attempt> {
    match platform::exchange(temp, &location.file) {
        Ok(()) => {}
        Err(error) if cannot_exchange(&error) => {
            return replace_after_comparing(location, old, temp, steps);
        }
        Err(error) => return Err(error),
    }
    steps.done(Step::Swapped);
    if old.is_still_at(temp)? {
        return Ok(Attempt::Done);
    }
    // What came out is newer than what the new content was made from: back with it.
    undo(location, temp, new.clone())?;
    remove_if_there(temp)?;
    Ok(Attempt::Overtaken)
}

/// Puts what is under the temporary name in the place of `ours`; what is there afterwards is out of date. Should somebody write even now, by a new file or into
/// ours, then what comes out is newer than what we have just put in, and goes back as well.
fn undo(location: &Location, temp: &Path, ours: Version) -> io::Result<()> {
    let read = || {
        let found = Snapshot::take(temp)?.ok_or(io::ErrorKind::NotFound)?;
        Ok::<Version, io::Error>((inode(&found.meta), found.bytes))
    };
    let mut expected = ours;
    for _ in 0..UNDO_ATTEMPTS {
        let put_in = read()?;
        platform::exchange(temp, &location.file)?;
        if read()? == expected {
            return Ok(());
        }
        expected = put_in;
    }
    Err(io::Error::other("others write it all the time"))
}

/// Filesystems that cannot exchange say EINVAL, old kernels ENOSYS; elsewhere there is no such call.
fn cannot_exchange(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

fn replace_after_comparing(
    location: &Location,
    old: &Snapshot,
    temp: &Path,
    steps: &Steps,
) -> io::Result<Attempt> {
    if !old.is_still_at(&location.file)? {
        return Ok(Attempt::Overtaken);
    }
    fs::rename(temp, &location.file)?;
    steps.done(Step::Swapped);
    Ok(Attempt::Done)
}

fn create(location: &Location, temp: &Path) -> io::Result<Attempt> {
    match fs::hard_link(temp, &location.file) {
        Ok(()) => Ok(Attempt::Done),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Attempt::Overtaken),
        Err(error) => Err(error),
    }
}

/// Takes a file away that was made by us; [`clear`] sees whether it was that one.
fn take_away(
    location: &Location,
    old: &Snapshot,
    temp: &Path,
    steps: &Steps,
) -> io::Result<Attempt> {
    fs::rename(&location.file, temp)?;
    steps.done(Step::Swapped);
    if old.is_still_at(temp)? {
        return Ok(Attempt::Done);
    }
    match fs::hard_link(temp, &location.file) {
        // Somebody has made an even newer one.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => remove_if_there(temp).map(|()| Attempt::Overtaken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Place {
        _folder: tempfile::TempDir,
        path: PathBuf,
    }

    fn place(content: &[u8]) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        fs::write(&path, content).unwrap();
        Place {
            _folder: folder,
            path,
        }
    }

    impl Place {
        fn swap(&self, new: &[u8], steps: &Steps) -> io::Result<Attempt> {
            let location = Location::of(&self.path).unwrap();
            let old = Snapshot::take(&self.path).unwrap();
            swap(&location, old.as_ref(), Some(new), steps)
        }

        fn files(&self) -> usize {
            fs::read_dir(self.path.parent().unwrap()).unwrap().count()
        }
    }

    #[test]
    fn the_new_file_has_mode_and_attributes_of_the_old_one() {
        let place = place(b"old");
        fs::set_permissions(&place.path, fs::Permissions::from_mode(0o640)).unwrap();
        let labelled = xattr::set(&place.path, "user.note", b"kept").is_ok();
        assert_eq!(
            place.swap(b"new", &Steps::default()).unwrap(),
            Attempt::Done
        );
        assert_eq!(fs::read(&place.path).unwrap(), b"new");
        let meta = fs::metadata(&place.path).unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o640);
        if labelled {
            let note = xattr::get(&place.path, "user.note").unwrap();
            assert_eq!(note.as_deref(), Some(b"kept".as_slice()));
        }
        assert_eq!(place.files(), 1);
    }

    #[test]
    fn an_editor_that_wrote_in_between_wins_whichever_way_it_wrote() {
        for in_place in [true, false] {
            let place = place(b"old");
            let path = place.path.clone();
            let steps = Steps::told_to(move |step| {
                if step == Step::TempReady {
                    if in_place {
                        fs::write(&path, b"theirs").unwrap();
                    } else {
                        let new = path.with_extension("editor");
                        fs::write(&new, b"theirs").unwrap();
                        fs::rename(&new, &path).unwrap();
                    }
                }
            });
            assert_eq!(place.swap(b"new", &steps).unwrap(), Attempt::Overtaken);
            assert_eq!(fs::read(&place.path).unwrap(), b"theirs");
            assert_eq!(place.files(), 1);
        }
    }

    #[test]
    fn an_editor_that_writes_once_more_while_the_exchange_is_undone_wins_as_well() {
        let place = place(b"old");
        let path = place.path.clone();
        let steps = Steps::told_to(move |step| {
            let version: &[u8] = match step {
                Step::TempReady => b"first",
                Step::Swapped => b"second",
                _ => return,
            };
            let new = path.with_extension("editor");
            fs::write(&new, version).unwrap();
            fs::rename(&new, &path).unwrap();
        });
        assert_eq!(place.swap(b"new", &steps).unwrap(), Attempt::Overtaken);
        assert_eq!(fs::read(&place.path).unwrap(), b"second");
        assert_eq!(place.files(), 1);
    }

    #[test]
    fn what_somebody_writes_into_our_file_while_the_exchange_is_undone_is_kept() {
        let place = place(b"old");
        let path = place.path.clone();
        let steps = Steps::told_to(move |step| match step {
            Step::TempReady => {
                let new = path.with_extension("editor");
                fs::write(&new, b"first").unwrap();
                fs::rename(&new, &path).unwrap();
            }
            Step::Swapped => fs::write(&path, b"second, in place").unwrap(),
            _ => {}
        });
        assert_eq!(place.swap(b"new", &steps).unwrap(), Attempt::Overtaken);
        assert_eq!(fs::read(&place.path).unwrap(), b"second, in place");
        assert_eq!(place.files(), 1);
    }

    #[test]
    fn an_error_after_the_exchange_removes_nobodys_version() {
        let place = place(b"old");
        let path = place.path.clone();
        let steps = Steps::told_to(move |step| match step {
            Step::TempReady => fs::write(&path, b"theirs").unwrap(),
            // It cannot be read any more: no hosts file is so large.
            Step::Swapped => OpenOptions::new()
                .write(true)
                .open(path.with_file_name(".hosts.monday-new"))
                .and_then(|file| file.set_len(65 * 1024 * 1024))
                .unwrap(),
            _ => {}
        });
        place.swap(b"new", &steps).unwrap_err();
        let kept = place.path.with_file_name("hosts.monday-kept-1");
        assert!(fs::read(kept).unwrap().starts_with(b"theirs"));
        assert_eq!(place.files(), 2);
    }

    #[test]
    fn a_version_that_a_killed_exchange_has_displaced_goes_back_or_is_kept() {
        for (now, left, expected, files) in [
            // Killed right after the exchange, which has displaced an editor's version.
            (
                b"new".as_slice(),
                b"theirs".as_slice(),
                b"theirs".as_slice(),
                1,
            ),
            // Somebody has written since.
            (b"newer", b"theirs", b"newer", 2),
            // As it usually is, before and after.
            (b"old", b"new", b"old", 1),
            (b"new", b"old", b"new", 1),
        ] {
            let place = place(now);
            let location = Location::of(&place.path).unwrap();
            let [temp, journal] = leftovers(&location);
            fs::write(&temp, left).unwrap();
            let known = Journal {
                old: b"old".to_vec(),
                new: b"new".to_vec(),
            };
            known.write(&[journal], &Steps::default()).unwrap();
            recover(&location).unwrap();
            assert_eq!(fs::read(&place.path).unwrap(), expected);
            assert_eq!(place.files(), files);
            if files == 2 {
                let kept = place.path.with_file_name("hosts.monday-kept-1");
                assert_eq!(fs::read(kept).unwrap(), left);
            }
        }
    }

    #[test]
    fn a_new_file_that_was_not_exchanged_yet_is_removed() {
        let place = place(b"old");
        let location = Location::of(&place.path).unwrap();
        let [temp, journal] = leftovers(&location);
        fs::write(temp, "half of the ne").unwrap();
        fs::write(journal, "half of what is kno").unwrap();
        recover(&location).unwrap();
        assert_eq!(place.files(), 1);
    }

    #[test]
    fn a_file_is_made_and_removed_unless_somebody_else_was_first() {
        let place = place(b"");
        fs::remove_file(&place.path).unwrap();
        let location = Location::of(&place.path).unwrap();
        let steps = Steps::default();
        assert_eq!(
            swap(&location, None, Some(b"new"), &steps).unwrap(),
            Attempt::Done
        );
        assert_eq!(fs::metadata(&place.path).unwrap().mode() & 0o7777, 0o644);
        assert_eq!(
            swap(&location, None, Some(b"again"), &steps).unwrap(),
            Attempt::Overtaken
        );
        assert_eq!(fs::read(&place.path).unwrap(), b"new");

        let old = Snapshot::take(&place.path).unwrap();
        fs::write(&place.path, b"theirs").unwrap();
        assert_eq!(
            swap(&location, old.as_ref(), None, &steps).unwrap(),
            Attempt::Overtaken
        );
        assert_eq!(fs::read(&place.path).unwrap(), b"theirs");
        let old = Snapshot::take(&place.path).unwrap();
        assert_eq!(
            swap(&location, old.as_ref(), None, &steps).unwrap(),
            Attempt::Done
        );
        assert_eq!(place.files(), 0);
    }

    #[test]
    fn without_an_exchange_the_file_is_compared_before_it_is_replaced() {
        let place = place(b"old");
        let location = Location::of(&place.path).unwrap();
        let temp = location.beside("new");
        let old = Snapshot::take(&place.path).unwrap().unwrap();
        let replace = || {
            fs::write(&temp, b"new").unwrap();
            replace_after_comparing(&location, &old, &temp, &Steps::default()).unwrap()
        };
        assert_eq!(replace(), Attempt::Done);
        assert_eq!(fs::read(&place.path).unwrap(), b"new");
        assert_eq!(replace(), Attempt::Overtaken);
    }
}
