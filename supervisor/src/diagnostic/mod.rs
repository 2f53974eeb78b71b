//! What is wrong with a configuration, where, and what to do about it.
//!
//! A [`Diagnostic`] is one problem. A [`Report`] holds all that one pass found, together with the texts that they
//! point into, so that it can be shown anywhere: as rustc shows its own ([`render`]), or as JSON ([`json`]).

pub mod json;
pub mod render;
pub mod source;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

pub use render::Style;
pub use source::{FileId, Position, SourceFile, Sources, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It works, but probably not as it was meant.
    Warning,
    /// It cannot work.
    Error,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A stretch of a file and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// A few words, or none.
    pub text: String,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A short, stable word for this kind of problem, for scripts: `unknown-key`, `duplicate-name`, …
    pub code: &'static str,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where it is wrong; nothing when it is about no file.
    pub primary: Option<Label>,
    /// What else one has to look at to understand it.
    pub secondary: Vec<Label>,
    /// What to do.
    pub help: Vec<String>,
}

impl Diagnostic {
    fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Something that cannot work.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// Something that probably is not as it was meant.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// Points at the place where it is wrong.
    #[must_use]
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.primary = Some(Label {
            span,
            text: label.into(),
        });
        self
    }

    /// Points at another place that matters.
    #[must_use]
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.secondary.push(Label {
            span,
            text: label.into(),
        });
        self
    }

    /// What a person is told once, however many ways lead to it: the kind of problem, where it is, and what is wrong.
    #[must_use]
    pub fn once(&self) -> (&'static str, Option<Span>, &str) {
        let at = self.primary.as_ref().map(|label| label.span);
        (self.code, at, &self.message)
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }
}

/// All that one pass over some files found, with the files.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The texts that the diagnostics point into.
    pub sources: Arc<Sources>,
    /// Warnings, then errors, so that the latter are what a terminal shows last; both in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// A report about these texts. What was found twice, because an alias repeats it, is told once.
    #[must_use]
    pub fn new(sources: Arc<Sources>, mut diagnostics: Vec<Diagnostic>) -> Self {
        let mut seen = HashSet::new();
        let mut is_new = |diagnostic: &Diagnostic| {
            let (code, at, message) = diagnostic.once();
            seen.insert((code, at, message.to_owned()))
        };
        diagnostics.retain(|diagnostic| is_new(diagnostic));
        diagnostics.sort_by_key(|diagnostic| {
            let start = diagnostic.primary.as_ref().map(|label| label.span);
            (diagnostic.severity, start.is_none(), start)
        });
        Self {
            sources,
            diagnostics,
        }
    }

    /// A report of one problem that is about no file.
    #[must_use]
    pub fn of(diagnostic: Diagnostic) -> Self {
        Self::new(Arc::default(), vec![diagnostic])
    }

    /// Whether anything in it cannot work.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// How many errors there are.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        let of_severity = |diagnostic: &&Diagnostic| diagnostic.severity == severity;
        self.diagnostics.iter().filter(of_severity).count()
    }

    /// The report as a person reads it on a terminal.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        render::report(self, style)
    }

    /// The report as a program reads it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json::report(self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::plain()))
    }
}

impl std::error::Error for Report {}
