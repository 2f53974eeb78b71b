//! The files as a tree of which every node knows its place.
//!
//! Scalars keep their text: whether `8005` is a number or a text is for the key to say, not for YAML. Shared parts
//! (aliases) are shared in memory, so a tree is never larger than its files.

use std::rc::Rc;

use crate::diagnostic::{Diagnostic, Span};

/// A value and where it is written.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where the value itself is written, its anchor not included.
    pub span: Span,
    /// The alias that brought it here, if it is written elsewhere.
    pub alias: Option<Span>,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing, `~` or `null`.
    Null,
    /// A text, a number, a boolean: what is written there, quotes and escapes resolved.
    Text(Rc<str>),
    /// A list.
    List(Rc<Vec<Node>>),
    /// A map; no key twice.
    Map(Rc<Vec<Entry>>),
    /// Something that a diagnostic was already made for. It stays so that nobody says that it is missing, and is
    /// skipped by everything else.
    Broken,
}

/// A key of a map and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Rc<str>,
    /// Where the key is written.
    pub key_span: Span,
    /// What it has.
    pub value: Node,
    /// The value of the `<<` that brought it here, if it is written elsewhere.
    pub merged: Option<Span>,
    /// Earlier keys of the same name whose value is lost.
    pub repeated: Vec<Span>,
}

/// One step from a node to a node in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// To the value of a key.
    Key(String),
    /// To an item of a list, those that are broken not counted.
    Item(usize),
}

/// A way from the root of a tree to one of its nodes.
pub type Path = Vec<Segment>;

/// A node, and the aliases on the way to it.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The node that was found, or the last one on the way.
    pub node: &'a Node,
    /// The key that it is the value of.
    pub key_span: Option<Span>,
    /// The aliases on the way to it, outermost first.
    pub aliases: Vec<Span>,
    /// Whether the whole way was there.
    pub complete: bool,
}

impl Node {
    /// Nothing, at this place.
    #[must_use]
    pub const fn null(span: Span) -> Self {
        Self {
            span,
            alias: None,
            content: Content::Null,
        }
    }

    /// What this is, in words: `a list`, `a map`, …
    #[must_use]
    pub const fn what(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Text(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
            Content::Broken => "something broken",
        }
    }

    /// The text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a map, none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list, none for anything else.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    /// The entry of a key, broken or not.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key == key)
    }

    /// The value of a key, broken or not.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Whether a diagnostic was already made for this.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        matches!(self.content, Content::Broken)
    }

    /// The place at the end of a way, or as far as that goes: a scalar where a list is expected is its own item.
    #[must_use]
    pub fn find(&self, path: &[Segment]) -> Place<'_> {
        let mut place = Place {
            node: self,
            key_span: None,
            aliases: Vec::new(),
            complete: true,
        };
        place.aliases.extend(self.alias);
        for segment in path {
            let next = match segment {
                Segment::Key(key) => place.node.entry(key).map(|entry| {
                    place.aliases.extend(entry.merged);
                    place.key_span = Some(entry.key_span);
                    &entry.value
                }),
                Segment::Item(index) => {
                    let mut items = place.node.items().iter().filter(|item| !item.is_broken());
                    let item = items.nth(*index);
                    place.key_span = place.key_span.filter(|_| item.is_none());
                    item
                }
            };
            let Some(node) = next else {
                place.complete = false;
                break;
            };
            place.node = node;
            place.aliases.extend(node.alias);
        }
        place
    }

    /// Marks the node at the end of a way as broken; where the way ends earlier, the last node on it.
    pub fn break_at(&mut self, path: &[Segment]) {
        let Some((segment, rest)) = path.split_first() else {
            self.content = Content::Broken;
            return;
        };
        let next = match (segment, &mut self.content) {
            (Segment::Key(key), Content::Map(entries)) => Rc::make_mut(entries)
                .iter_mut()
                .find(|entry| *entry.key == **key)
                .map(|entry| &mut entry.value),
            (Segment::Item(index), Content::List(items)) => Rc::make_mut(items)
                .iter_mut()
                .filter(|item| !item.is_broken())
                .nth(*index),
            _ => None,
        };
        match next {
            Some(node) => node.break_at(rest),
            None => self.content = Content::Broken,
        }
    }
}

impl Place<'_> {
    /// Where to point at: the value, or its key where there is no value to see.
    #[must_use]
    pub fn span(&self) -> Span {
        match self.node.content {
            Content::Null => self.key_span.unwrap_or(self.node.span),
            _ => self.node.span,
        }
    }

    /// Where this is used: the innermost alias on the way, or the value itself.
    #[must_use]
    pub fn used_at(&self) -> Span {
        self.aliases.last().copied().unwrap_or_else(|| self.span())
    }

    /// Points a diagnostic at this place, and at the aliases that lead here.
    #[must_use]
    pub fn point(&self, diagnostic: Diagnostic, label: impl Into<String>) -> Diagnostic {
        self.through(diagnostic.at(self.span(), label))
    }

    /// Points a diagnostic at the aliases that lead here.
    #[must_use]
    pub fn through(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        for &alias in &self.aliases {
            diagnostic = diagnostic.also(alias, "used through this alias");
        }
        diagnostic
    }
}
