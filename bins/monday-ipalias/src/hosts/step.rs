//! The steps of writing the file, as something that a test can stop at: what is left when a process is killed after
//! any of them is what the next one has to cope with.

use std::fmt;
use std::sync::Arc;

/// A step that has been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The new file exists under its temporary name, empty.
    TempCreated,
    /// It holds the new content.
    TempWritten,
    /// It has mode, owner and attributes of the old one and is on the disk.
    TempReady,
    /// It has changed places with the old one (or has replaced it).
    Swapped,
    /// The old one is gone.
    OldRemoved,
    /// The journal exists, with half of what belongs into it.
    JournalHalf,
    /// The journal is complete and on the disk.
    JournalReady,
    /// A piece of the new content was written over the old one.
    Piece,
    /// All of the new content was written.
    Written,
    /// What stuck out of the old content was cut off.
    Truncated,
    /// The new content is on the disk.
    Synced,
    /// The journal is gone.
    JournalRemoved,
}

/// Is told of each step. By default nobody is.
#[derive(Clone, Default)]
pub struct Steps(Option<Arc<dyn Fn(Step) + Send + Sync>>);

impl Steps {
    /// Tells that function.
    #[must_use]
    pub fn told_to(function: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(function)))
    }

    pub(super) fn done(&self, step: Step) {
        if let Some(function) = &self.0 {
            function(step);
        }
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}
