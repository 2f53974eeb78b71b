//! From the tree to the types of the model, through serde.
//!
//! serde stops at the first value that does not fit. So that one pass finds all of them, such a value is marked broken in
//! the tree and the rest is typed again.

use std::borrow::Cow;
use std::collections::HashSet;
use std::rc::Rc;

use serde::Deserialize as _;
use serde_yaml::{Mapping, Value};

use super::keys;
use super::model::{Config, no_word};
use super::problems::{Problems, ProjectIndex};
use super::tree::{Content, Entry, Finder, Node, Path, Place, Segment};
use crate::diagnostic::{Diagnostic, Span};

/// The key of the list of projects.
const PROJECTS: &str = "projects";

/// How many values that do not fit are told in one pass. Each costs another pass over the tree.
const MOST_MISFITS: usize = 50;

/// How many values all of these passes may look at together: 40 times those of a project of 2,000 apps, about a second.
const MOST_VALUES_TYPED: u64 = 2_000_000;

/// The typed configuration, and the tree that it was typed from: places of the one are found in the other.
pub(super) struct Typed {
    pub(super) config: Config,
    pub(super) root: Node,
}

/// Types the tree, as much of it as fits.
pub(super) fn read(mut root: Node, problems: &mut Problems) -> Typed {
    let values = root.values();
    let mut misfits = 0;
    loop {
        let mut unknown: Vec<Path> = Vec::new();
        let (path, message) = match attempt(&root, &mut unknown) {
            Ok(config) => {
                warn(&root, &unknown, problems);
                return Typed { config, root };
            }
            Err(misfit) => misfit,
        };
        let place = root.find(&path);
        if let Some(problem) = misfit(&place, &path, &message) {
            problems.push_in(project_of(&root, &path), problem);
        }
        root.break_at(&path);
        misfits += 1;
        if misfits >= MOST_MISFITS || values.saturating_mul(misfits as u64) >= MOST_VALUES_TYPED {
            break;
        }
    }
    let message = format!("there are {misfits} values that do not fit: the rest was not looked at");
    problems.push_last(Diagnostic::error("too-many", message).help("mend these first"));
    Typed {
        config: Config::default(),
        root,
    }
}

/// The project that a path leads into.
fn project_of(root: &Node, path: &[Segment]) -> Option<ProjectIndex> {
    match path {
        [Segment::Key(key), Segment::Item(item), _, ..] if key == PROJECTS => {
            indices(root.get(PROJECTS)?).nth(*item)
        }
        // A single project that is no list.
        [Segment::Key(key), Segment::Key(_), ..] if key == PROJECTS => Some(0),
        _ => None,
    }
}

/// Which of all items of a list those are that are not broken.
fn indices(list: &Node) -> impl Iterator<Item = ProjectIndex> {
    let items = list.items().iter().enumerate();
    items
        .filter(|(_, item)| !item.is_broken())
        .map(|(index, _)| index)
}

/// The places of all projects that are not broken, each with its index among all of them.
pub(super) fn projects<'a>(root: &Place<'a>) -> Vec<(ProjectIndex, Place<'a>)> {
    let projects = root.key(PROJECTS);
    let places = projects.items();
    if projects.node.items().is_empty() {
        return places.into_iter().enumerate().collect();
    }
    indices(projects.node).zip(places).collect()
}

/// Types the whole tree once; on failure the path to what does not fit, and why.
fn attempt(root: &Node, unknown: &mut Vec<Path>) -> Result<Config, (Path, String)> {
    let mut track = serde_path_to_error::Track::new();
    let value = value(root);
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let mut note = |path: serde_ignored::Path| unknown.push(ignored_path(&path));
    let result = Config::deserialize(serde_ignored::Deserializer::new(tracked, &mut note));
    result.map_err(|error| (error_path(&track.path()), error.to_string()))
}

