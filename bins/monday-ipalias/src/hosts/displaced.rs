//! Files that our writes have displaced, watched for a while.
//!
//! An editor that writes in place may have opened the file before we put a new one under its name; what it writes
//! after that goes into a file without a name and would be lost. We keep such files open, and what comes into one of
//! them is taken as the newest version.

use super::snapshot::{Signature, Snapshot, inode};

/// How often a displaced file is looked at: one look a second, and editors write within a second of opening.
const LOOKS: u32 = 3;

/// The files.
#[derive(Debug, Default)]
pub struct Displaced(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    file: Snapshot,
    looks_left: u32,
}

/// What came into a displaced file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateWrite {
    /// All that it holds now.
    pub bytes: Vec<u8>,
    which: usize,
}

impl Displaced {
    /// Whether there is something to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The newest late write, if the file under the name is `ours` still. Otherwise somebody has written a newer
    /// version there, and what came into displaced files is out of date.
    pub fn late_write(
        &mut self,
        now: Option<&Snapshot>,
        ours: Option<Signature>,
    ) -> Option<LateWrite> {
        if now.map(|now| Signature::from(&now.meta)) != ours {
            self.0.clear();
            return None;
        }
        self.0
            .iter()
            .enumerate()
            .rev()
            .find_map(|(which, watched)| {
                let bytes = watched.file.read_again().ok()?;
                // An empty one was emptied to be written, and is not written yet.
                let late = !bytes.is_empty() && bytes != watched.file.bytes;
                late.then_some(LateWrite { bytes, which })
            })
    }

    /// Our write has displaced this file, if any, and has taken that late write into account.
    pub fn add(&mut self, file: Option<Snapshot>, taken: Option<LateWrite>) {
        if let Some(LateWrite { bytes, which }) = taken
            && let Some(watched) = self.0.get_mut(which)
        {
            watched.file.bytes = bytes;
            watched.looks_left = LOOKS;
        }
        self.0.extend(file.map(|file| Watched {
            file,
            looks_left: LOOKS,
        }));
    }

    /// Nothing came, and time has passed.
    pub fn looked(&mut self, now: Option<&Snapshot>) {
        self.0.retain_mut(|watched| {
            watched.looks_left -= 1;
            // One that has its name again is no longer displaced.
            let back = now.is_some_and(|now| inode(&now.meta) == inode(&watched.file.meta));
            watched.looks_left > 0 && !back
        });
    }
}
