//! Several files as one tree.

use std::rc::Rc;

use super::anchors::{Anchors, Exhausted};
use super::compose::{self, Composed};
use super::duplicates::{self, Level};
use super::leftover;
use super::problems::Problems;
use super::source::{Read, Reading};
use super::tree::{Content, Entry, Node};
use crate::diagnostic::source::SourceFile;
use crate::diagnostic::{Diagnostic, Sources, Span};

/// The tree of all files that could be read; nothing where there is no use in looking at it. What is wrong was noted.
pub(super) fn compose(read: &Reading, sources: &Sources, problems: &mut Problems) -> Option<Node> {
    let mut anchors = Anchors::default();
    if read.incomplete {
        anchors.lose_others();
    }
    let files = leftover::without(&read.files, sources, &mut anchors, problems);
    let mut entries: Vec<Entry> = Vec::new();
    for file in &files {
        let hint = file.beside_split_files.then_some(leftover::HINT);
        match compose::file(file.id, hint, sources, &mut anchors, problems) {
            Ok(Composed::Entries(more)) => entries.extend(more),
            Ok(Composed::Empty | Composed::Broken) => {}
            Err(Exhausted(problem)) => {
                problems.push_last(*problem);
                return None;
            }
        }
    }
    let start = Span {
        file: files.first()?.id,
        start: 0,
        end: 0,
    };
    if entries.is_empty() && !problems.has_errors() {
        problems.push(empty(start, &files, sources));
    }
    Some(Node {
        content: Content::Map(Rc::new(duplicates::settle(entries, Level::Top))),
        ..Node::null(start)
    })
}

fn empty(start: Span, files: &[Read], sources: &Sources) -> Diagnostic {
    let path = |source: &SourceFile| source.path.display().to_string();
    let names: Vec<String> = files
        .iter()
        .map(|file| path(sources.file(file.id)))
        .collect();
    Diagnostic::error("empty", format!("the configuration is empty: {}", names.join(", ")))
        .at(start, "nothing is declared here")
        .help("`monday-supervisor init` writes a commented monday.yaml to start from, in a folder that has none")
}