/// The tree as serde knows it: every scalar is its text.
fn value(node: &Node) -> Value {
    match &node.content {
        Content::Null | Content::Broken => Value::Null,
        Content::Text(text) => Value::String(text.to_string()),
        Content::List(items) => {
            let mut sequence = Vec::with_capacity(items.len());
            sequence.extend(items.iter().filter(|item| !item.is_broken()).map(value));
            Value::Sequence(sequence)
        }
        Content::Map(entries) => {
            let mut mapping = Mapping::with_capacity(entries.len());
            for entry in entries.iter().filter(|entry| !entry.value.is_broken()) {
                mapping.insert(Value::String(entry.key.to_string()), value(&entry.value));
            }
            Value::Mapping(mapping)
        }
    }
}

fn error_path(path: &serde_path_to_error::Path) -> Path {
    use serde_path_to_error::Segment as Theirs;
    let segment = |segment: &Theirs| match segment {
        Theirs::Seq { index } => Some(Segment::Item(*index)),
        Theirs::Map { key } => Some(Segment::Key(key.clone())),
        Theirs::Enum { .. } | Theirs::Unknown => None,
    };
    path.iter().filter_map(segment).collect()
}

fn ignored_path(path: &serde_ignored::Path) -> Path {
    use serde_ignored::Path as Theirs;
    match path {
        Theirs::Root => Vec::new(),
        Theirs::Seq { parent, index } => {
            let mut path = ignored_path(parent);
            path.push(Segment::Item(*index));
            path
        }
        Theirs::Map { parent, key } => {
            let mut path = ignored_path(parent);
            path.push(Segment::Key(key.clone()));
            path
        }
        Theirs::Some { parent }
        | Theirs::NewtypeStruct { parent }
        | Theirs::NewtypeVariant { parent } => ignored_path(parent),
    }
}

/// What to say of a value that does not fit; nothing for a key that is the user's own.
fn misfit(place: &Place, path: &Path, message: &str) -> Option<Diagnostic> {
    let key = path.iter().rev().find_map(|segment| match segment {
        Segment::Key(key) => Some(key.as_str()),
        Segment::Item(_) => None,
    });
    // Where a key that nobody knows is not to be ignored.
    if let Some((unknown, _)) = one_of(message, "unknown field `")
        && key == Some(unknown)
    {
        return keys::Advisor::default().wrong(place, path);
    }
    let about = key.map(|key| format!("`{key}`: ")).unwrap_or_default();
    let message = in_our_words(message);
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    let (code, what, label, advice) = match first
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        Some((_, expected)) => {
            let found = place.node.what();
            (
                "wrong-kind",
                format!("{about}here is {found}, but expected is {expected}"),
                format!("this is {found}"),
                advice(&place.node.content, expected),
            )
        }
        None => ("bad-value", format!("{about}{first}"), String::new(), None),
    };
    let mut diagnostic = place.point(Diagnostic::error(code, what), label);
    for line in lines.chain(advice) {
        diagnostic = diagnostic.help(line);
    }
    Some(diagnostic)
}

/// How messages of values that are not ours alone go on that say what to do.
const ADVICE: [&str; 3] = [": write ", ": use ", ": leave "];

/// A message with what to do on a line of its own.
fn in_our_words(message: &str) -> Cow<'_, str> {
    for beginning in ["unknown field `", "unknown variant `"] {
        if let Some((word, known)) = one_of(message, beginning) {
            return no_word(word, "known here", &known).into();
        }
    }
    let place = ADVICE.iter().find_map(|advice| message.find(advice));
    match place {
        Some(at) if !message.contains('\n') => {
            format!("{}\n{}", &message[..at], &message[at + 2..]).into()
        }
        _ => message.into(),
    }
}

/// The word of a message of serde that is none of those that are known, and these.
fn one_of<'m>(message: &'m str, beginning: &str) -> Option<(&'m str, Vec<&'m str>)> {
    let rest = message.strip_prefix(beginning)?;
    let (word, known) = rest.rsplit_once("`, expected ")?;
    Some((word, known.split('`').skip(1).step_by(2).collect()))
}

