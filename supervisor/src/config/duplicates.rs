//! Keys that occur twice, within a file or over several.
//!
//! Top-level lists are joined, sections are merged, of anything else the last one wins. YAML forbids all of that; files
//! of existing users rely on it.

use std::collections::HashMap;
use std::rc::Rc;

use super::tree::{Content, Entry, Node};

/// Lists of the top level that go on where they are repeated.
const JOINED: [&str; 3] = ["projects", "local", "forward"];

/// Sections of which the fields are merged where they are repeated.
const MERGED: [&str; 4] = ["watch", "build", "run", "setup"];

/// Where a map stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// At the top of the files.
    Top,
    /// Anywhere in them.
    Inner,
}

/// Up to so many keys are compared one by one, which for a few is faster than a table.
const FEW: usize = 16;

/// Each key once.
pub(super) fn settle(entries: Vec<Entry>, level: Level) -> Vec<Entry> {
    if entries.len() <= FEW {
        let is_repeated = |(at, entry): (usize, &Entry)| {
            entries[..at].iter().any(|earlier| earlier.key == entry.key)
        };
        if !entries.iter().enumerate().any(is_repeated) {
            return entries;
        }
    }
    let mut settled: Vec<Entry> = Vec::with_capacity(entries.len());
    let mut places: HashMap<Rc<str>, usize> = HashMap::with_capacity(entries.len());
    for entry in entries {
        if let Some(&at) = places.get(&entry.key) {
            combine(&mut settled[at], entry, level);
        } else {
            places.insert(Rc::clone(&entry.key), settled.len());
            settled.push(entry);
        }
    }
    settled
}

/// Takes a repeated key into the one before it.
fn combine(earlier: &mut Entry, later: Entry, level: Level) {
    let key = &*later.key;
    if level == Level::Top && JOINED.contains(&key) {
        join(&mut earlier.value, &later.value);
        return;
    }
    let is_section = MERGED.contains(&key);
    match (&mut earlier.value.content, &later.value.content) {
        (Content::Map(ours), Content::Map(theirs)) if is_section => {
            merge(Rc::make_mut(ours), theirs);
        }
        _ => replace(earlier, later),
    }
}

/// One list out of two. What is no list is an item of its own, and nothing is no item.
fn join(earlier: &mut Node, later: &Node) {
    let items = |node: &Node| match &node.content {
        Content::List(items) => items.iter().map(|item| through(item, node)).collect(),
        Content::Null => Vec::new(),
        _ => vec![node.clone()],
    };
    // A list that was joined before is our own, and grows.
    if earlier.alias.is_some() || !matches!(earlier.content, Content::List(_)) {
        earlier.content = Content::List(Rc::new(items(earlier)));
        earlier.alias = None;
    }
    if let Content::List(ours) = &mut earlier.content {
        Rc::make_mut(ours).extend(items(later));
    }
}

/// An item that was reached through its list's alias, and is now on its own.
fn through(item: &Node, list: &Node) -> Node {
    Node {
        alias: item.alias.or(list.alias),
        ..item.clone()
    }
}

/// The fields of a repeated section: maps in it are merged as well, anything else is replaced.
fn merge(ours: &mut Vec<Entry>, theirs: &[Entry]) {
    let mut places: HashMap<Rc<str>, usize> = ours
        .iter()
        .enumerate()
        .map(|(at, entry)| (Rc::clone(&entry.key), at))
        .collect();
    for entry in theirs {
        let Some(&at) = places.get(&entry.key) else {
            places.insert(Rc::clone(&entry.key), ours.len());
            ours.push(entry.clone());
            continue;
        };
        match (&mut ours[at].value.content, &entry.value.content) {
            (Content::Map(inner), Content::Map(more)) => merge(Rc::make_mut(inner), more),
            _ => replace(&mut ours[at], entry.clone()),
        }
    }
}

/// The later one wins, and remembers where the earlier one was.
fn replace(earlier: &mut Entry, mut later: Entry) {
    let mut repeated = std::mem::take(&mut earlier.repeated);
    repeated.push(earlier.key_span);
    repeated.append(&mut later.repeated);
    *earlier = Entry { repeated, ..later };
}
