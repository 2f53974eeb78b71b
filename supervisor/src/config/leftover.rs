//! The `monday.yaml` that the Go program left behind.
//!
//! Its releases up to 2.5 wrote the split files, one after the other, into `monday.yaml`. Read beside the split files,
//! that merge declares everything twice; it is left out.

use std::collections::BTreeSet;

use super::anchors::Anchors;
use super::compose::{self, Composed};
use super::problems::Problems;
use super::source::Read;
use super::tree::Entry;
use crate::diagnostic::{Diagnostic, Sources, Span};

/// What to say of a `monday.yaml` beside split files that is no YAML: a merge of files that changed since.
pub(super) const HINT: &str = "this is probably the merge that earlier releases of Monday wrote out of the split files beside it: then delete it";

/// The files without those that are only a merge of the others. What these declare is told to the anchors.
pub(super) fn without(
    files: &[Read],
    sources: &Sources,
    anchors: &mut Anchors,
    problems: &mut Problems,
) -> Vec<Read> {
    let mut kept = Vec::with_capacity(files.len());
    for file in files {
        let folder = sources.file(file.id).path.parent();
        let beside =
            |other: &&Read| other.id != file.id && sources.file(other.id).path.parent() == folder;
        let split: Vec<&Read> = files.iter().filter(beside).collect();
        if file.beside_split_files && is_merge(file, &split, sources) {
            anchors.ignore(sources.file(file.id));
            problems.push(ignored(file, &split, sources));
        } else {
            kept.push(file.clone());
        }
    }
    kept
}

fn is_merge(main: &Read, split: &[&Read], sources: &Sources) -> bool {
    same_bytes(main, split, sources) || {
        let merged = projects(&[main], sources);
        !merged.is_empty() && merged.is_subset(&projects(split, sources))
    }
}

/// Whether the main file is the split files one after the other. Such a file may even be no YAML any more: without a
/// final line end, the last line of one file and the first of the next became one.
fn same_bytes(main: &Read, split: &[&Read], sources: &Sources) -> bool {
    let visible = |file: &Read| {
        let text = &sources.file(file.id).text;
        text.bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect::<Vec<u8>>()
    };
    let merged: Vec<u8> = split.iter().flat_map(|file| visible(file)).collect();
    !merged.is_empty() && merged == visible(main)
}

/// The names of the projects that these files declare on their own.
fn projects(files: &[&Read], sources: &Sources) -> BTreeSet<String> {
    let mut anchors = Anchors::default();
    let mut names = BTreeSet::new();
    for file in files {
        // What is wrong with a file is told when it is read in earnest.
        let composed = compose::file(
            file.id,
            None,
            sources,
            &mut anchors,
            &mut Problems::default(),
        );
        if let Ok(Composed::Entries(entries)) = composed {
            names.extend(entries.iter().flat_map(names_in));
        }
    }
    names
}

fn names_in(entry: &Entry) -> impl Iterator<Item = String> {
    let is_projects = &*entry.key == "projects";
    // A single project may stand in place of the list.
    let projects = entry.value.place().items().into_iter();
    projects
        .filter(move |_| is_projects)
        .filter_map(|project| project.node.get("name")?.text().map(str::to_owned))
}

fn ignored(file: &Read, split: &[&Read], sources: &Sources) -> Diagnostic {
    let path = |file: &Read| sources.file(file.id).path.display().to_string();
    let others: Vec<String> = split.iter().map(|file| path(file)).collect();
    let start = Span {
        file: file.id,
        start: 0,
        end: 0,
    };
    Diagnostic::warning(
        "leftover-merge",
        format!(
            "{} is ignored: all of its projects are declared in the split files beside it",
            path(file)
        ),
    )
    .at(
        start,
        "looks like the merge that earlier releases of Monday wrote",
    )
    .help(format!("these are read: {}", others.join(", ")))
    .help("delete it, or keep in it only what the others do not declare")
}
