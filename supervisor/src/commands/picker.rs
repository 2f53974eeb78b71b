//! Which project, and what of it? Asked where nothing is named and somebody sits at a terminal.

use std::fmt;
use std::io::{self, IsTerminal as _};

use inquire::list_option::ListOption;
use inquire::validator::Validation;
use inquire::{InquireError, MultiSelect, Select};

use super::count;
use super::remembered;
use crate::choice::{self, Choice};
use crate::config::{Loaded, Project};

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picked<T> {
    /// This.
    Chosen(T),
    /// Nobody can be asked: there is no terminal.
    NoTerminal,
    /// Nothing: the question was left with Escape or Ctrl-C.
    Cancelled,
}

/// A project as it is offered.
struct Offer {
    name: String,
    about: String,
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ({})", self.name, self.about)
    }
}

/// Asks which of the sound projects to run. What is typed filters them fuzzily.
///
/// # Errors
/// The terminal cannot be used.
pub fn pick(loaded: &Loaded) -> io::Result<Picked<String>> {
    if !can_ask() {
        return Ok(Picked::NoTerminal);
    }
    answered(
        Select::new("Which project?", offers(loaded))
            .prompt()
            .map(|offer| offer.name),
    )
}

/// Asks what of a project to run, beginning with what was chosen the last time. A project with nothing to choose from
/// is not asked about.
///
/// # Errors
/// The terminal cannot be used.
pub fn pick_parts(project: &Project) -> io::Result<Picked<Choice>> {
    if !can_ask() {
        return Ok(Picked::NoTerminal);
    }
    let parts = choice::parts(project);
    if parts.len() < 2 {
        return Ok(Picked::Chosen(Choice::default()));
    }
    let before = remembered::of(&project.name);
    let ticked: Vec<usize> = (0..parts.len())
        .filter(|&at| match &before {
            Some(before) => before.contains(&parts[at].to_string()),
            None => parts[at].is_usual,
        })
        .collect();
    let asked = MultiSelect::new("What of it?", parts)
        .with_default(&ticked)
        .with_page_size(15)
        .with_help_message("space ticks, → all, ← none, type to filter, enter runs")
        .with_formatter(&|chosen| count(chosen.len(), "part"))
        .with_validator(|chosen: &[ListOption<&choice::Part>]| {
            Ok(if chosen.is_empty() {
                Validation::Invalid("tick at least one".into())
            } else {
                Validation::Valid
            })
        })
        .prompt();
    answered(asked.map(|ticked| {
        let names: Vec<String> = ticked.iter().map(ToString::to_string).collect();
        remembered::keep(&project.name, &names);
        choice::of_parts(&ticked)
    }))
}

/// The question is shown on standard error, so that standard output stays the project's.
fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn answered<T>(answer: Result<T, InquireError>) -> io::Result<Picked<T>> {
    match answer {
        Ok(chosen) => Ok(Picked::Chosen(chosen)),
        Err(InquireError::OperationCanceled | InquireError::OperationInterrupted) => {
            Ok(Picked::Cancelled)
        }
        Err(InquireError::NotTTY) => Ok(Picked::NoTerminal),
        Err(InquireError::IO(error)) => Err(error),
        Err(other) => Err(io::Error::other(other)),
    }
}

fn offers(loaded: &Loaded) -> Vec<Offer> {
    let offer = |project: &Project| Offer {
        name: project.name.clone(),
        about: format!(
            "{}, {}",
            count(project.apps.len(), "app"),
            count(project.forwards.len(), "forward")
        ),
    };
    loaded.projects.iter().map(offer).collect()
}
