//! What `monday-run` runs, and everything about how: part of the messages of [`run`](super::run).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::duration::Span;

/// What to run and how to stop it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// The program and its arguments; at least one.
    pub command: Vec<String>,
    /// Where it runs; default: where `monday-run` was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Added to the environment of `monday-run`, in order: a later one wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// The signal that asks it to stop: `TERM`, `INT`, … Default `TERM`.
    #[serde(default = "RunSpec::default_stop_signal")]
    pub stop_signal: String,
    /// How long it may take to stop before it is killed. Default 10 s.
    #[serde(default = "RunSpec::default_stop_timeout")]
    pub stop_timeout: Span,
    /// Run one after the other before the stop signal is sent, each a program and its arguments, in the folder and with
    /// the environment of the command. Together they may take as long as `stop_timeout`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_commands: Vec<Vec<String>>,
    /// Whether it is started again when it ends by itself.
    #[serde(default, skip_serializing_if = "RestartPolicy::is_default")]
    pub restart: RestartPolicy,
    /// When it counts as ready; nothing: as soon as it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Readiness>,
    /// What it leaves behind outside its own process group lives on when it is stopped, and all of it when it ends by
    /// itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_children: bool,
    /// It runs on a terminal of its own, and both of its streams are one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pty: bool,
    /// A file that gets its output as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_file: Option<LogFile>,
    /// A file that it sees in the place of `/etc/hosts`, as do its stop commands and its probe (Linux).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts_file: Option<PathBuf>,
}

/// When a command that ended by itself is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartWhen {
    /// Never.
    #[default]
    No,
    /// When its status was not 0, a signal ended it, or it was not ready in time.
    OnFailure,
    /// Whatever its status was.
    Always,
}

/// Whether and how a command is started again when it ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartPolicy {
    /// When.
    pub when: RestartWhen,
    /// How long to wait before the first new start; it doubles with each failure, up to 30 s, and is forgotten after 10 s
    /// of life. Default 0.5 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Span>,
    /// Given up after so many new starts in a row; nothing: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
}

impl RestartPolicy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// When a command counts as ready: the first success of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readiness {
    /// What is tried.
    pub probe: Probe,
    /// How often it is tried; soon after the start it is tried more often. Default 1 s.
    #[serde(default = "Readiness::default_interval")]
    pub interval: Span,
    /// How long one try may take. Default 1 s.
    #[serde(default = "Readiness::default_interval")]
    pub timeout: Span,
    /// How many tries may fail, not counting those of the first `interval`; nothing: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// How long to wait before the first try.
    #[serde(default)]
    pub initial_delay: Span,
    /// How long all of it may take; nothing: for ever. A command that is not ready in time is stopped: it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}

impl Readiness {
    /// A probe with the default times.
    #[must_use]
    pub fn new(probe: Probe) -> Self {
        Self {
            probe,
            interval: Self::default_interval(),
            timeout: Self::default_interval(),
            retries: None,
            initial_delay: Span::default(),
            within: None,
        }
    }

    const fn default_interval() -> Span {
        Span::from_secs(1)
    }
}

/// What is tried to see whether a command is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// A GET of this URL that is answered with a status below 400.
    Http(String),
    /// A connection to `HOST:PORT`.
    Tcp(String),
    /// A program and its arguments, run in the folder and with the environment of the command, that ends with status 0.
    Exec(Vec<String>),
    /// A line of output that this regular expression matches (syntax of the Rust crate `regex`).
    Log(String),
    /// `READY=1` on the socket that the command finds in `NOTIFY_SOCKET` (`sd_notify(3)`).
    Notify,
}

/// A file that gets a command's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// Where; its folder exists.
    pub path: PathBuf,
    /// A file that would become larger is renamed to `PATH.1` (and that to `PATH.2`, …) and a new one begun. In bytes;
    /// default 10 MiB.
    #[serde(default = "LogFile::default_max_bytes")]
    pub max_bytes: u64,
    /// How many renamed files are kept. Default 3.
    #[serde(default = "LogFile::default_keep")]
    pub keep: u32,
}

impl LogFile {
    /// A file with the default rotation.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            max_bytes: Self::default_max_bytes(),
            keep: Self::default_keep(),
        }
    }

    const fn default_max_bytes() -> u64 {
        10 * 1024 * 1024
    }

    const fn default_keep() -> u32 {
        3
    }
}

impl RunSpec {
    /// A command with the default way to stop.
    #[must_use]
    pub fn new(command: Vec<String>) -> Self {
        Self {
            command,
            dir: None,
            env: Vec::new(),
            stop_signal: Self::default_stop_signal(),
            stop_timeout: Self::default_stop_timeout(),
            stop_commands: Vec::new(),
            restart: RestartPolicy::default(),
            ready: None,
            keep_children: false,
            pty: false,
            log_file: None,
            hosts_file: None,
        }
    }

    /// `TERM`, what every service manager sends first.
    #[must_use]
    pub fn default_stop_signal() -> String {
        "TERM".to_owned()
    }

    /// As Docker gives.
    #[must_use]
    pub const fn default_stop_timeout() -> Span {
        Span::from_secs(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_says_only_what_differs_from_the_default() {
        let spec = RunSpec::new(vec!["x".to_owned()]);
        assert_eq!(
            serde_json::to_string(&spec).unwrap(),
            r#"{"command":["x"],"stop_signal":"TERM","stop_timeout":"10s"}"#
        );
        let full = r#"{"command":["x"],"stop_signal":"TERM","stop_timeout":"10s","stop_commands":[["y","z"]],"restart":{"when":"on-failure","max_restarts":3},"ready":{"probe":{"tcp":"localhost:80"},"interval":"1s","timeout":"1s","initial_delay":"0s","within":"1m"},"keep_children":true,"pty":true,"log_file":{"path":"x.log","max_bytes":1,"keep":2},"hosts_file":"x.hosts"}"#;
        let read: RunSpec = serde_json::from_str(full).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), full);
        let notify: Probe = serde_json::from_str(r#""notify""#).unwrap();
        assert_eq!(notify, Probe::Notify);
    }
}
