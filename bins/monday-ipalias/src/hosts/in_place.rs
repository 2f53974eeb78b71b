//! The other way to write, for a file that must keep its inode: over the old content, with a journal.
//!
//! The order is what keeps the file whole and never empty: the journal is on the disk before the first byte changes,
//! the new content goes over the old one from the first byte that differs, and only then is the rest cut off.
//! Truncating first is what has emptied the hosts files of others.
//!
//! Whoever writes in place in between would lose what they write. So the file is leased while it is compared and written,
//! where the system can do that (fcntl(2), `F_SETLEASE`): a lease is had only while nobody else has the file open, and
//! whoever opens it meanwhile waits until we are done, which takes a few milliseconds.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use super::journal::Journal;
use super::snapshot::{Location, Seen, Snapshot, inode, read_whole};
use super::step::{Step, Steps};
use super::swap::{Attempt, remove_if_there};
use crate::platform::{self, Lease};

/// How much is written at once, in bytes: nearly every hosts file in one piece.
const PIECE_BYTES: usize = 64 * 1024;

/// How long to wait until nobody else has the file open. Readers have it for microseconds, and editors for less than this;
/// behind a program that keeps it open, as `tail -f` does, it is written without a lease.
const LEASE_PATIENCE: Duration = Duration::from_millis(50);

/// How long to wait between two tries; nothing tells when a file is closed.
const LEASE_PAUSE: Duration = Duration::from_millis(1);

/// Writes `new` over `old`, which must not be open any more.
///
/// # Errors
/// What the operating system says. The file is then what it was: what was written is taken back.
pub fn write_in_place(
    location: &Location,
    old: &Seen,
    new: &[u8],
    journals: &[PathBuf],
    steps: &Steps,
) -> io::Result<Attempt> {
    let file = open_for_writing(location)?;
    // Cutting off is one step of the filesystem and needs no journal, nor any room on a disk that is full.
    let journal = if old.bytes.starts_with(new) {
        None
    } else {
        let journal = Journal {
            old: old.bytes.clone(),
            new: new.to_vec(),
        };
        Some(journal.write(journals, steps)?)
    };
    let lease = lease(&file);
    let attempt = match is_still(&file, location, old) {
        Ok(true) => overwrite(&file, &old.bytes, new, steps)
            .map(|()| Attempt::Done)
            .or_else(|error| take_back(&file, new, &old.bytes, error)),
        // Nothing was written, so there is nothing to take back.
        Ok(false) => Ok(Attempt::Overtaken),
        Err(error) => Err(error),
    };
    drop(lease);
    if let Some(journal) = journal {
        remove_if_there(&journal)?;
        steps.done(Step::JournalRemoved);
    }
    attempt
}

/// Makes `old` again of a file that was half written for that reason, and returns the reason.
fn take_back(file: &File, new: &[u8], old: &[u8], error: io::Error) -> io::Result<Attempt> {
    match overwrite(file, new, old, &Steps::default()) {
        Ok(()) => Err(error),
        Err(undo) => Err(io::Error::new(
            error.kind(),
            format!("{error}; what was written could not be taken back: {undo}"),
        )),
    }
}

/// Makes a file whole again that a crash has torn, from the journals that are there, and removes them.
///
/// # Errors
/// What the operating system says; the journal is left where it is then.
pub fn recover(location: &Location, journals: &[PathBuf]) -> io::Result<()> {
    for place in journals {
        let Some(journal) = Journal::read(place)? else {
            // Incomplete: the file was not touched yet. Not ours: it may be impossible to remove, which is as well.
            let _ = remove_if_there(place);
            continue;
        };
        if let Some(now) = Snapshot::take(&location.file)? {
            make_whole(location, &journal, &now.bytes)?;
        }
        remove_if_there(place)?;
    }
    Ok(())
}

