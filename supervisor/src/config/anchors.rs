//! Anchors by name, over all files of a stream, and the budget of what aliases may expand to.

use std::collections::{HashMap, HashSet};

use super::tree::Node;
use crate::diagnostic::{Diagnostic, Span};

/// How many values all files together may expand to. A project of 2,000 apps has 50,000.
const MOST_VALUES: u64 = 500_000;

/// How deep values may be nested, aliases followed. Real files need less than ten levels.
pub(super) const DEEPEST: u32 = 64;

/// A text counts as one value more for this many bytes, so that a few huge texts do not expand without bound either.
const BYTES_PER_VALUE: usize = 64;

/// How large a value is when all of its aliases are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// How many values.
    pub(super) values: u64,
    /// How many levels.
    pub(super) depth: u32,
}

impl Size {
    /// That of a scalar.
    pub(super) fn of_text(text: &str) -> Self {
        Self {
            values: 1 + (text.len() / BYTES_PER_VALUE) as u64,
            depth: 1,
        }
    }

    /// That of an empty list or map.
    pub(super) const fn of_collection() -> Self {
        Self {
            values: 1,
            depth: 1,
        }
    }

    /// Grows a list or map by what is put into it.
    pub(super) fn contain(&mut self, inner: Self) {
        self.values = self.values.saturating_add(inner.values);
        self.depth = self.depth.max(inner.depth.saturating_add(1));
    }
}

/// A declared anchor.
struct Anchor {
    declared_at: Span,
    node: Node,
    size: Size,
}

/// The anchors that were declared so far.
#[derive(Default)]
pub(super) struct Anchors {
    known: HashMap<String, Anchor>,
    /// Names that a file declares, or seems to, which could not be read to its end.
    lost: HashSet<String>,
    spent: u64,
}

/// What an alias stands for.
pub(super) enum Resolved {
    /// This value.
    Known(Node, Size),
    /// Nobody knows; nothing to say where that only follows from another problem.
    Unknown(Option<Diagnostic>),
}

/// Too much: nothing more can be read.
pub(super) struct Exhausted(pub(super) Box<Diagnostic>);

impl From<Diagnostic> for Exhausted {
    fn from(problem: Diagnostic) -> Self {
        Self(Box::new(problem))
    }
}

impl Anchors {
    /// Declares an anchor; a later one of the same name serves later aliases.
    pub(super) fn declare(&mut self, name: String, declared_at: Span, node: &Node, size: Size) {
        let anchor = Anchor {
            declared_at,
            node: node.clone(),
            size,
        };
        self.known.insert(name, anchor);
    }

    /// Takes a value that is written in a file from the budget.
    pub(super) fn spend(&mut self, size: Size, at: Span) -> Result<(), Exhausted> {
        self.spent = self.spent.saturating_add(size.values);
        if self.spent <= MOST_VALUES {
            return Ok(());
        }
        let message = format!("the configuration has more than {MOST_VALUES} values");
        let problem = Diagnostic::error("too-large", message)
            .at(at, "here it becomes too many")
            .help(
                "a project of 2,000 apps has about 50,000: this is no configuration of monday's, \
                 or it was generated wrongly",
            );
        Err(problem.into())
    }

    /// The value that an alias stands for.
    ///
    /// # Errors
    /// The aliases expand to too much.
    pub(super) fn resolve(&mut self, name: &str, at: Span) -> Result<Resolved, Exhausted> {
        let Some(anchor) = self.known.get(name) else {
            let follows = self.lost.contains(name);
            return Ok(Resolved::Unknown(
                (!follows).then(|| self.unknown(name, at)),
            ));
        };
        let size = anchor.size;
        self.spent = self.spent.saturating_add(size.values);
        if self.spent > MOST_VALUES {
            let message = format!("the aliases expand to more than {MOST_VALUES} values");
            let declared = format!("`{name}` is declared here, with {} values", size.values);
            let problem = Diagnostic::error("alias-bomb", message)
                .at(at, "this alias goes over the limit")
                .also(anchor.declared_at, declared)
                .help("aliases of aliases multiply: share smaller parts");
            return Err(problem.into());
        }
        let node = Node {
            alias: Some(at),
            ..anchor.node.clone()
        };
        Ok(Resolved::Known(node, size))
    }

    /// Remembers whatever looks like an anchor in a file that could not be read to its end: that its aliases are not
    /// known is no mistake of theirs.
    pub(super) fn lose(&mut self, text: &str) {
        let names = text.split('&').skip(1).map(|rest| {
            let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}');
            rest.split(ends).next().unwrap_or_default()
        });
        self.lost.extend(names.map(str::to_owned));
    }

    fn unknown(&self, name: &str, at: Span) -> Diagnostic {
        let problem = Diagnostic::error(
            "unknown-anchor",
            format!("no anchor `{name}` is declared before this alias"),
        )
        .at(at, "not declared up to here");
        match super::suggest::nearest(name, self.known.keys().map(String::as_str)) {
            Some(near) => problem
                .also(self.known[near].declared_at, format!("`{near}` is declared here"))
                .help(format!("did you mean `*{near}`?")),
            None => problem.help(format!(
                "declare it above with `<: &{name} ...`, or in a file that is read earlier: monday.yaml first, then \
                 monday*.yaml in lexical order"
            )),
        }
    }
}
