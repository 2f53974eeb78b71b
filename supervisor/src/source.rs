//! Where a running project comes from: the same files and the same choice can be read again.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::choice::{self, Choice, ChoiceError, Chosen};
use crate::config::{self, Project, Search};
use crate::diagnostic::{Report, Style};

/// How often the files are looked at: a few calls of stat(2).
const LOOK: Duration = Duration::from_secs(1);

/// Where a running project comes from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where the configuration is looked for.
    pub search: Search,
    /// Which project.
    pub project: String,
    /// What of it, at first.
    pub choice: Choice,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
}

/// Why it cannot be read again.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The configuration is wrong.
    #[error("the configuration cannot be used, and nothing was changed:\n{}", .0.render(Style::plain()))]
    Configuration(Report),
    /// What was chosen of it is not there any more.
    #[error("nothing was changed: {0}")]
    Choice(#[from] ChoiceError),
}

impl Source {
    /// Reads it again, with this choice.
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn read(
        &self,
        choice: impl FnOnce(&Project) -> Choice,
    ) -> Result<(Chosen, Choice), SourceError> {
        let loaded = config::load(&self.search).map_err(SourceError::Configuration)?;
        let project = loaded
            .project(&self.project)
            .map_err(SourceError::Configuration)?;
        let choice = choice(project);
        Ok((choice::choose(project, &choice)?, choice))
    }

    /// Waits until one of the files is another one, and has been so for a moment: editors write in several steps.
    pub async fn changed(&self) {
        let before = self.look();
        let mut last = before.clone();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.look();
            if now != before && now == last {
                return;
            }
            last = now;
        }
    }

    fn look(&self) -> Vec<Option<Stamp>> {
        let stamp = |file: &PathBuf| std::fs::metadata(file).ok().as_ref().map(Stamp::of);
        self.files.iter().map(stamp).collect()
    }
}

/// What changes when a file is written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            file: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
        }
    }
}
