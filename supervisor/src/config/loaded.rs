//! What was read: the projects that can run, those that cannot and why, and what is worth a warning.

use std::path::PathBuf;
use std::sync::Arc;

use super::model::Config;
use super::problems::{About, Found, Problems, ProjectIndex};
use super::project::Project;
use super::suggest;
use crate::diagnostic::{Diagnostic, Report, Severity, Sources};

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
    /// Which of all projects the sound ones are, in the order of `projects`.
    indices: Vec<ProjectIndex>,
    /// The warnings, each with the projects that it is about.
    scoped: Vec<Found>,
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
    pub(super) index: ProjectIndex,
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
        let is_error = |found: &&Found| found.problem.severity == Severity::Error;
        let known = |found: &Found| {
            candidates
                .iter()
                .any(|candidate| found.about.names(candidate.index))
        };
        let for_all = found.iter().filter(is_error).any(|found| !known(found));
        if candidates.is_empty() && !for_all {
            found.push(Found {
                about: About::All,
                problem: no_project(&sources),
            });
        }
        // A project without a name is a mistake of its own; if there is no other, nothing can be run or named.
        let nobody_named = candidates
            .iter()
            .all(|candidate| candidate.project.name.is_empty());
        if for_all || nobody_named {
            let all = found.into_iter().map(|found| found.problem).collect();
            return Err(Report::new(sources, all));
        }
        let errors: Vec<&About> = found
            .iter()
            .filter(is_error)
            .map(|found| &found.about)
            .collect();
        let mut loaded = Self {
            files: sources.iter().map(|(_, file)| file.path.clone()).collect(),
            projects: Vec::new(),
            broken: Vec::new(),
            warnings: Report::default(),
            effective: Vec::new(),
            indices: Vec::new(),
            scoped: Vec::new(),
        };
        for candidate in candidates {
            if errors.iter().any(|about| about.names(candidate.index)) {
                let own = found
                    .iter()
                    .filter(|found| found.about.names(candidate.index));
                let own = own.map(|found| found.problem.clone()).collect();
                loaded.broken.push(Broken {
                    name: candidate.project.name,
                    report: Report::new(Arc::clone(&sources), own),
                });
            } else {
                loaded.projects.push(candidate.project);
                loaded.effective.push(candidate.config);
                loaded.indices.push(candidate.index);
            }
        }
        drop(errors);
        // What is about broken projects alone is told with them.
        found.retain(|found| {
            let of_a_sound_one = || {
                let mut indices = loaded.indices.iter();
                indices.any(|&index| found.about.names(index))
            };
            found.about == About::All || of_a_sound_one()
        });
        let all = found.iter().map(|found| found.problem.clone()).collect();
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
        let index = at.map(|at| self.indices[at]);
        let is_own =
            |about: &About| *about == About::All || index.is_some_and(|index| about.names(index));
        let own = self.scoped.iter().filter(|found| is_own(&found.about));
        let own = own.map(|found| found.problem.clone()).collect();
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
