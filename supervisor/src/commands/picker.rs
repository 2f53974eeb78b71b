//! Which project? Asked where none is named and somebody sits at a terminal.

use std::fmt;
use std::io::{self, IsTerminal as _};

use inquire::{InquireError, Select};

use super::count;
use crate::config::Loaded;

/// What became of the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picked {
    /// This project.
    Project(String),
    /// Nobody can be asked: there is no terminal.
    NoTerminal,
    /// None: the question was left with Escape or Ctrl-C.
    Cancelled,
}

/// A project as it is offered.
struct Choice {
    name: String,
    about: String,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ({})", self.name, self.about)
    }
}

/// Asks which of the sound projects to run. What is typed filters them fuzzily.
///
/// # Errors
/// The terminal cannot be used.
pub fn pick(loaded: &Loaded) -> io::Result<Picked> {
    // The question is shown on standard error, so that standard output stays the project's.
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(Picked::NoTerminal);
    }
    match Select::new("Which project?", choices(loaded)).prompt() {
        Ok(choice) => Ok(Picked::Project(choice.name)),
        Err(InquireError::OperationCanceled | InquireError::OperationInterrupted) => {
            Ok(Picked::Cancelled)
        }
        Err(InquireError::NotTTY) => Ok(Picked::NoTerminal),
        Err(InquireError::IO(error)) => Err(error),
        Err(other) => Err(io::Error::other(other)),
    }
}

fn choices(loaded: &Loaded) -> Vec<Choice> {
    let choice = |project: &crate::config::Project| Choice {
        name: project.name.clone(),
        about: format!(
            "{}, {}",
            count(project.apps.len(), "app"),
            count(project.forwards.len(), "forward")
        ),
    };
    loaded.projects.iter().map(choice).collect()
}
