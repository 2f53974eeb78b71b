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

mod anchors;
mod check;
mod compose;
mod duplicates;
mod effective;
pub mod env_file;
mod events;
mod expand;
mod flow;
mod keys;
mod leftover;
mod lenient;
mod loaded;
mod merge;
pub mod model;
mod problems;
pub mod project;
pub mod schema;
pub mod search;
mod source;
mod stream;
pub(crate) mod suggest;
pub mod surroundings;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;
mod typed;
pub mod write;

use std::sync::Arc;

pub use loaded::{Broken, Loaded};
pub use project::Project;
pub use search::Search;
pub use surroundings::{Surroundings, System};

use crate::diagnostic::{Report, Sources};
use effective::Context;
use expand::Expander;
use problems::Problems;

/// The variable that names the kubeconfig, whatever the files say.
const KUBECONFIG_VARIABLE: &str = "MONDAY_KUBE_CONFIG";

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
pub fn load_in(search: &Search, machine: &dyn Surroundings) -> Result<Loaded, Report> {
    let mut sources = Sources::default();
    let mut problems = Problems::default();
    let files = search::files(search, machine)?;
    let read = source::read(&files, machine, &mut sources, &mut problems);
    let sources = Arc::new(sources);
    let root = stream::compose(&read, &sources, &mut problems);
    let projects = match root {
        Some(root) => projects(root, &sources, machine, &mut problems),
        None => Vec::new(),
    };
    Loaded::new(sources, projects, problems)
}

/// From the tree of all files to the projects in it, the sound and the others.
fn projects(
    root: tree::Node,
    sources: &Sources,
    machine: &dyn Surroundings,
    problems: &mut Problems,
) -> Vec<loaded::Candidate> {
    let mut typed = typed::read(root, problems);
    let root = typed.root.place();
    let places = typed::projects(&root);
    if let Some(too_large) = effective::too_much(&typed.config, &root, places.len()) {
        problems.push_last(too_large);
        return Vec::new();
    }
    check::project_names(&typed.config, &places, problems);
    let mut context = Context {
        expander: Expander::new(machine),
        sources,
        problems,
        project: None,
    };
    let kubeconfig = machine.non_empty(KUBECONFIG_VARIABLE);
    let common = effective::settings(&typed.config, &root, kubeconfig, &mut context);
    let settings = check::settings(&common);
    let mut candidates = Vec::with_capacity(places.len());
    let declared = std::mem::take(&mut typed.config.projects.0);
    for (declared, (index, place)) in declared.into_iter().zip(places) {
        // With so many errors all of them are told, and none of the projects can run.
        if context.problems.is_full() {
            break;
        }
        context.project = Some(index);
        let effective = effective::project(declared, place, &typed.config, &root, &mut context);
        let project = check::project(&effective, index, settings.clone(), context.problems);
        let mut config = model::Config {
            projects: vec![effective.project].into(),
            ..common.clone()
        };
        effective::escape(&mut config, &root);
        candidates.push(loaded::Candidate {
            index,
            project,
            config,
        });
    }
    candidates
}
