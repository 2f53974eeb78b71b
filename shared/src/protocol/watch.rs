//! `monday-watch`: what changed below which paths.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::common::one_or_many;
use super::run;
use crate::duration::Span;
use crate::rpc::hub::Event as HubEvent;

/// How many paths an event names at most; [`Changed::count`] says how many there are.
pub const PATHS_NAMED: usize = 100;

/// One watch as it is wished for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchSpec {
    /// What the watch is known by. The same specification again changes nothing, another one replaces it.
    pub id: String,
    /// Folders, with all that is below them, and files. Relative ones are below the folder that `monday-watch` was
    /// started in. One that does not exist is waited for.
    pub paths: Vec<PathBuf>,
    /// What not to look at, besides `.git`, `node_modules`, `vendor` and `target`: patterns as in a `.gitignore` at each
    /// of the paths. One that begins with `!` is looked at whatever else is said about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// How long nothing may change before a batch is told; 20 times as long at most, and at least 2 s, where changes do
    /// not end. Default 100 ms.
    #[serde(default = "WatchSpec::default_debounce")]
    pub debounce: Span,
    /// Whether `.gitignore` and `.ignore` are obeyed. Default true.
    #[serde(default = "yes")]
    pub gitignore: bool,
    /// Whether to look again and again instead of being told by the system. Default false; it is done by itself where
    /// the system cannot tell (network drives, exhausted limits).
    #[serde(default)]
    pub poll: bool,
}

const fn yes() -> bool {
    true
}

impl WatchSpec {
    /// A watch with the defaults.
    #[must_use]
    pub fn new(id: impl Into<String>, paths: Vec<PathBuf>) -> Self {
        Self {
            id: id.into(),
            paths,
            exclude: Vec::new(),
            debounce: Self::default_debounce(),
            gitignore: yes(),
            poll: false,
        }
    }

    /// Long enough for an editor to finish its save and for a checkout to go from one file to the next.
    #[must_use]
    pub const fn default_debounce() -> Span {
        Span::from_millis(100)
    }
}

/// Watches paths: all of the batch or, where a specification makes no sense, none. The reply comes when everything is
/// in place: what changes after it is told. Params: one watch, or `{"watches":[…]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub struct Watch {
    /// The watches.
    pub watches: Vec<WatchSpec>,
}

impl TryFrom<serde_json::Value> for Watch {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        one_or_many("watches", value).map(|watches| Self { watches })
    }
}

/// Ends watches. An id that is not watched is not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unwatch {
    /// Which.
    pub ids: Vec<String>,
}

/// The reply of [`Unwatch`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwatched {
    /// Those that were watched and are not any more.
    pub unwatched: Vec<String>,
}

/// Lists the watches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {}

/// How is everything?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// The reply of `watch` and of `list`: watches as they really are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watches {
    /// In the order in which they were asked for.
    pub watches: Vec<WatchStatus>,
}

/// The reply of [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// Every watch.
    pub watches: Vec<WatchStatus>,
    /// How many inotify watches are in use for all of them.
    pub inotify_watches: u64,
    /// How many the system allows to this user, over all programs; unknown where there is no inotify.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inotify_limit: Option<u64>,
}

/// How changes are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The system tells, by inotify(7): at once, and for free while nothing changes.
    #[default]
    Inotify,
    /// The system tells, by what it has instead of inotify.
    Events,
    /// By looking again and again, at one of the paths at least.
    Poll,
}

/// A watch as it really is: the content of the event `watching`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchStatus {
    /// What it is known by.
    pub id: String,
    /// What is watched, made absolute.
    pub paths: Vec<String>,
    /// Those of them that do not exist now and are waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// How many folders are watched, those that are left out not counted.
    pub folders: u64,
    /// How many files are in them, as soon as they have been counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// How changes are noticed.
    pub mode: Mode,
    /// Something that a person should know: why it is polled, and what to do about it; what cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

methods! {
    /// What `monday-watch` can be asked besides the common methods.
    "monday-watch" emits Event {
        /// Watches paths.
        watch(Watch) -> Watches;
        /// Ends watches.
        unwatch(Unwatch) -> Unwatched;
        /// Lists the watches.
        list(List) -> Watches;
        /// The watches and the whole.
        status(Status) -> StatusReply;
    }
}

/// How many paths of a batch a line for people names.
const PATHS_SHOWN: usize = 3;

