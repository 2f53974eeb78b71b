//! Children that we had before we started any: a shell that had jobs before it became us (`job & exec monday-run ...`) has
//! left them to us. They are nobody's whom we start, and are not ended with them.

use std::io;

use super::process_tree::{Process, Table};

/// Those children, as long as they are there.
#[derive(Clone, Debug, Default)]
pub struct Inherited(Vec<u32>);

impl Inherited {
    /// The children that we have now. To be called before any is started and before orphans come to us.
    ///
    /// # Errors
    /// The list of processes cannot be read.
    pub fn now() -> io::Result<Self> {
        if nobody_to_wait_for() {
            return Ok(Self::default());
        }
        let own = std::process::id();
        let children = Table::read()?.living(|process: &Process| process.parent == own);
        Ok(Self(
            children.iter().map(|process| process.id.pid).collect(),
        ))
    }

    /// Their numbers.
    #[must_use]
    pub fn pids(&self) -> &[u32] {
        &self.0
    }

    /// Forgets a child that was waited for: its number may be another's from now on.
    pub fn ended(&mut self, pid: u32) {
        self.0.retain(|&inherited| inherited != pid);
    }
}

/// Whether we have no child at all, not even one that has not ended. Where orphans come to us that is exact, as no list of
/// processes is: nobody below us is left.
#[must_use]
pub fn nobody_to_wait_for() -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, look), Err(rustix::io::Errno::CHILD))
}
