//! The other way to write, for a file that must keep its inode: over the old content, with a journal.
//!
//! The order is what keeps the file whole and never empty: the journal is on the disk before the first byte changes,
//! the new content goes over the old one from the first byte that differs, and only then is the rest cut off.
//! Truncating first is what has emptied the hosts files of others.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use nix::fcntl::OFlag;

use super::journal::Journal;
use super::snapshot::{Location, Snapshot, inode};
use super::step::{Step, Steps};
use super::swap::{Attempt, remove_if_there};

/// How much is written at once, in bytes: nearly every hosts file in one piece.
const PIECE_BYTES: usize = 64 * 1024;

/// Writes `new` over `old`.
///
/// # Errors
/// What the operating system says. The file is then what it was: what was written is taken back.
pub fn write_in_place(
    location: &Location,
    old: &Snapshot,
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
    let same_file = inode(&file.metadata()?) == inode(&old.meta);
    let attempt = if same_file && old.is_still_at(&location.file)? {
        overwrite(&file, &old.bytes, new, steps).map(|()| Attempt::Done)
    } else {
        Ok(Attempt::Overtaken)
    };
    let attempt = match attempt {
        Err(error) => {
            overwrite(&file, new, &old.bytes, &Steps::default()).map_err(|undo| {
                io::Error::new(
                    error.kind(),
                    format!("{error}; what was written could not be taken back: {undo}"),
                )
            })?;
            Err(error)
        }
        done => done,
    };
    if let Some(journal) = journal {
        remove_if_there(&journal)?;
        steps.done(Step::JournalRemoved);
    }
    attempt
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

fn open_for_writing(location: &Location) -> io::Result<File> {
    OpenOptions::new()
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
            let old = Snapshot::take(&self.location.file)?.unwrap();
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
