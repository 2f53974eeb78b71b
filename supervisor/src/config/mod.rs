//! What the files say: from bytes to checked projects.
//!
//! The stages are pure functions, one after the other:
//!
//! 1. [`search`] decides which files there are to read, and [`surroundings`] is the only door to the machine;
//! 2. each file is read whole, within limits;
//! 3. its YAML events become a tree of which every node knows its place, with anchors, `<<` and repeated keys settled;
//! 4. the tree is typed through serde;
//! 5. each project is merged with the globals, expanded and checked ([`project`]).
//!
//! Problems do not stop a stage: it notes them and goes on without what is wrong, so that one pass finds all of them.

pub mod env_file;
pub mod project;
pub mod search;
pub mod surroundings;

use std::path::PathBuf;

pub use project::Project;
pub use search::Search;
pub use surroundings::{Surroundings, System};

use crate::diagnostic::{Diagnostic, Report};

/// What was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The files, in the order in which they were read.
    pub files: Vec<PathBuf>,
    /// The projects that are sound, in the order of the files.
    pub projects: Vec<Project>,
    /// Those that are not, each with what is wrong with it: they do not keep the others from running.
    pub broken: Vec<(String, Report)>,
    /// What is worth a warning and is not about one of the broken projects.
    pub warnings: Report,
}

impl Loaded {
    /// The project of this name.
    ///
    /// # Errors
    /// There is none (the report lists those that there are), or it is broken (the report says why).
    pub fn project(&self, name: &str) -> Result<&Project, Report> {
        if let Some(project) = self.projects.iter().find(|project| project.name == name) {
            return Ok(project);
        }
        if let Some((_, report)) = self.broken.iter().find(|(broken, _)| broken == name) {
            return Err(report.clone());
        }
        Err(Report::of(self.unknown(name)))
    }

    /// The names of all projects, the broken ones included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let sound = self.projects.iter().map(|project| project.name.as_str());
        sound.chain(self.broken.iter().map(|(name, _)| name.as_str()))
    }

    fn unknown(&self, name: &str) -> Diagnostic {
        let names: Vec<&str> = self.names().collect();
        Diagnostic::error("unknown-project", format!("there is no project `{name}`"))
            .help(format!("the projects are: {}", names.join(", ")))
    }
}

/// Reads the configuration.
///
/// # Errors
/// No configuration, or one that is broken as a whole. A problem of a single project is in [`Loaded::broken`].
pub fn load(search: &Search) -> Result<Loaded, Report> {
    load_in(search, &System::new())
}

/// Reads the configuration of these surroundings: what [`load`] does, with the machine as a parameter.
///
/// # Errors
/// As [`load`].
pub fn load_in(search: &Search, surroundings: &dyn Surroundings) -> Result<Loaded, Report> {
    let _ = (search, surroundings);
    Err(Report::of(Diagnostic::error(
        "not-built",
        "the configuration reader is not built yet",
    )))
}