/// What to do about a value of a kind that is not expected.
fn advice(found: &Content, expected: &str) -> Option<&'static str> {
    let wants = |kind: &str| expected.contains(kind);
    Some(match found {
        Content::Map(_) if !wants("a map") => {
            "a text with `: ` in it needs quotes: `'...: ...'`; else write a single value"
        }
        Content::List(_) if !wants("list") && wants("a map") => {
            "write the keys without a `-` before them, and without `[` and `]`"
        }
        Content::List(_) if !wants("list") => "write a single value, without `-`, `[` and `]`",
        Content::Text(_) if wants("a map") => {
            "write its keys on the lines below, indented, or as `{key: value}`"
        }
        Content::Null => "write a value, or remove the key",
        _ => return None,
    })
}

/// Warns of unknown keys, and of known ones of which an earlier value is lost.
fn warn(root: &Node, unknown: &[Path], problems: &mut Problems) {
    let mut ignored = HashSet::new();
    let mut advisor = keys::Advisor::default();
    let mut finder = Finder::default();
    let indices: Vec<ProjectIndex> = root
        .get(PROJECTS)
        .map_or_else(Vec::new, |list| indices(list).collect());
    for path in unknown {
        let place = finder.find(root, path);
        let is_new = place.key_span.is_none_or(|span| ignored.insert(span));
        if problems.is_full_of_warnings() {
            // Through how many ways an alias leads there makes no difference to whoever writes it.
            let counts = is_new && keys::known_to_nobody(path).is_some();
            problems.leave_out(usize::from(counts));
        } else if let Some(warning) = advisor.unknown(&place, path) {
            let project = match path.as_slice() {
                [Segment::Key(key), Segment::Item(item), _, ..] if key == PROJECTS => {
                    indices.get(*item).copied()
                }
                _ => project_of(root, path),
            };
            problems.push_in(project, warning);
        }
    }
    for (project, node) in top_level(root) {
        warn_of_repeated(&node, project, &ignored, problems);
    }
}

/// The tree cut into pieces that belong to one project each, or to none.
fn top_level(root: &Node) -> Vec<(Option<ProjectIndex>, Node)> {
    let mut pieces = Vec::new();
    let mut rest = Vec::new();
    for entry in root.entries() {
        if &*entry.key != PROJECTS {
            rest.push(entry.clone());
            continue;
        }
        rest.push(Entry {
            value: Node::null(entry.value.span),
            ..entry.clone()
        });
        let projects = entry.value.items().iter().enumerate();
        pieces.extend(projects.map(|(index, project)| (Some(index), project.clone())));
        if !entry.value.entries().is_empty() {
            pieces.push((Some(0), entry.value.clone()));
        }
    }
    let rest = Node {
        content: Content::Map(Rc::new(rest)),
        ..root.clone()
    };
    pieces.push((None, rest));
    pieces
}

/// How many of the places where a key is repeated are shown, besides the first and the last.
const MOST_REPEATED: usize = 5;

fn warn_of_repeated(
    node: &Node,
    project: Option<ProjectIndex>,
    ignored: &HashSet<Span>,
    problems: &mut Problems,
) {
    for item in node.items() {
        warn_of_repeated(item, project, ignored, problems);
    }
    for entry in node.entries() {
        if ignored.contains(&entry.key_span) {
            continue;
        }
        if let Some((&first, others)) = entry.repeated.split_first() {
            let times = match others.len() {
                0 => "twice".to_owned(),
                more => format!("{} times", more + 2),
            };
            let message = format!("`{}` is given {times}: the last one counts", entry.key);
            let mut warning =
                Diagnostic::warning("repeated-key", message).at(entry.key_span, "this one counts");
            warning = warning.also(first, "this one is ignored");
            for &other in others.iter().take(MOST_REPEATED) {
                warning = warning.also(other, "and this one");
            }
            problems.push_in(project, warning.help("remove one of them"));
        }
        warn_of_repeated(&entry.value, project, ignored, problems);
    }
}
