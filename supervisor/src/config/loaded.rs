//! What was read: the projects that can run, those that cannot and why, and what is worth a warning.

use std::path::PathBuf;
use std::sync::Arc;

use super::model::Config;
use super::problems::Problems;
use super::project::Project;
use super::suggest;
use crate::diagnostic::{Diagnostic, Report, Severity, Sources, Span};

/// What was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The files, in the order in which they were read.
    pub files: Vec<PathBuf>,
    /// The projects that are sound, in the order of the files.
    pub projects: Vec<Project>,
    /// Those that are not: they do not keep the others from running.
    pub broken: Vec<Broken>,
    /// What is worth a warning and is not about one of the broken projects.
    pub warnings: Report,
    /// The sound projects as files again, in the order of `projects`.
    effective: Vec<Config>,
    /// Where the sound projects are written, in the order of `projects`.
    scopes: Vec<Span>,
    /// The warnings, each with the project that it is about.
    scoped: Vec<(Option<Span>, Diagnostic)>,
}

/// A project with a mistake in it.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Its name; empty where that is the mistake.
    pub name: String,
    /// What is wrong with it.
    pub report: Report,
}

/// A project that was read, sound or not.
pub(super) struct Candidate {
    pub(super) scope: Span,
    pub(super) project: Project,
    pub(super) config: Config,
}

impl Loaded {
    /// Sorts the projects into those that are sound and those that are not.
    ///
    /// # Errors
    /// There is an error that is about no project in particular, or there is no project at all.
    pub(super) fn new(
        sources: Arc<Sources>,
        candidates: Vec<Candidate>,
        problems: Problems,
    ) -> Result<Self, Report> {
        let mut found = problems.into_vec();
        let known = |scope: &Option<Span>| {
            candidates
                .iter()
                .any(|candidate| Some(candidate.scope) == *scope)
        };
        let for_all = found
            .iter()
            .any(|(scope, problem)| problem.severity == Severity::Error && !known(scope));
        if candidates.is_empty() && !for_all {
            found.push((None, no_project(&sources)));
        }
        // A project without a name is a mistake of its own; if there is no other, nothing can be run or named.
        let nobody_named = candidates
            .iter()
            .all(|candidate| candidate.project.name.is_empty());
        if for_all || nobody_named {
            let all = found.into_iter().map(|(_, problem)| problem).collect();
            return Err(Report::new(sources, all));
        }
        let mut loaded = Self {
            files: sources.iter().map(|(_, file)| file.path.clone()).collect(),
            projects: Vec::new(),
            broken: Vec::new(),
            warnings: Report::default(),
            effective: Vec::new(),
            scopes: Vec::new(),
            scoped: Vec::new(),
        };
        for candidate in candidates {
            let is_own = |scope: &Option<Span>| *scope == Some(candidate.scope);
            let is_broken = found
                .iter()
                .any(|(scope, problem)| is_own(scope) && problem.severity == Severity::Error);
            if is_broken {
                let (own, others) = found.into_iter().partition(|(scope, _)| is_own(scope));
                found = others;
                let own: Vec<(Option<Span>, Diagnostic)> = own;
                let own = own.into_iter().map(|(_, problem)| problem).collect();
                loaded.broken.push(Broken {
                    name: candidate.project.name,
                    report: Report::new(Arc::clone(&sources), own),
                });
            } else {
                loaded.projects.push(candidate.project);
                loaded.effective.push(candidate.config);
                loaded.scopes.push(candidate.scope);
            }
        }
        let all = found.iter().map(|(_, problem)| problem.clone()).collect();
        loaded.warnings = Report::new(sources, all);
        loaded.scoped = found;
        Ok(loaded)
    }

    /// The project of this name.
    ///
    /// # Errors
    /// There is none (the report lists those that there are), or it is broken (the report says why).
    pub fn project(&self, name: &str) -> Result<&Project, Report> {
        if let Some(project) = self.projects.iter().find(|project| project.name == name) {
            return Ok(project);
        }
        match self.broken.iter().find(|broken| broken.name == name) {
            Some(broken) => Err(broken.report.clone()),
            None => Err(Report::of(self.unknown(name))),
        }
    }

    /// A sound project as a configuration of its own: the globals merged in, paths expanded. Read again, it plans the
    /// same.
    ///
    /// # Errors
    /// As [`Loaded::project`].
    pub fn effective(&self, name: &str) -> Result<&Config, Report> {
        let project = self.project(name)?;
        let pairs = self.projects.iter().zip(&self.effective);
        let found = pairs
            .into_iter()
            .find(|(candidate, _)| candidate.name == project.name);
        found
            .map(|(_, config)| config)
            .ok_or_else(|| Report::of(self.unknown(name)))
    }

    /// What is worth a warning to whoever runs this project: what is about it, or about no project in particular.
    #[must_use]
    pub fn warnings_for(&self, name: &str) -> Report {
        let at = self
            .projects
            .iter()
            .position(|project| project.name == name);
        let scope = at.map(|at| self.scopes[at]);
        let own = self
            .scoped
            .iter()
            .filter(|(about, _)| about.is_none() || *about == scope);
        let own = own.map(|(_, problem)| problem.clone()).collect();
        Report::new(Arc::clone(&self.warnings.sources), own)
    }

    /// The names of all projects, the broken ones at the end.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let sound = self.projects.iter().map(|project| project.name.as_str());
        let broken = self.broken.iter().map(|broken| broken.name.as_str());
        sound.chain(broken.filter(|name| !name.is_empty()))
    }

    /// Everything that was found, over all projects.
    #[must_use]
    pub fn report(&self) -> Report {
        let broken = self
            .broken
            .iter()
            .flat_map(|broken| &broken.report.diagnostics);
        let all = self
            .warnings
            .diagnostics
            .iter()
            .chain(broken)
            .cloned()
            .collect();
        Report::new(Arc::clone(&self.warnings.sources), all)
    }

    fn unknown(&self, name: &str) -> Diagnostic {
        let mut names: Vec<&str> = self.names().collect();
        names.dedup();
        let problem = Diagnostic::error("unknown-project", format!("there is no project `{name}`"));
        let problem = match suggest::nearest(name, names.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        };
        problem.help(format!("the projects are: {}", names.join(", ")))
    }
}

fn no_project(sources: &Sources) -> Diagnostic {
    let paths: Vec<String> = sources
        .iter()
        .map(|(_, file)| file.path.display().to_string())
        .collect();
    Diagnostic::error(
        "no-project",
        format!("no project is declared in {}", paths.join(", ")),
    )
    .help("declare one: `projects: [{name: NAME, local: [...], forward: [...]}]`")
}
