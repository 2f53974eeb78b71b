//! What a write in place leaves behind until it is complete: the old and the new content, so that a file that was
//! torn by a crash can be made whole.

use std::fs::{File, OpenOptions};
use std::hash::Hasher as _;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use monday_shared::socket::runtime_dir::Fnv;
use nix::fcntl::OFlag;

use super::snapshot::Location;
use super::step::{Step, Steps};
use super::swap::{remove_if_there, sync_folder};

/// What a journal begins with.
const MAGIC: &str = "monday-ipalias journal 1";

/// The two contents that a file is between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// What the file held.
    pub old: Vec<u8>,
    /// What it is going to hold.
    pub new: Vec<u8>,
}

impl Journal {
    /// Where the journal of a file may be, the best place first: beside it, where it outlives a reboot, or in a folder
    /// of our own where nothing may be made beside it.
    #[must_use]
    pub fn places(location: &Location, spare_folder: Option<&Path>) -> Vec<PathBuf> {
        let mut hasher = Fnv::default();
        hasher.write(location.file.as_os_str().as_encoded_bytes());
        let spare = spare_folder
            .map(|folder| folder.join(format!("hosts-{:016x}.journal", hasher.finish())));
        [Some(location.beside("journal")), spare]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Writes the journal to the first place where that is possible, and brings it to the disk.
    ///
    /// # Errors
    /// What the operating system says about the last place. No journal is left then.
    pub fn write(&self, places: &[PathBuf], steps: &Steps) -> io::Result<PathBuf> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for place in places {
            match self.write_to(place, steps) {
                Ok(()) => return Ok(place.clone()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn write_to(&self, place: &Path, steps: &Steps) -> io::Result<()> {
        remove_if_there(place)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags((OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW).bits())
            .open(place)?;
        let written = (|| {
            writeln!(
                file,
                "{MAGIC} {} {} {:016x}",
                self.old.len(),
                self.new.len(),
                self.hash()
            )?;
            file.write_all(&self.old)?;
            steps.done(Step::JournalHalf);
            file.write_all(&self.new)?;
            file.sync_all()
        })();
        if written.is_err() {
            remove_if_there(place)?;
        } else if let Some(folder) = place.parent() {
            sync_folder(folder);
            steps.done(Step::JournalReady);
        }
        written
    }

    /// Reads a journal; `None` if there is none, if it is incomplete, or if it is not from us or from root: then the
    /// file itself was not touched, or whoever put the journal there wants to trick us.
    ///
    /// # Errors
    /// What open(2) and read(2) say.
    pub fn read(place: &Path) -> io::Result<Option<Self>> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(place);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        let trusted = meta.uid() == 0 || meta.uid() == nix::unistd::geteuid().as_raw();
        if !meta.is_file() || !trusted {
            return Ok(None);
        }
        Self::parse(file)
    }

    fn parse(file: File) -> io::Result<Option<Self>> {
        let mut reader = io::BufReader::new(file);
        let mut header = Vec::new();
        // Two lengths and a hash have at most 60 characters.
        reader.by_ref().take(128).read_until(b'\n', &mut header)?;
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        Ok(Self::from_parts(&header, body))
    }

    fn from_parts(header: &[u8], mut body: Vec<u8>) -> Option<Self> {
        let header = std::str::from_utf8(header).ok()?.strip_suffix('\n')?;
        let mut fields = header.strip_prefix(MAGIC)?.split_ascii_whitespace();
        let old_len: usize = fields.next()?.parse().ok()?;
        let new_len: usize = fields.next()?.parse().ok()?;
        let hash = u64::from_str_radix(fields.next()?, 16).ok()?;
        if old_len.checked_add(new_len)? != body.len() {
            return None;
        }
        let new = body.split_off(old_len);
        let journal = Self { old: body, new };
        (journal.hash() == hash).then_some(journal)
    }

    /// Whether a content can come from a write from the old to the new one that was cut short: every byte is the old
    /// or the new one of its place, or was not filled yet.
    #[must_use]
    pub fn explains(&self, content: &[u8]) -> bool {
        let (old, new) = (&self.old, &self.new);
        let (shortest, longest) = (old.len().min(new.len()), old.len().max(new.len()));
        (shortest..=longest).contains(&content.len())
            && content.iter().enumerate().all(|(at, byte)| {
                // What is added to a file reads as zeros until it has come to the disk.
                let unfilled = at >= old.len() && *byte == 0;
                old.get(at) == Some(byte) || new.get(at) == Some(byte) || unfilled
            })
    }

    fn hash(&self) -> u64 {
        let mut hasher = Fnv::default();
        hasher.write(&self.old);
        hasher.write(&self.new);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn journal(old: &[u8], new: &[u8]) -> Journal {
        Journal {
            old: old.to_vec(),
            new: new.to_vec(),
        }
    }

    #[test]
    fn a_journal_reads_back_and_half_a_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("journal");
        assert_eq!(Journal::read(&place).unwrap(), None);
        let journal = journal(b"old\n", b"new and longer\n");
        journal.write_to(&place, &Steps::default()).unwrap();
        assert_eq!(Journal::read(&place).unwrap(), Some(journal));
        let whole = fs::read(&place).unwrap();
        for length in 0..whole.len() {
            fs::write(&place, &whole[..length]).unwrap();
            assert_eq!(Journal::read(&place).unwrap(), None, "{length} bytes of it");
        }
        let mut changed = whole;
        *changed.last_mut().unwrap() ^= 1;
        fs::write(&place, &changed).unwrap();
        assert_eq!(Journal::read(&place).unwrap(), None);
    }

    #[test]
    fn a_journal_that_is_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        journal(b"a", b"b")
            .write_to(&real, &Steps::default())
            .unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(Journal::read(&link).is_err());
        // Writing replaces the link and leaves what it leads to.
        journal(b"c", b"d")
            .write_to(&link, &Steps::default())
            .unwrap();
        assert_eq!(Journal::read(&real).unwrap(), Some(journal(b"a", b"b")));
    }

    #[test]
    fn the_spare_place_is_taken_where_nothing_may_be_made_beside_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("missing/journal");
        let spare = folder.path().join("spare");
        let written =
            journal(b"a", b"b").write(&[nowhere.clone(), spare.clone()], &Steps::default());
        assert_eq!(written.unwrap(), spare);
        assert!(
            journal(b"a", b"b")
                .write(&[nowhere], &Steps::default())
                .is_err()
        );
    }

    #[test]
    fn content_that_somebody_else_wrote_is_not_explained() {
        let journal = journal(b"127.0.0.1 localhost\n", b"127.0.0.1 localhost\nmore\n");
        assert!(!journal.explains(b"127.0.0.1 localhost\nhand\n"));
        assert!(!journal.explains(b""));
        assert!(!journal.explains(b"127.0.0.1 localhost\nmore\nand more\n"));
        assert!(journal.explains(b"127.0.0.1 localhost\nmo"));
        assert!(journal.explains(b"127.0.0.1 localhost\n\0\0\0\0\0"));
    }

    proptest! {
        #[test]
        fn every_stage_of_a_write_is_explained(
            old in proptest::collection::vec(any::<u8>(), 0..60),
            new in proptest::collection::vec(any::<u8>(), 0..60),
            written in 0..60_usize,
        ) {
            let journal = Journal { old: old.clone(), new: new.clone() };
            let written = written.min(new.len());
            let mut torn = new[..written].to_vec();
            torn.extend_from_slice(old.get(written..).unwrap_or_default());
            prop_assert!(journal.explains(&torn));
            prop_assert!(journal.explains(&old));
            prop_assert!(journal.explains(&new));
        }
    }
}
