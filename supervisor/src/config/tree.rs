//! The files as a tree of which every node knows its place.
//!
//! Scalars keep their text: whether `8005` is a number or a text is for the key to say, not for YAML. Shared parts
//! (aliases) are shared in memory, so a tree is never larger than its files.

use std::collections::HashMap;
use std::rc::Rc;

use crate::diagnostic::{Diagnostic, Span};

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where the value itself is written, its anchor not included.
    pub(super) span: Span,
    /// The alias that brought it here, if it is written elsewhere.
    pub(super) alias: Option<Span>,
    /// What it is.
    pub(super) content: Content,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Content {
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
pub(super) struct Entry {
    /// The key.
    pub(super) key: Rc<str>,
    /// Where the key is written.
    pub(super) key_span: Span,
    /// What it has.
    pub(super) value: Node,
    /// The value of the `<<` that brought it here, if it is written elsewhere.
    pub(super) merged: Option<Span>,
    /// Earlier keys of the same name whose value is lost.
    pub(super) repeated: Vec<Span>,
}

/// One step from a node to a node in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// To the value of a key.
    Key(String),
    /// To an item of a list, those that are broken not counted.
    Item(usize),
}

/// A way from the root of a tree to one of its nodes.
pub(super) type Path = Vec<Segment>;

/// A text counts as one value more for this many bytes, so that a few huge texts do not multiply without bound either.
const BYTES_PER_VALUE: usize = 64;

/// How many values a text counts for.
pub(super) const fn text_values(text: &str) -> u64 {
    1 + (text.len() / BYTES_PER_VALUE) as u64
}

/// How many aliases a place remembers: a person follows no longer way than that.
const MOST_ALIASES: usize = 4;

/// The aliases on the way to a node, outermost first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Aliases {
    first: [Option<Span>; MOST_ALIASES],
}

impl Aliases {
    fn push(&mut self, alias: Option<Span>) {
        if alias.is_some()
            && let Some(free) = self.first.iter_mut().find(|place| place.is_none())
        {
            *free = alias;
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Span> + '_ {
        self.first.iter().copied().flatten()
    }
}

/// A node, and the aliases on the way to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The node that was found, or the last one on the way.
    pub(super) node: &'a Node,
    /// The key that it is the value of.
    pub(super) key_span: Option<Span>,
    /// The aliases on the way to it.
    pub(super) aliases: Aliases,
    /// Whether the whole way was there.
    pub(super) complete: bool,
    /// Whether the key is meant, and not its value.
    pub(super) on_key: bool,
}

impl Node {
    /// Nothing, at this place.
    #[must_use]
    pub(super) const fn null(span: Span) -> Self {
        Self {
            span,
            alias: None,
            content: Content::Null,
        }
    }

    /// What this is, in words: `a list`, `a map`, …
    #[must_use]
    pub(super) const fn what(&self) -> &'static str {
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
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a map, none for anything else.
    #[must_use]
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list, none for anything else.
    #[must_use]
    pub(super) fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    /// The entry of a key, broken or not.
    #[must_use]
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key == key)
    }

    /// The value of a key, broken or not.
    #[must_use]
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Whether a diagnostic was already made for this.
    #[must_use]
    pub(super) const fn is_broken(&self) -> bool {
        matches!(self.content, Content::Broken)
    }

    /// How many values there are in it, itself included and aliases followed.
    #[must_use]
    pub(super) fn values(&self) -> u64 {
        let inner = match &self.content {
            Content::Null | Content::Broken => 0,
            Content::Text(text) => text_values(text) - 1,
            Content::List(items) => items.iter().map(Self::values).sum(),
            Content::Map(entries) => entries
                .iter()
                .map(|entry| text_values(&entry.key) + entry.value.values())
                .sum(),
        };
        1 + inner
    }

    /// The place of this node itself, as the root of a way.
    #[must_use]
    pub(super) fn place(&self) -> Place<'_> {
        let mut aliases = Aliases::default();
        aliases.push(self.alias);
        Place {
            node: self,
            key_span: None,
            aliases,
            complete: true,
            on_key: false,
        }
    }

    /// The place at the end of a way, or as far as that goes.
    #[must_use]
    pub(super) fn find(&self, path: &[Segment]) -> Place<'_> {
        path.iter()
            .fold(self.place(), |place, segment| match segment {
                Segment::Key(key) => place.key(key),
                Segment::Item(index) => place.item(*index),
            })
    }

    /// Marks the node at the end of a way as broken; where the way ends earlier, the last node on it.
    pub(super) fn break_at(&mut self, path: &[Segment]) {
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

/// Finds many nodes of one tree: what [`Node::find`] does, without going through long lists and maps for each.
#[derive(Default)]
pub(super) struct Finder<'a> {
    /// The items of a list that are not broken.
    items: HashMap<*const Vec<Node>, Vec<&'a Node>>,
    /// The entries of a map by their keys.
    entries: HashMap<*const Vec<Entry>, HashMap<&'a str, &'a Entry>>,
}