fn make_whole(location: &Location, journal: &Journal, now: &[u8]) -> io::Result<()> {
    if now == journal.old || now == journal.new {
        return Ok(());
    }
    if !journal.explains(now) {
        tracing::warn!(
            file = %location.file.display(),
            "an unfinished write of monday-ipalias was found, but the file was changed since: it is left as it is"
        );
        return Ok(());
    }
    let file = open_for_writing(location)?;
    // Forward if possible; a full disk leaves the way back.
    overwrite(&file, now, &journal.new, &Steps::default())
        .or_else(|_| overwrite(&file, now, &journal.old, &Steps::default()))
}

/// The lease, if it can be had.
fn lease(file: &File) -> Option<Lease<'_>> {
    let begin = Instant::now();
    loop {
        match platform::lease(file) {
            Ok(lease) => return Some(lease),
            Err(error)
                if error.kind() == io::ErrorKind::WouldBlock
                    && begin.elapsed() < LEASE_PATIENCE =>
            {
                std::thread::sleep(LEASE_PAUSE);
            }
            Err(error) => {
                tracing::debug!(%error, "the hosts file is written without a lease");
                return None;
            }
        }
    }
}

/// Whether the file is at its place and holds what was seen. It is not opened: that would wait for our own lease.
fn is_still(file: &File, location: &Location, old: &Seen) -> io::Result<bool> {
    let seen = inode(&old.meta);
    Ok(inode(&file.metadata()?) == seen
        && inode(&std::fs::symlink_metadata(&location.file)?) == seen
        && read_whole(file)? == old.bytes)
}

fn open_for_writing(location: &Location) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags((OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW).bits())
        .open(&location.file)
}

