//! The problems that the stages found so far.

use crate::diagnostic::{Diagnostic, Severity, Span};

/// After so many nobody reads on, and a hostile file could go on for ever.
const MOST: usize = 200;

/// The problems that the stages found so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    /// Each with the project that it is about, told by where that is written; nothing when it is about all of them.
    found: Vec<(Option<Span>, Diagnostic)>,
}

impl Problems {
    /// Notes a problem; when there are too many, it is left out.
    pub(super) fn push(&mut self, problem: Diagnostic) {
        self.push_in(None, problem);
    }

    /// Notes a problem of one project.
    pub(super) fn push_in(&mut self, project: Option<Span>, problem: Diagnostic) {
        if !self.is_full() {
            self.found.push((project, problem));
        }
    }

    /// Notes why nothing more is looked for, however many there are.
    pub(super) fn push_last(&mut self, problem: Diagnostic) {
        self.found.push((None, problem));
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// Forgets all but the first so many.
    pub(super) fn truncate(&mut self, len: usize) {
        self.found.truncate(len);
    }

    /// Whether there are so many that it is no use to look for more.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MOST
    }

    /// Whether any of them is an error.
    pub(super) fn has_errors(&self) -> bool {
        self.found
            .iter()
            .any(|(_, problem)| problem.severity == Severity::Error)
    }

    /// All of them, in the order in which they were found.
    pub(super) fn into_vec(self) -> Vec<(Option<Span>, Diagnostic)> {
        self.found
    }
}

impl Extend<Diagnostic> for Problems {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, problems: I) {
        for problem in problems {
            self.push(problem);
        }
    }
}
