//! Keys that nobody knows, and what was probably meant. The known keys are those of the JSON schema, which comes from the
//! types.

use serde_json::Value;

use super::schema;
use super::suggest;
use super::tree::{Path, Place, Segment};
use crate::diagnostic::Diagnostic;

/// Keys of Monday's first version, directly on an app (`watcher` at the top level), and what to write now.
const OLD_KEYS: [(&str, &str); 6] = [
    (
        "executable",
        "write `run: {command: ...}`, with the arguments in the same line",
    ),
    ("args", "write them into the line of `run: {command: ...}`"),
    (
        "env",
        "write `run: {env: ...}`, or `build: {env: ...}` for the build",
    ),
    (
        "stop_executable",
        "write `run: {stop_commands: [...]}`, with the arguments in the same line",
    ),
    (
        "stop_args",
        "write them into the lines of `run: {stop_commands: [...]}`",
    ),
    (
        "watcher",
        "write `watch: true`, and the excluded names into `watch: {exclude: [...]}`",
    ),
];

/// Words of other tools, and ours for the same thing.
const SYNONYMS: [(&str, &str); 24] = [
    ("apps", "local"),
    ("applications", "local"),
    ("services", "local"),
    ("processes", "local"),
    ("forwards", "forward"),
    ("dir", "path"),
    ("cwd", "path"),
    ("directory", "path"),
    ("working_dir", "path"),
    ("working_directory", "path"),
    ("workdir", "path"),
    ("host", "hostname"),
    ("cmd", "command"),
    ("entrypoint", "command"),
    ("exec", "command"),
    ("script", "command"),
    ("environment", "env"),
    ("envs", "env"),
    ("environment_file", "env_file"),
    ("healthcheck", "ready"),
    ("readiness_probe", "ready"),
    ("shutdown", "stop"),
    ("port", "ports"),
    ("selector", "labels"),
];

/// A key that is there to hold shared parts, besides those that begin with [`PRIVATE_PREFIX`].
const SHARED_KEY: &str = "anchors";

/// Keys that begin so are the user's own, as in Docker Compose.
const PRIVATE_PREFIX: &str = "x-";

/// Knows the keys.
#[derive(Default)]
pub(super) struct Advisor {
    schema: Option<Value>,
}

impl Advisor {
    /// What to say of a key that is not known; nothing for those that are meant to be unknown.
    pub(super) fn unknown(&mut self, place: &Place, path: &Path) -> Option<Diagnostic> {
        let (key, parent) = known_to_nobody(path)?;
        let span = place.key_span.unwrap_or_else(|| place.span());
        if let Some((_, now)) = OLD_KEYS.iter().find(|(old, _)| *old == key)
            && (is_app(parent) || (parent.is_empty() && key == "watcher"))
        {
            let message = format!("`{key}` is a key of Monday's first version, and ignored");
            return Some(
                place
                    .through(Diagnostic::warning("old-key", message).at(span, "ignored"))
                    .help(*now),
            );
        }
        Some(self.describe(key, parent, place, (Diagnostic::warning, "ignored")))
    }

    /// What to say of a key that is not known where none may be ignored; nothing for those that are the user's own.
    pub(super) fn wrong(&mut self, place: &Place, path: &Path) -> Option<Diagnostic> {
        let (key, parent) = known_to_nobody(path)?;
        Some(self.describe(key, parent, place, (Diagnostic::error, "not known")))
    }

    fn describe(
        &mut self,
        key: &str,
        parent: &[Segment],
        place: &Place,
        (kind, label): (fn(&'static str, String) -> Diagnostic, &str),
    ) -> Diagnostic {
        let span = place.key_span.unwrap_or_else(|| place.span());
        let message = format!("unknown key `{key}`{}", within(parent));
        let problem = place.through(kind("unknown-key", message).at(span, label));
        match self.advice(key, parent) {
            Some(advice) => problem.help(advice),
            None => problem,
        }
    }

    fn advice(&mut self, key: &str, parent: &[Segment]) -> Option<String> {
        if key == "<" {
            return Some("did you mean `<<`, the merge key? `<` only declares shared parts, at the top level".to_owned());
        }
        let root = self.schema.get_or_insert_with(schema::of_config);
        let here = schema::at(root, parent);
        let sections = schema::properties(root, &here);
        let is_here = |word: &str| sections.iter().any(|(name, _)| *name == word);
        // The section that has a key of this name; `run` where several have.
        let section_with = |word: &str| {
            let has = |inner: &Value| {
                schema::properties(root, &[inner])
                    .iter()
                    .any(|(name, _)| *name == word)
            };
            let with = sections
                .iter()
                .filter(|(_, inner)| has(inner))
                .map(|(name, _)| *name);
            with.max_by_key(|name| *name == "run")
        };
        // `command` directly on an app belongs into `run`: closer than any other word.
        if let Some(section) = section_with(key) {
            return Some(format!("`{key}` belongs into `{section}`"));
        }
        let ours = SYNONYMS.iter().find(|(theirs, _)| *theirs == key);
        if let Some((_, ours)) = ours {
            if is_here(ours) {
                return Some(format!("did you mean `{ours}`?"));
            }
            if let Some(section) = section_with(ours) {
                return Some(format!("did you mean `{ours}` in `{section}`?"));
            }
        }
        let mut names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        if let Some(near) = suggest::nearest(key, names.iter().copied()) {
            return Some(format!("did you mean `{near}`?"));
        }
        (!names.is_empty()).then(|| format!("the keys here are: {}", names.join(", ")))
    }
}

/// The key at the end of a path, and the path to its map; nothing for keys that are meant to be unknown.
pub(super) fn known_to_nobody(path: &[Segment]) -> Option<(&str, &[Segment])> {
    let (Segment::Key(key), parent) = path.split_last()? else {
        return None;
    };
    let private = key.starts_with(PRIVATE_PREFIX) || key == SHARED_KEY;
    (!private).then_some((key, parent))
}

/// Whether a path leads to an app: `local[i]`, or `local` where a single app stands in place of the list, of a project or
/// of all.
fn is_app(path: &[Segment]) -> bool {
    let list = match path {
        [rest @ .., Segment::Item(_)] => rest,
        all => all,
    };
    let is_project = |path: &[Segment]| matches!(path, [Segment::Key(list)] | [Segment::Key(list), Segment::Item(_)] if list == "projects");
    matches!(list, [owner @ .., Segment::Key(key)] if key == "local" && (owner.is_empty() || is_project(owner)))
}

/// Where in the files a key is, in words.
fn within(parent: &[Segment]) -> String {
    let key = parent.iter().rev().find_map(|segment| match segment {
        Segment::Key(key) => Some(key.as_str()),
        Segment::Item(_) => None,
    });
    match (key, parent.last()) {
        (None, _) => " at the top level".to_owned(),
        (Some("local"), Some(Segment::Item(_))) => " of an app".to_owned(),
        (Some("forward"), Some(Segment::Item(_))) => " of a forward".to_owned(),
        (Some("projects"), Some(Segment::Item(_))) => " of a project".to_owned(),
        (Some("files"), Some(Segment::Item(_))) => " of a file".to_owned(),
        (Some(key), _) => format!(" in `{key}`"),
    }
}
