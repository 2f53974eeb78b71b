//! What can go wrong in a measurement.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The executable under test was not built.
    #[error("{} is not there: build it with `cargo build --release --workspace` first", .0.display())]
    NotBuilt(PathBuf),
    /// A program was there but did not do its part.
    #[error("{program}: {problem}")]
    Contender {
        /// Which.
        program: String,
        /// What it did instead.
        problem: String,
    },
    /// The system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    /// Says what went wrong, for the end of `main`.
    pub(crate) fn report(&self) -> ExitCode {
        // Nothing can be done about a closed standard error.
        let _ = writeln!(io::stderr(), "monday-bench: {self}");
        ExitCode::FAILURE
    }
}

/// Gives an I/O error its context.
pub(crate) trait Doing<T> {
    /// Says what was tried, as in "cannot …".
    fn doing(self, doing: impl Into<String>) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: impl Into<String>) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            doing: doing.into(),
            source,
        })
    }
}
