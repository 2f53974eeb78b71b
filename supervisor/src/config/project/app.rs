//! A local app, checked.

use std::path::PathBuf;

use monday_shared::duration::Span as Time;

pub use super::super::model::app::RestartPolicy;
pub use super::super::model::depends::Condition;

/// A program that runs on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// Its name, unique within the project.
    pub name: String,
    /// Its working directory; nothing: monday's own.
    pub path: Option<PathBuf>,
    /// The host name that gets an address of its own, in lower case.
    pub hostname: Option<String>,
    /// Runs when `path` does not exist.
    pub setup: Option<Section>,
    /// Files that are written after `setup`, in this order.
    pub files: Vec<FileSpec>,
    /// Runs before `run`.
    pub build: Option<Section>,
    /// The program itself.
    pub run: Option<Section>,
    /// How it is stopped.
    pub stop: Stop,
    /// What to do when it ends by itself.
    pub restart: Restart,
    /// When it counts as ready; nothing: as soon as it runs.
    pub ready: Option<Probe>,
    /// What has to be there before it starts.
    pub depends_on: Vec<Dependency>,
    /// Which changes rebuild and restart it; nothing: none.
    pub watch: Option<Watch>,
    /// Template data: where its metrics are.
    pub monitoring: Option<Monitoring>,
    /// Runs on a terminal of its own.
    pub pty: bool,
    /// Declared, but not part of the run.
    pub disabled: bool,
    /// Processes that it left behind live on after it.
    pub keep_children: bool,
    /// A file that gets its output as well.
    pub log_file: Option<PathBuf>,
}

/// Commands with their working directory and environment: `setup`, `build` or `run`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// They run in order, and the first that fails ends it.
    pub commands: Vec<String>,
    /// Where they run; nothing: the app's `path` (for `setup`: monday's own directory).
    pub path: Option<PathBuf>,
    /// Variables: those of the files' global section, then the app's own; a later one wins.
    pub env: Vec<(String, String)>,
    /// Files of more variables, which win over `env`.
    pub env_files: Vec<PathBuf>,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSpec {
    /// Rendered from a template.
    Content {
        /// Where to.
        to: PathBuf,
        /// The template.
        content: String,
    },
    /// Copied.
    Copy {
        /// From where.
        from: PathBuf,
        /// Where to.
        to: PathBuf,
    },
}

/// Where the metrics of something are: data for templates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Monitoring {
    /// The port, as text.
    pub port: String,
    /// The path.
    pub url: String,
}

/// How an app is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Run first.
    pub commands: Vec<String>,
    /// Then this signal, without `SIG`.
    pub signal: String,
    /// Killed after this time.
    pub timeout: Time,
}

impl Stop {
    /// What every service manager sends first.
    pub const DEFAULT_SIGNAL: &str = "TERM";

    /// As Docker gives.
    pub const DEFAULT_TIMEOUT: Time = Time::from_secs(10);
}

/// What to do when an app ends by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// When it is started again.
    pub policy: RestartPolicy,
    /// How long to wait before the first new start; it doubles.
    pub backoff: Option<Time>,
    /// Given up after this many in a row.
    pub max_restarts: Option<u32>,
}

/// When an app counts as ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is tried.
    pub kind: ProbeKind,
    /// How often.
    pub interval: Time,
    /// How long one try may take.
    pub timeout: Time,
    /// How many tries may fail.
    pub retries: Option<u32>,
    /// How long to wait before the first.
    pub initial_delay: Time,
}

/// What is tried to see whether an app is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// A GET that is answered with a status below 400.
    Http(String),
    /// A connection.
    Tcp(String),
    /// A command that ends with status 0.
    Exec(String),
    /// A line of output that this regular expression matches.
    Log(String),
}

/// Something that has to be there before an app starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The name of an app or forward of the project.
    pub name: String,
    /// What has to be true of it.
    pub condition: Condition,
}

/// Which changes rebuild and restart an app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Where to look; nothing: the app's `path`.
    pub paths: Vec<PathBuf>,
    /// What not to look at, the global `watch.exclude` included.
    pub exclude: Vec<String>,
    /// How long it has to be quiet after a change.
    pub debounce: Option<Time>,
    /// Whether `.gitignore` files count.
    pub gitignore: bool,
    /// Send the app this signal instead of starting it again.
    pub signal: Option<String>,
}