impl<'a> Finder<'a> {
    /// The place at the end of a way, or as far as that goes.
    pub(super) fn find(&mut self, root: &'a Node, path: &[Segment]) -> Place<'a> {
        path.iter().fold(root.place(), |place, segment| {
            if !place.complete {
                return place;
            }
            match (segment, &place.node.content) {
                (Segment::Item(index), Content::List(items)) => {
                    let sound = self.items.entry(Rc::as_ptr(items)).or_insert_with(|| {
                        let sound = items.iter().filter(|item| !item.is_broken());
                        sound.collect()
                    });
                    match sound.get(*index) {
                        Some(item) => place.to(item, None),
                        None => place.incomplete(),
                    }
                }
                (Segment::Item(index), _) => place.item(*index),
                (Segment::Key(key), Content::Map(entries)) => {
                    let by_key = self.entries.entry(Rc::as_ptr(entries)).or_insert_with(|| {
                        let pairs = entries.iter().map(|entry| (&*entry.key, entry));
                        pairs.collect()
                    });
                    place.value_of(by_key.get(key.as_str()).copied())
                }
                (Segment::Key(key), _) => place.key(key),
            }
        })
    }
}

impl<'a> Place<'a> {
    /// The value of a key; where there is none, this place, and not complete.
    #[must_use]
    pub(super) fn key(&self, key: &str) -> Self {
        self.value_of(self.node.entry(key).filter(|_| self.complete))
    }

    fn value_of(&self, entry: Option<&'a Entry>) -> Self {
        match entry {
            Some(entry) => {
                let mut next = self.to(&entry.value, entry.merged);
                next.key_span = Some(entry.key_span);
                next
            }
            None => self.incomplete(),
        }
    }

    /// An item of a list, those that are broken not counted. A single value where a list is expected is its own item.
    #[must_use]
    pub(super) fn item(&self, index: usize) -> Self {
        match &self.node.content {
            Content::List(items) if self.complete => {
                let item = items.iter().filter(|item| !item.is_broken()).nth(index);
                item.map_or_else(|| self.incomplete(), |item| self.to(item, None))
            }
            Content::Text(_) | Content::Map(_) if index == 0 => *self,
            _ => self.incomplete(),
        }
    }

    /// All items of a list, those that are broken left out: as [`Place::item`] gives them one by one.
    #[must_use]
    pub(super) fn items(&self) -> Vec<Self> {
        match &self.node.content {
            Content::List(items) if self.complete => {
                let items = items.iter().filter(|item| !item.is_broken());
                items.map(|item| self.to(item, None)).collect()
            }
            Content::Text(_) | Content::Map(_) if self.complete => vec![*self],
            _ => Vec::new(),
        }
    }

    /// The values of all keys of a map, by their keys: as [`Place::key`] gives them one by one.
    #[must_use]
    pub(super) fn keys(&self) -> Vec<(&'a str, Self)> {
        let entries = self.node.entries().iter().filter(|_| self.complete);
        entries
            .map(|entry| (&*entry.key, self.value_of(Some(entry))))
            .collect()
    }

    /// The places of so many items: what was typed has its places here one by one, and none of it is lost where they are
    /// not to be had.
    pub(super) fn items_of<T>(&self, typed: &[T]) -> Vec<Self> {
        let mut places = self.items();
        places.resize(typed.len(), *self);
        places
    }

    /// The value of the first of these keys that is there; this place itself where it is no map, since a section may be
    /// written as its commands alone.
    pub(super) fn key_or_self(&self, keys: &[&str]) -> Self {
        let found = keys
            .iter()
            .map(|key| self.key(key))
            .find(|place| place.complete);
        found.unwrap_or(*self)
    }

    fn to(&self, node: &'a Node, merged: Option<Span>) -> Self {
        let mut aliases = self.aliases;
        aliases.push(merged);
        aliases.push(node.alias);
        Self {
            node,
            key_span: None,
            aliases,
            complete: true,
            on_key: false,
        }
    }

    fn incomplete(&self) -> Self {
        Self {
            complete: false,
            ..*self
        }
    }

    /// Where to point at: the value, or its key where there is no value to see.
    #[must_use]
    pub(super) fn span(&self) -> Span {
        match (&self.node.content, self.key_span) {
            (Content::Null, Some(key)) => key,
            (_, Some(key)) if self.on_key => key,
            _ => self.node.span,
        }
    }

    /// Points a diagnostic at this place, and at the aliases that lead here.
    #[must_use]
    pub(super) fn point(&self, diagnostic: Diagnostic, label: impl Into<String>) -> Diagnostic {
        self.through(diagnostic.at(self.span(), label))
    }

    /// Points a diagnostic at the aliases that lead here.
    #[must_use]
    pub(super) fn through(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        for alias in self.aliases.iter() {
            diagnostic = diagnostic.also(alias, "used through this alias");
        }
        diagnostic
    }
}
