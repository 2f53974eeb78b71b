//! The merge key `<<`, at every level: explicit keys win, earlier items of a list win.

use std::collections::HashSet;
use std::rc::Rc;

use super::problems::Problems;
use super::tree::{Content, Entry, Node};
use crate::diagnostic::{Diagnostic, Span};

/// The merge key. It is one only where it is written without quotes.
pub(super) const MERGE_KEY: &str = "<<";

/// Adds to a map what its `<<` bring, in the order of the file.
pub(super) fn apply(entries: &mut Vec<Entry>, merges: Vec<(Span, Node)>, problems: &mut Problems) {
    if merges.is_empty() {
        return;
    }
    let mut known: HashSet<Rc<str>> = entries.iter().map(|entry| Rc::clone(&entry.key)).collect();
    for (key_span, node) in merges {
        match &node.content {
            Content::Map(theirs) => add(entries, &mut known, theirs, node.alias),
            Content::List(items) => {
                for item in items.iter() {
                    match &item.content {
                        Content::Map(theirs) => {
                            add(entries, &mut known, theirs, item.alias.or(node.alias));
                        }
                        Content::Broken => {}
                        _ => problems.push(no_map(key_span, item, item.alias.or(node.alias))),
                    }
                }
            }
            Content::Broken => {}
            Content::Null | Content::Text(_) => problems.push(no_map(key_span, &node, node.alias)),
        }
    }
}

fn add(
    entries: &mut Vec<Entry>,
    known: &mut HashSet<Rc<str>>,
    merged: &[Entry],
    alias: Option<Span>,
) {
    for entry in merged {
        if known.insert(Rc::clone(&entry.key)) {
            entries.push(Entry {
                merged: alias.or(entry.merged),
                ..entry.clone()
            });
        }
    }
}

fn no_map(key_span: Span, node: &Node, alias: Option<Span>) -> Diagnostic {
    let what = node.what();
    let message = format!("`<<` merges maps, but here is {what}");
    let problem = Diagnostic::error("bad-merge", message);
    let problem = match (&node.content, alias) {
        (Content::Null, None) => problem.at(key_span, "nothing to merge"),
        (_, None) => problem.at(node.span, format!("this is {what}")),
        (_, Some(alias)) => problem
            .at(alias, format!("this stands for {what}"))
            .also(node.span, "which is written here"),
    };
    problem.help("write `<<: *anchor` with the anchor of a map, or `<<: [*one, *two]`")
}
