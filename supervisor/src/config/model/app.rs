//! A local app.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::depends::DependsOn;
use super::either::{Either, SectionSchema, section};
use super::list::List;
use super::scalar::{Count, Flag, Text, Time, words};
use super::section::{Build, Run, Setup};

/// A program that runs on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map that describes an app")]
pub struct App {
    /// Unique within the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The working directory. `~`, `$X`, `${X}` and `${X:-default}` are expanded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Text>,
    /// A host name that gets an address of its own; the app binds there itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Text>,
    /// Whether changes below `path` rebuild and restart it, or which ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<Either<Flag, Watch>>,
    /// Send this signal after a change, instead of a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_signal: Option<Text>,
    /// Runs when `path` does not exist.
    #[serde(deserialize_with = "section", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SectionSchema<Setup>")]
    pub setup: Option<Setup>,
    /// Written after `setup` and before `build`, in this order.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub files: List<File>,
    /// Runs before `run`, and again after a change.
    #[serde(deserialize_with = "section", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SectionSchema<Build>")]
    pub build: Option<Build>,
    /// The app itself.
    #[serde(deserialize_with = "section", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SectionSchema<Run>")]
    pub run: Option<Run>,
    /// Where its metrics are: data for templates, and for `ready: monitoring`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// The apps and forwards of the project that have to be there first.
    #[serde(skip_serializing_if = "DependsOn::is_empty")]
    pub depends_on: DependsOn,
    /// When it counts as ready. Default: as soon as it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<Either<ReadyWord, Ready>>,
    /// What to do when it ends by itself. Default: `no`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<Either<RestartPolicy, Restart>>,
    /// How it is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Run it on a terminal of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pty: Option<Flag>,
    /// Leave it out of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Flag>,
    /// A file that gets its output as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_file: Option<Text>,
    /// Let processes that it leaves behind live on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_children: Option<Flag>,
}

/// Which changes rebuild and restart an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "`true`, `false` or a map")]
pub struct Watch {
    /// Where to look; default: the app's `path`.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub paths: List<Text>,
    /// Names and patterns to leave out, added to those of all apps.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub exclude: List<Text>,
    /// How long it has to be quiet after a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Time>,
    /// Whether `.gitignore` files count. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gitignore: Option<Flag>,
}

/// A file to write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map that describes a file")]
pub struct File {
    /// `content` or `copy`; default: what `content` or `from` suggest.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<FileType>,
    /// What to copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Text>,
    /// Where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Text>,
    /// A template in the language of Go's text/template, with the project as its data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Text>,
}

words! {
    /// Where a file comes from.
    FileType, "a type of file" {
        /// It is rendered from a template.
        Content = "content",
        /// It is copied.
        Copy = "copy",
    }
}

/// Where the metrics of an app or forward are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map with `port` and `url`")]
pub struct Monitoring {
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Text>,
    /// The path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
}

words! {
    /// A readiness that needs no map.
    ReadyWord, "a kind of readiness" {
        /// A GET of what `monitoring` says.
        Monitoring = "monitoring",
    }
}

/// When an app counts as ready: one of `http`, `tcp`, `exec`, `log`, and how to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    default,
    expecting = "`monitoring`, or a map with `http`, `tcp`, `exec` or `log`"
)]
pub struct Ready {
    /// A URL that answers with a status below 400.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Text>,
    /// `HOST:PORT` that accepts a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Text>,
    /// A command that ends with status 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Text>,
    /// A regular expression that a line of its output matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Text>,
    /// How often to ask. Default: 1s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Time>,
    /// How long one try may take. Default: 1s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Time>,
    /// How many tries may fail. Default: as many as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Count>,
    /// How long to wait before the first. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_delay: Option<Time>,
}

words! {
    /// When an app that ended is started again.
    #[derive(Default)]
    RestartPolicy, "a restart policy" {
        /// Never.
        #[default]
        No = "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" | "never",
        /// When it failed.
        OnFailure = "on-failure" | "on_failure",
        /// Whatever its status.
        Always = "always",
    }
}

/// What to do when an app ends by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    default,
    expecting = "`no`, `on-failure`, `always`, or a map with `policy`"
)]
pub struct Restart {
    /// When it is started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<RestartPolicy>,
    /// How long to wait before the first new start; it doubles each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Time>,
    /// How many new starts in a row before it is given up. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<Count>,
}

/// How an app is stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map with `signal` and `timeout`")]
pub struct Stop {
    /// The signal that asks it to stop. Default: TERM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<Text>,
    /// How long it may take before it is killed. Default: 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Time>,
}
