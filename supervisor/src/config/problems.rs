//! The problems that the stages found so far.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::diagnostic::{Diagnostic, Severity, Span};

/// After so many errors, and so many warnings, nobody reads on, and a hostile file could go on for ever. Errors stop the
/// reader; warnings are only counted from here on, so that no number of them hides an error.
const MOST: usize = 200;

/// The same problem of a shared part, told again for other ways that lead to it, is kept this often over all of them.
const MOST_KEPT: usize = 10 * MOST;

/// A project, by its index in the list of all of them, the broken ones counted.
pub(super) type ProjectIndex = usize;

/// What a problem is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// No project in particular: all of them.
    All,
    /// These.
    Projects(BTreeSet<ProjectIndex>),
}

impl About {
    /// Whether it is about this project, and not about all of them.
    pub(super) fn names(&self, project: ProjectIndex) -> bool {
        matches!(self, Self::Projects(projects) if projects.contains(&project))
    }

    fn and(&mut self, project: Option<ProjectIndex>) {
        match (&mut *self, project) {
            (Self::Projects(projects), Some(project)) => drop(projects.insert(project)),
            (Self::All, _) => {}
            (Self::Projects(_), None) => *self = Self::All,
        }
    }
}

/// A problem and what it is about.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) about: About,
    pub(super) problem: Diagnostic,
}

/// The problems that the stages found so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Found>,
    /// Where each of them is in `found`, by a hash of all of it.
    known: HashMap<u64, usize>,
    /// Where the first of each that a report tells once is in `found`, or nothing where it was left out.
    told: HashMap<u64, Option<usize>>,
    errors: usize,
    warnings: usize,
    more_warnings: usize,
    /// Whether an error was left out.
    more_errors: bool,
}

impl Problems {
    /// Notes a problem that is about no project in particular.
    pub(super) fn push(&mut self, problem: Diagnostic) {
        self.push_in(None, problem);
    }

    /// Notes a problem of one project.
    pub(super) fn push_in(&mut self, project: Option<ProjectIndex>, problem: Diagnostic) {
        let (whole, told) = (whole(&problem), told(&problem));
        let same = self.known.get(&whole).copied();
        let same = same.or_else(|| match self.told.get(&told) {
            Some(first) if self.found.len() >= MOST_KEPT => *first,
            _ => None,
        });
        if let Some(at) = same {
            self.found[at].about.and(project);
            return;
        }
        let first = match self.told.get(&told).copied() {
            Some(Some(first)) => Some(first),
            Some(None) => return,
            None if self.affords(problem.severity) => None,
            None => {
                self.told.insert(told, None);
                return;
            }
        };
        let at = self.found.len();
        self.known.insert(whole, at);
        self.told.insert(told, Some(first.unwrap_or(at)));
        let about = project.map_or(About::All, |project| About::Projects([project].into()));
        self.found.push(Found { about, problem });
    }

    /// Counts a problem that was not told before; false where there are too many to keep it.
    fn affords(&mut self, severity: Severity) -> bool {
        let count = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if *count < MOST {
            *count += 1;
            return true;
        }
        match severity {
            Severity::Error => self.more_errors = true,
            Severity::Warning => self.more_warnings += 1,
        }
        false
    }

    /// Counts warnings that are left out, as [`Problems::push`] would.
    pub(super) fn leave_out(&mut self, warnings: usize) {
        self.more_warnings += warnings;
    }

    /// Notes why nothing more is looked for, however many errors there are.
    pub(super) fn push_last(&mut self, problem: Diagnostic) {
        self.found.push(Found {
            about: About::All,
            problem,
        });
        // It says already that there are more.
        self.more_errors = false;
        self.errors += 1;
    }

    /// Notes what a part of the work found.
    pub(super) fn take(&mut self, part: Self) {
        for Found { problem, .. } in part.found {
            self.push(problem);
        }
        self.more_warnings += part.more_warnings;
        self.more_errors |= part.more_errors;
    }

    /// Whether there are so many errors that it is no use to look for more: one was left out.
    pub(super) fn is_full(&self) -> bool {
        self.more_errors
    }

    /// Whether a warning more would be left out.
    pub(super) fn is_full_of_warnings(&self) -> bool {
        self.warnings >= MOST
    }

    /// Whether any of them is an error.
    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// All of them, in the order in which they were found, and how many were left out.
    pub(super) fn into_vec(self) -> Vec<Found> {
        let mut found = self.found;
        let mut note = |problem| {
            found.push(Found {
                about: About::All,
                problem,
            });
        };
        if self.more_errors {
            let message = format!("there are more than {MOST} errors: the others are not shown");
            note(
                Diagnostic::error("too-many", message)
                    .help("mend the first ones: others may follow from them"),
            );
        }
        if self.more_warnings > 0 {
            let (count, verb) = match self.more_warnings {
                1 => ("1 more warning".to_owned(), "is"),
                more => (format!("{more} more warnings"), "are"),
            };
            let message = format!("{count} {verb} not shown");
            note(
                Diagnostic::warning("too-many", message)
                    .help("mend the first ones to see the others"),
            );
        }
        found
    }
}

impl Extend<Diagnostic> for Problems {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, problems: I) {
        for problem in problems {
            self.push(problem);
        }
    }
}

/// What a report tells once: see [`crate::diagnostic::Report::new`].
fn told(problem: &Diagnostic) -> u64 {
    let mut hasher = DefaultHasher::new();
    problem.once().hash(&mut hasher);
    hasher.finish()
}

/// All of a problem.
fn whole(problem: &Diagnostic) -> u64 {
    let mut hasher = DefaultHasher::new();
    problem.once().hash(&mut hasher);
    let places: Vec<Span> = problem.secondary.iter().map(|label| label.span).collect();
    (places, &problem.help).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(problems: Problems) -> Vec<String> {
        let found = problems.into_vec().into_iter();
        found.map(|found| found.problem.message).collect()
    }

    #[test]
    fn warnings_never_leave_out_an_error_and_are_counted() {
        let mut problems = Problems::default();
        for at in 0..MOST + 7 {
            problems.push(Diagnostic::warning("w", format!("warning {at}")));
            problems.push(Diagnostic::warning("w", format!("warning {at}")));
        }
        assert!(!problems.is_full());
        problems.push_in(Some(1), Diagnostic::error("e", "an error"));
        let texts = texts(problems);
        assert_eq!(texts.len(), MOST + 2);
        assert_eq!(texts[MOST..], ["an error", "7 more warnings are not shown"]);
    }

    #[test]
    fn an_error_too_many_is_an_error_about_everything() {
        let mut problems = Problems::default();
        for at in 0..=MOST {
            problems.push_in(Some(0), Diagnostic::error("e", format!("error {at}")));
        }
        assert!(problems.is_full());
        let found = problems.into_vec();
        let last = found.last().unwrap();
        assert_eq!((found.len(), last.problem.code), (MOST + 1, "too-many"));
        assert_eq!(last.about, About::All);
    }

    #[test]
    fn the_same_problem_of_several_projects_is_one_about_all_of_these() {
        let mut problems = Problems::default();
        for project in 0..3 * MOST {
            problems.push_in(Some(project), Diagnostic::error("e", "shared"));
        }
        assert!(!problems.is_full());
        let found = problems.into_vec();
        assert_eq!(found.len(), 1);
        assert!(found[0].about.names(2 * MOST) && !found[0].about.names(3 * MOST));
    }
}
