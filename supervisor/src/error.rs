//! Why the supervisor ends without having run a project.

use std::path::PathBuf;

use monday_shared::life::{Failure, LifeError, exit};
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::socket::runtime_dir::RuntimeDirError;

use crate::choice::ChoiceError;
use crate::diagnostic::Report;
use crate::sidecar::locate::NotFound;

/// 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// Why the supervisor ends without having run a project.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong, missing, or has no such project.
    #[error("{0}")]
    Configuration(Report),
    /// No project was named, and nobody can be asked.
    #[error("no project was named; the projects are: {}; try `monday-supervisor {}`", names.join(", "), names[0])]
    NoProjectNamed {
        /// Those that there are, at least one.
        names: Vec<String>,
    },
    /// Which project could not be asked.
    #[error("cannot ask which project to run: {0}; name it: `monday-supervisor PROJECT`")]
    Terminal(std::io::Error),
    /// The question for the project was left without an answer.
    #[error("no project was chosen")]
    NothingPicked,
    /// The project runs already.
    #[error(
        "project `{project}` is running already: its supervisor has pid {pid}; `monday-supervisor down {project}` stops it, `attach {project}` shows it"
    )]
    Running {
        /// The project.
        project: String,
        /// Its supervisor.
        pid: String,
    },
    /// What was chosen of the project is no part of it.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// Something was not ready as `--wait` wants it.
    #[error("{}", .0.message)]
    NotReady(RpcError),
    /// The project was stopped before COMMAND could be started.
    #[error(
        "the command was not started: the project was stopped before everything of it was up ({reason})"
    )]
    CommandNotStarted {
        /// What stopped it.
        reason: String,
    },
    /// The background process cannot be started.
    #[error("cannot start the project in the background: {0}")]
    Background(std::io::Error),
    /// The folder for logs cannot be used.
    #[error("cannot write logs into {}: {source}", path.display())]
    LogDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no folder for the sockets.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
    /// One of monday's executables is missing.
    #[error(transparent)]
    Executable(#[from] NotFound),
    /// The life of the supervisor itself.
    #[error(transparent)]
    Life(#[from] LifeError),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) | Self::NoProjectNamed { .. } | Self::Choice(_) => exit::USAGE,
            Self::NotReady(error) if error.data.kind == ErrorKind::Timeout => exit::TIMED_OUT,
            // The question was left by Escape or Ctrl-C: as after a SIGINT.
            Self::NothingPicked => INTERRUPTED,
            _ => exit::FAILED,
        }
    }
}
