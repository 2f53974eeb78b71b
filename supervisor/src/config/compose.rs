//! From the events of one file to its part of the tree.
//!
//! No recursion: how deep a file nests its values is limited by [`anchors::DEEPEST`], not by a stack.

use std::collections::HashSet;
use std::rc::Rc;

use super::anchors::{self, Anchors, Exhausted, Resolved, Size};
use super::duplicates::{self, Level};
use super::events::{Event, Events, Properties, SyntaxError};
use super::lenient::Lenient;
use super::merge;
use super::problems::Problems;
use super::syntax;
use super::tree::{Content, Entry, Node};
use crate::diagnostic::{Diagnostic, FileId, Sources, Span};

/// The key that is dropped at the top level: it may be repeated, and its value is there for its anchors only.
const DROPPED_KEY: &str = "<";

/// Tags that change nothing, since keys say what their values are.
const HARMLESS_TAGS: [&str; 8] = [
    "!!str",
    "!!int",
    "!!float",
    "!!bool",
    "!!null",
    "!!map",
    "!!seq",
    "!!timestamp",
];

/// What a file holds.
pub(super) enum Composed {
    /// The entries of its map, `<<` merged, `<` dropped, other keys as often as they are written.
    Entries(Vec<Entry>),
    /// Nothing but comments.
    Empty,
    /// Something that a problem was noted for.
    Broken,
}

/// Reads one file. Anchors of earlier files serve its aliases, and its own serve later files. Where it is no YAML, the
/// hint is given as well.
///
/// # Errors
/// The limits of all files together are reached.
pub(super) fn file(
    id: FileId,
    hint: Option<&str>,
    sources: &Sources,
    anchors: &mut Anchors,
    problems: &mut Problems,
) -> Result<Composed, Exhausted> {
    let source = sources.file(id);
    let mut lenient = Lenient::new(source);
    loop {
        let mut found = Problems::default();
        let document = document(id, &lenient, anchors, &mut found);
        let document = match document {
            Ok(document) => document,
            Err(exhausted) => {
                problems.take(found);
                return Err(exhausted);
            }
        };
        let again = match &document {
            Ok((_, texts)) => lenient.spare(texts),
            Err(error) => lenient.repair(&error.info, error.byte),
        };
        if again {
            // Read it as if for the first time.
            anchors.roll_back();
            continue;
        }
        problems.take(found);
        anchors.commit();
        return Ok(match document {
            Ok((composed, _)) => composed,
            Err(error) => {
                anchors.lose(&source.text);
                let problem = syntax::explain(&error, lenient.open_quote(), source);
                problems.push(hint.into_iter().fold(problem, Diagnostic::help));
                Composed::Broken
            }
        });
    }
}

/// What a document holds, and where it has texts in quotes and blocks of text that [`Lenient`] has to know of.
type Document = (Composed, Vec<Span>);

