//! Anchors by name, over all files of a stream, and the budget of what aliases may expand to.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::events::name_at_start;
use super::tree::{Node, text_values};
use crate::diagnostic::{Diagnostic, SourceFile, Span};

/// How many values all files together may expand to. A project of 2,000 apps has 50,000.
pub(super) const MOST_VALUES: u64 = 500_000;

/// How deep values may be nested, aliases followed. Real files need less than ten levels.
pub(super) const DEEPEST: u32 = 64;

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
            values: text_values(text),
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
    /// Those of the file that is being read.
    of_this_file: HashMap<String, Anchor>,
    /// Names that a file declares, or seems to, which could not be read to its end.
    lost: HashSet<String>,
    /// Whether there are files that could not be read at all.
    others_lost: bool,
    /// Names that a file declares, or seems to, which is left out, and that file.
    ignored: HashMap<String, PathBuf>,
    spent: u64,
    spent_on_this_file: u64,
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
        self.of_this_file.insert(name, anchor);
    }

    /// The file was read: its anchors serve the files that follow.
    pub(super) fn commit(&mut self) {
        self.known.extend(self.of_this_file.drain());
        self.spent += std::mem::take(&mut self.spent_on_this_file);
    }

    /// The file is read once more.
    pub(super) fn roll_back(&mut self) {
        self.of_this_file.clear();
        self.spent_on_this_file = 0;
    }

    /// Counts values; true while there are not too many.
    fn affords(&mut self, values: u64) -> bool {
        self.spent_on_this_file = self.spent_on_this_file.saturating_add(values);
        self.spent.saturating_add(self.spent_on_this_file) <= MOST_VALUES
    }

    fn get(&self, name: &str) -> Option<&Anchor> {
        self.of_this_file.get(name).or_else(|| self.known.get(name))
    }

    /// Takes a value that is written in a file from the budget.
    pub(super) fn spend(&mut self, size: Size, at: Span) -> Result<(), Exhausted> {
        if self.affords(size.values) {
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
        let Some(anchor) = self.get(name) else {
            let follows = self.others_lost || self.lost.contains(name);
            return Ok(Resolved::Unknown(
                (!follows).then(|| self.unknown(name, at)),
            ));
        };
        let (size, declared_at) = (anchor.size, anchor.declared_at);
        let node = Node {
            alias: Some(at),
            ..anchor.node.clone()
        };
        if !self.affords(size.values) {
            let message = format!("the aliases expand to more than {MOST_VALUES} values");
            let declared = format!("`{name}` is declared here, with {} values", size.values);
            let problem = Diagnostic::error("alias-bomb", message)
                .at(at, "this alias goes over the limit")
                .also(declared_at, declared)
                .help("aliases of aliases multiply: share smaller parts");
            return Err(problem.into());
        }
        Ok(Resolved::Known(node, size))
    }

    /// Remembers whatever looks like an anchor in a file that could not be read to its end: that its aliases are not
    /// known is no mistake of theirs.
    pub(super) fn lose(&mut self, text: &str) {
        let names = text
            .split('&')
            .skip(1)
            .map(|rest| name_at_start(rest).to_owned());
        self.lost.extend(names);
    }

    /// Remembers that there are files of which nobody knows what they declare.
    pub(super) fn lose_others(&mut self) {
        self.others_lost = true;
    }

    /// Remembers whatever looks like an anchor in a file that is left out.
    pub(super) fn ignore(&mut self, file: &SourceFile) {
        let names = file.text.split('&').skip(1).map(name_at_start);
        let pairs = names.map(|name| (name.to_owned(), file.path.clone()));
        self.ignored.extend(pairs);
    }

    fn unknown(&self, name: &str, at: Span) -> Diagnostic {
        let problem = Diagnostic::error(
            "unknown-anchor",
            format!("no anchor `{name}` is declared before this alias"),
        )
        .at(at, "not declared up to here");
        if let Some(file) = self.ignored.get(name) {
            let file = file.display();
            return problem.help(format!(
                "{file} declares it, which is ignored here: move what declares `{name}` into one of the files beside it"
            ));
        }
        let known = self.of_this_file.keys().chain(self.known.keys());
        let near = super::suggest::nearest(name, known.map(String::as_str));
        if let Some((near, anchor)) = near.and_then(|near| Some((near, self.get(near)?))) {
            return problem
                .also(anchor.declared_at, format!("`{near}` is declared here"))
                .help(format!("did you mean `*{near}`?"));
        }
        if name.contains(['*', '/', '.', '?']) {
            return problem.help("if this is no alias but a pattern: put it in quotes");
        }
        problem.help(format!(
            "declare it above with `<: &{name} ...`, or in a file that is read earlier: monday.yaml first, then \
             monday*.yaml in lexical order"
        ))
    }
}