/// Makes `to` of a file that holds `from`, or something between the two.
fn overwrite(file: &File, from: &[u8], to: &[u8], steps: &Steps) -> io::Result<()> {
    let mut at = from
        .iter()
        .zip(to)
        .take_while(|(from, to)| from == to)
        .count();
    while let Some(piece) = to.get(at..).filter(|rest| !rest.is_empty()) {
        let piece = &piece[..piece.len().min(PIECE_BYTES)];
        file.write_all_at(piece, at as u64)?;
        at += piece.len();
        steps.done(Step::Piece);
    }
    steps.done(Step::Written);
    if file.metadata()?.len() > to.len() as u64 {
        file.set_len(to.len() as u64)?;
        steps.done(Step::Truncated);
    }
    file.sync_all()?;
    steps.done(Step::Synced);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::{Arc, Mutex};

    struct Place {
        folder: tempfile::TempDir,
        location: Location,
    }

    fn place(content: &[u8]) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        fs::write(&path, content).unwrap();
        Place {
            location: Location::of(&path).unwrap(),
            folder,
        }
    }

    impl Place {
        fn write(&self, new: &[u8], steps: &Steps) -> io::Result<Attempt> {
            let old = Snapshot::take(&self.location.file)?.unwrap().into();
            let journals = Journal::places(&self.location, None);
            write_in_place(&self.location, &old, new, &journals, steps)
        }

        fn content(&self) -> Vec<u8> {
            fs::read(&self.location.file).unwrap()
        }

        fn files(&self) -> usize {
            fs::read_dir(self.folder.path()).unwrap().count()
        }
    }

    #[test]
    fn longer_and_shorter_content_takes_the_place_of_the_old_one() {
        let place = place(b"a\nb\n");
        let inode_before = inode(&fs::metadata(&place.location.file).unwrap());
        for new in [
            b"a\nb\nc\n".as_slice(),
            b"a\nx\nc\n",
            b"y\n",
            b"",
            b"a\nb\n",
        ] {
            assert_eq!(place.write(new, &Steps::default()).unwrap(), Attempt::Done);
            assert_eq!(place.content(), new);
        }
        assert_eq!(
            inode(&fs::metadata(&place.location.file).unwrap()),
            inode_before
        );
        assert_eq!(place.files(), 1);
    }

    #[test]
    fn the_file_is_whole_or_explained_by_the_journal_after_every_step() {
        let (old, new) = (vec![b'o'; 200_000], vec![b'n'; 150_000]);
        for (old, new) in [(old.clone(), new.clone()), (new, old)] {
            let place = place(&old);
            // Who has it open keeps the lease away, so that it can be looked at meanwhile.
            let _open = File::open(&place.location.file).unwrap();
            let (location, seen) = (place.location.clone(), Arc::new(Mutex::new(Vec::new())));
            let steps = {
                let (old, new, seen) = (old.clone(), new.clone(), Arc::clone(&seen));
                Steps::told_to(move |step| {
                    let now = fs::read(&location.file).unwrap();
                    assert!(!now.is_empty());
                    if now != old && now != new {
                        let journal = Journal::read(&location.beside("journal")).unwrap().unwrap();
                        assert!(journal.explains(&now), "after {step:?}");
                    }
                    seen.lock().unwrap().push(step);
                })
            };
            assert_eq!(place.write(&new, &steps).unwrap(), Attempt::Done);
            assert!(
                seen.lock()
                    .unwrap()
                    .iter()
                    .filter(|step| **step == Step::Piece)
                    .count()
                    >= 3
            );
        }
    }

    #[test]
    fn cutting_off_the_end_needs_no_journal() {
        let place = place(b"foreign\nblock\n");
        let steps = Steps::told_to(|step| {
            assert!(
                !matches!(step, Step::JournalHalf | Step::JournalReady),
                "{step:?}"
            );
        });
        assert_eq!(place.write(b"foreign\n", &steps).unwrap(), Attempt::Done);
        assert_eq!(place.content(), b"foreign\n");
    }

    #[test]
    fn an_editor_that_wrote_in_between_wins() {
        let place = place(b"old\n");
        let path = place.location.file.clone();
        let steps = Steps::told_to(move |step| {
            if step == Step::JournalReady {
                fs::write(&path, b"theirs\n").unwrap();
            }
        });
        assert_eq!(place.write(b"new\n", &steps).unwrap(), Attempt::Overtaken);
        assert_eq!(place.content(), b"theirs\n");
        assert_eq!(place.files(), 1);
    }

    #[test]
    fn what_somebody_appends_at_the_same_moment_is_kept() {
        let place = place(b"old and longer\n");
        let unsupported = {
            let file = open_for_writing(&place.location).unwrap();
            lease(&file).is_none()
        };
        if unsupported {
            eprintln!("SKIPPED: there are no leases on this filesystem");
            return;
        }
        let appending = Arc::new(Mutex::new(None));
        let steps = {
            let (path, appending) = (place.location.file.clone(), Arc::clone(&appending));
            Steps::told_to(move |step| {
                if step != Step::Piece {
                    return;
                }
                let path = path.clone();
                let (begun, begins) = std::sync::mpsc::channel();
                *appending.lock().unwrap() = Some(std::thread::spawn(move || {
                    begun.send(()).unwrap();
                    let file = OpenOptions::new().append(true).open(path).unwrap();
                    io::Write::write_all(&mut &file, b"appended\n").unwrap();
                }));
                begins.recv().unwrap();
                // Without a lease this is more than enough to append something that is then cut off.
                std::thread::sleep(Duration::from_millis(50));
            })
        };
        assert_eq!(place.write(b"new\n", &steps).unwrap(), Attempt::Done);
        let appending = appending.lock().unwrap().take().unwrap();
        appending.join().unwrap();
        assert_eq!(place.content(), b"new\nappended\n");
        assert_eq!(place.files(), 1);
    }

    #[test]
    fn a_torn_file_is_made_whole_and_one_that_was_edited_since_is_left_alone() {
        for (found, expected) in [
            (b"ab34".as_slice(), b"abcdef".as_slice()),
            (b"1234", b"1234"),
            (b"abcdef", b"abcdef"),
            (b"by hand", b"by hand"),
        ] {
            let place = place(found);
            let journals = Journal::places(&place.location, None);
            let journal = Journal {
                old: b"1234".to_vec(),
                new: b"abcdef".to_vec(),
            };
            journal.write(&journals, &Steps::default()).unwrap();
            recover(&place.location, &journals).unwrap();
            assert_eq!(place.content(), expected);
            assert_eq!(place.files(), 1);
        }
    }
}