/// Reads the first document of a file.
fn document(
    id: FileId,
    lenient: &Lenient,
    anchors: &mut Anchors,
    problems: &mut Problems,
) -> Result<Result<Document, SyntaxError>, Exhausted> {
    let mut composer = Composer {
        anchors,
        problems,
        stack: Vec::new(),
        keys: HashSet::new(),
        root: None,
    };
    let mut events = Events::new(id, lenient);
    let mut texts = Vec::new();
    while let Some(event) = events.next() {
        match event {
            Ok((Event::DocumentEnd, _)) => break,
            Ok((event, span)) => {
                if matches!(event, Event::Scalar { plain: false, .. }) && lenient.changed(span) {
                    texts.push(span);
                }
                composer.take(event, span)?;
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    let content = composer.finish();
    second_document(&mut events, problems);
    Ok(Ok((content, texts)))
}

/// Warns of a second document with something in it.
fn second_document(events: &mut Events, problems: &mut Problems) {
    if let Some(Ok((Event::DocumentStart, at))) = events.next() {
        let empty = matches!(
            events.next(),
            Some(Ok((Event::Scalar { ref text, plain: true, .. }, _))) if text.is_empty()
        );
        if !empty {
            problems.push(
                Diagnostic::warning(
                    "second-document",
                    "only the first YAML document of a file is read",
                )
                .at(at, "everything from here on is ignored")
                .help("remove the `---`, or move the rest to a file of its own (monday.NAME.yaml)"),
            );
        }
    }
}

/// A list or map that is not finished yet.
struct Frame {
    span: Span,
    properties: Properties,
    size: Size,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        merges: Vec<(Span, Node)>,
        key: Key,
    },
}

/// The key that waits for its value.
enum Key {
    None,
    Known {
        text: Rc<str>,
        span: Span,
        plain: bool,
    },
    /// It is no text; a problem was noted.
    Broken,
}

/// A value that is finished, and its text if it may serve as a key.
struct Done {
    node: Node,
    size: Size,
    scalar: Option<(Rc<str>, bool)>,
}

struct Composer<'a> {
    anchors: &'a mut Anchors,
    problems: &'a mut Problems,
    stack: Vec<Frame>,
    keys: HashSet<Rc<str>>,
    root: Option<Node>,
}

impl Composer<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Exhausted> {
        match event {
            Event::DocumentStart | Event::DocumentEnd => Ok(()),
            Event::Scalar {
                text,
                plain,
                properties,
            } => self.scalar(&text, plain, properties, span),
            Event::Alias(name) => self.alias(&name, span),
            Event::ListStart(properties) => self.open(span, properties, Inside::List(Vec::new())),
            Event::MapStart(properties) => {
                let inside = Inside::Map {
                    entries: Vec::new(),
                    merges: Vec::new(),
                    key: Key::None,
                };
                self.open(span, properties, inside)
            }
            Event::ListEnd | Event::MapEnd => {
                self.close(span);
                Ok(())
            }
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        plain: bool,
        properties: Properties,
        span: Span,
    ) -> Result<(), Exhausted> {
        let size = Size::of_text(text);
        self.anchors.spend(size, span)?;
        self.check_tag(&properties, span);
        let says_nothing = plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
        let text = self.shared(text);
        let node = Node {
            span,
            alias: None,
            content: if says_nothing && properties.tag.as_deref() != Some("!!str") {
                Content::Null
            } else {
                Content::Text(Rc::clone(&text))
            },
        };
        let scalar = Some((text, plain));
        self.done(Done { node, size, scalar }, properties.anchor);
        Ok(())
    }

    /// A text in memory that is shared by all keys of that text: there are few keys, and each is written often.
    fn shared(&mut self, text: &str) -> Rc<str> {
        let is_key = self
            .stack
            .last()
            .is_some_and(|frame| matches!(frame.inside, Inside::Map { key: Key::None, .. }));
        if !is_key {
            return text.into();
        }
        if let Some(known) = self.keys.get(text) {
            return Rc::clone(known);
        }
        let key: Rc<str> = text.into();
        self.keys.insert(Rc::clone(&key));
        key
    }

    fn alias(&mut self, name: &str, span: Span) -> Result<(), Exhausted> {
        let (node, size) = match self.anchors.resolve(name, span)? {
            Resolved::Known(node, size) if self.depth() + size.depth > anchors::DEEPEST => {
                self.problems
                    .push(too_deep(span).also(node.span, format!("`{name}` stands for this")));
                (broken(span), Size::of_text(""))
            }
            Resolved::Known(node, size) => (node, size),
            Resolved::Unknown(problem) => {
                self.problems.extend(problem);
                (broken(span), Size::of_text(""))
            }
        };
        let scalar = node.text().map(|text| (text.into(), false));
        self.done(Done { node, size, scalar }, None);
        if self.problems.is_full() {
            let message = "there are too many mistakes to go on";
            return Err(Diagnostic::error("too-many", message)
                .at(span, "reading ends here")
                .help("mend the first ones: others may follow from them")
                .into());
        }
        Ok(())
    }

    fn open(
        &mut self,
        span: Span,
        properties: Properties,
        inside: Inside,
    ) -> Result<(), Exhausted> {
        if self.depth() >= anchors::DEEPEST {
            return Err(too_deep(span).into());
        }
        let size = Size::of_collection();
        self.anchors.spend(size, span)?;
        self.check_tag(&properties, span);
        self.stack.push(Frame {
            span,
            properties,
            size,
            inside,
        });
        Ok(())
    }

    fn close(&mut self, end: Span) {
        let Some(frame) = self.stack.pop() else {
            return;
        };
        let mut span = frame.span;
        let content = match frame.inside {
            Inside::List(items) => {
                span.end = items
                    .last()
                    .map_or(end.end, |item| item.alias.unwrap_or(item.span).end);
                Content::List(Rc::new(items))
            }
            Inside::Map {
                mut entries,
                merges,
                ..
            } => {
                span.end = entries.last().map_or(end.end, |entry| {
                    entry
                        .key_span
                        .end
                        .max(entry.value.alias.unwrap_or(entry.value.span).end)
                });
                if self.stack.is_empty() {
                    entries.retain(|entry| &*entry.key != DROPPED_KEY);
                } else {
                    entries = duplicates::settle(entries, Level::Inner);
                }
                merge::apply(&mut entries, merges, self.problems);
                Content::Map(Rc::new(entries))
            }
        };
        span.end = span.end.max(span.start);
        let node = Node {
            span,
            alias: None,
            content,
        };
        let done = Done {
            node,
            size: frame.size,
            scalar: None,
        };
        self.done(done, frame.properties.anchor);
    }

    /// Puts a finished value where it belongs.
    fn done(&mut self, done: Done, anchor: Option<(String, Span)>) {
        let Done { node, size, scalar } = done;
        if let Some((name, declared_at)) = anchor {
            self.anchors.declare(name, declared_at, &node, size);
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return;
        };
        frame.size.contain(size);
        match &mut frame.inside {
            Inside::List(items) => items.push(node),
            Inside::Map {
                entries,
                merges,
                key,
            } => match std::mem::replace(key, Key::None) {
                Key::None => *key = as_key(&node, scalar, self.problems),
                Key::Broken => {}
                Key::Known {
                    text,
                    span,
                    plain: true,
                } if &*text == merge::MERGE_KEY => merges.push((span, node)),
                Key::Known { text, span, .. } => entries.push(Entry {
                    key: text,
                    key_span: span,
                    value: node,
                    merged: None,
                    repeated: Vec::new(),
                }),
            },
        }
    }

    fn finish(self) -> Composed {
        let Some(root) = self.root else {
            return Composed::Empty;
        };
        match root.content {
            Content::Map(entries) => Composed::Entries(Rc::unwrap_or_clone(entries)),
            Content::Null => Composed::Empty,
            Content::Broken => Composed::Broken,
            Content::Text(_) | Content::List(_) => {
                let message = format!("a configuration is a map, but here is {}", root.what());
                self.problems.push(
                    Diagnostic::error("no-map", message)
                        .at(root.span, "`projects:` or another key was expected here")
                        .help(
                            "`monday-supervisor init` writes a commented monday.yaml to start from",
                        ),
                );
                Composed::Broken
            }
        }
    }

    fn depth(&self) -> u32 {
        u32::try_from(self.stack.len()).unwrap_or(u32::MAX)
    }

    fn check_tag(&mut self, properties: &Properties, span: Span) {
        if let Some(tag) = &properties.tag
            && !HARMLESS_TAGS.contains(&tag.as_str())
        {
            let message = format!("the tag `{tag}` is ignored");
            self.problems.push(
                Diagnostic::warning("tag", message)
                    .at(span, "taken as it is written, without its tag"),
            );
        }
    }
}

fn as_key(node: &Node, scalar: Option<(Rc<str>, bool)>, problems: &mut Problems) -> Key {
    let span = node.alias.unwrap_or(node.span);
    match scalar {
        Some((text, plain)) => Key::Known { text, span, plain },
        None if node.is_broken() => Key::Broken,
        None => {
            problems.push(
                Diagnostic::error(
                    "bad-key",
                    format!("a key is a text, but here is {}", node.what()),
                )
                .at(span, "this cannot be a key")
                .help("a text that begins with `{` or `[` needs quotes: `\"{{name}}\"`"),
            );
            Key::Broken
        }
    }
}

fn too_deep(span: Span) -> Diagnostic {
    let message = format!(
        "values are nested more than {} levels deep",
        anchors::DEEPEST
    );
    Diagnostic::error("too-deep", message)
        .at(span, "here it becomes too deep")
        .help("a configuration needs less than ten levels")
}

fn broken(span: Span) -> Node {
    Node {
        span,
        alias: None,
        content: Content::Broken,
    }
}