/// What changed, after it had been quiet for a moment. The content of the event `changed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Whose paths.
    pub id: String,
    /// What is new, gone or written, in the order in which it was noticed; the first [`PATHS_NAMED`] at most. A path is
    /// that of the watch, made absolute, and what is below it. What is not UTF-8 in it is shown as U+FFFD.
    pub paths: Vec<String>,
    /// How many there are.
    pub count: u64,
    /// Whether the system dropped events. The tree was then compared with what it had been before, so that the count
    /// is true, but what changed and changed back is not in it; where there was nothing to compare with yet, the count
    /// may be 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overflow: bool,
}

/// What `monday-watch` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The paths of the command line are watched. The first line of `--output json`.
    Ready {
        /// The watches.
        watches: Vec<WatchStatus>,
    },
    /// A watch began, was replaced, or is done in another way from now on.
    Watching(WatchStatus),
    /// Watches were ended.
    Unwatched {
        /// Which.
        ids: Vec<String>,
    },
    /// Something changed.
    Changed(Changed),
    /// A watched path is gone; it is waited for.
    Missing {
        /// Whose.
        id: String,
        /// Which.
        path: String,
    },
    /// A watched path that was waited for is there. What it contains follows as `changed`.
    Returned {
        /// Whose.
        id: String,
        /// Which.
        path: String,
    },
    /// The state of COMMAND changed. As of `monday-run`.
    State(run::State),
    /// COMMAND wrote something. As of `monday-run`.
    Output(run::Output),
}

impl HubEvent for Event {
    fn bulk_bytes(&self) -> Option<usize> {
        match self {
            Self::Output(output) => Some(output.bulk_bytes()),
            _ => None,
        }
    }

    fn bulk_items(&self) -> u64 {
        match self {
            Self::Output(output) => output.lines.len() as u64,
            _ => 1,
        }
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = &self.paths[..self.paths.len().min(PATHS_SHOWN)];
        let more = self.count.saturating_sub(named.len() as u64);
        match (named, more) {
            ([], _) => f.write_str("more than the system could tell"),
            ([one], 0) => f.write_str(one),
            ([first @ .., last], 0) => write!(f, "{} and {last}", first.join(", ")),
            (named, more) => write!(f, "{} and {more} more", named.join(", ")),
        }
    }
}

impl fmt::Display for WatchStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.paths.join(", "))?;
        match self.folders {
            0 => {}
            1 => f.write_str(" (1 folder)")?,
            folders => write!(f, " ({folders} folders)")?,
        }
        for path in &self.missing {
            write!(f, "\n  {path} does not exist yet and is waited for")?;
        }
        match &self.note {
            Some(note) => write!(f, "\n  {note}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { watches } => {
                f.write_str("ready")?;
                watches
                    .iter()
                    .try_for_each(|watch| write!(f, "\nwatching {watch}"))
            }
            Self::Watching(watch) => write!(f, "watching {watch}"),
            Self::Unwatched { ids } => write!(f, "not watching {} any more", ids.join(", ")),
            Self::Changed(changed) => write!(f, "changed {changed}"),
            Self::Missing { path, .. } => write!(f, "missing {path}, waiting for it"),
            Self::Returned { path, .. } => write!(f, "returned {path}"),
            Self::State(state) => write!(f, "COMMAND {state}"),
            Self::Output(output) => {
                let lines: Vec<_> = output.lines.iter().map(run::Line::text).collect();
                f.write_str(&lines.join("\n"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_needs_only_an_id_and_paths_and_its_defaults_are_those_of_the_type() {
        let one = serde_json::json!({"id": "api", "paths": ["src"]});
        let Watch { watches } = serde_json::from_value(one).unwrap();
        assert_eq!(watches, [WatchSpec::new("api", vec!["src".into()])]);
    }

    #[test]
    fn a_batch_is_shown_by_its_first_paths_and_the_number_of_the_others() {
        let shown = |paths: &[&str], count| {
            Changed {
                paths: paths.iter().map(|&path| path.to_owned()).collect(),
                count,
                ..Changed::default()
            }
            .to_string()
        };
        assert_eq!(shown(&[], 0), "more than the system could tell");
        assert_eq!(shown(&["a"], 1), "a");
        assert_eq!(shown(&["a", "b", "c"], 3), "a, b and c");
        assert_eq!(shown(&["a", "b", "c", "d"], 500), "a, b, c and 497 more");
    }
}
