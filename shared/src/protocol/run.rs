//! `monday-run`: one local process and all of its descendants.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::common::Done;
pub use super::run_spec::{LogFile, Probe, Readiness, RestartPolicy, RestartWhen, RunSpec};
use crate::duration::Span;
use crate::rpc::history::Part;
use crate::rpc::hub::Event as HubEvent;

/// Starts the command. While it runs, the same specification again changes nothing; another one stops it first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Start {
    /// What to run.
    pub spec: RunSpec,
}

/// Stops the command and every descendant; replies when none is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Instead of the specification's `stop_timeout`; `0` kills at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// Stops the command if it runs and starts it again with the same specification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {}

/// Sends a signal to the command's process group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// `HUP`, `SIGUSR1`, … or a number.
    pub signal: String,
}

/// How is it?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// Where the command is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing was started yet.
    #[default]
    Idle,
    /// It runs.
    Running,
    /// It was asked to stop.
    Stopping,
    /// It ended by itself.
    Exited,
    /// It was stopped on request.
    Stopped,
    /// It ended by itself and will be started again.
    Waiting,
    /// It could not be started, was not ready in time, or could not be ended.
    Failed,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With a status, 0 being success.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl Exit {
    /// The status as a shell gives it: 128 + signal for a death by signal.
    #[must_use]
    pub fn shell_status(self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
            Self::Signal(signal) => u8::try_from((128 + signal) & 0xff).unwrap_or(u8::MAX),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(number) => match nix::sys::signal::Signal::try_from(*number) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
        }
    }
}

/// The reply of `status`, `start`, `stop` and `restart`, and the content of the event `state`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where it is in its life.
    pub phase: Phase,
    /// Which start this is, counted from 1: what is told about an older one is about a process that is gone.
    pub generation: u64,
    /// The command's process id while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Whether it is ready, while it runs and if its specification says when that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// How the last one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Why it failed, or what it is waiting for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

methods! {
    /// What `monday-run` can be asked besides the common methods.
    "monday-run" emits Event {
        /// Starts the command.
        start(Start) -> State;
        /// Stops it and every descendant.
        stop(Stop) -> State;
        /// Stops it and starts it again.
        restart(Restart) -> State;
        /// Sends it a signal.
        signal(Signal) -> Done;
        /// How it is.
        status(Status) -> State;
    }
}

/// Which of the command's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// File descriptor 1.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

/// One line of output without its line feed. On the wire a text, or `{"base64":…}` where it is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(pub Vec<u8>);

impl Line {
    /// For showing; what is not UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WireLine<'a> {
    Text(Cow<'a, str>),
    Bytes { base64: Cow<'a, str> },
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => WireLine::Bytes {
                base64: BASE64.encode(&self.0).into(),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WireLine::deserialize(deserializer)? {
            WireLine::Text(text) => Ok(Self(text.into_owned().into_bytes())),
            WireLine::Bytes { base64 } => BASE64
                .decode(base64.as_ref())
                .map(Self)
                .map_err(serde::de::Error::custom),
        }
    }
}

/// Lines that came together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// From which start of the command.
    pub generation: u64,
    /// From which stream.
    pub stream: Stream,
    /// The lines, in order.
    pub lines: Vec<Line>,
    /// Whether the last line is only a piece: its rest follows as the first line of the next batch of this stream
    /// (a prompt without a line feed, or a line over 64 KiB).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Whether the stream ended in the last line, without a line feed. It is a whole line for all who show lines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unterminated: bool,
}

impl Output {
    /// What the lines weigh in a queue, in bytes.
    #[must_use]
    pub fn bulk_bytes(&self) -> usize {
        // 32 bytes stand for what a line costs besides its text.
        self.lines.iter().map(|line| line.0.len() + 32).sum()
    }

    /// Which part it is of what that source writes.
    #[must_use]
    pub fn part<'a>(&self, source: &'a str) -> Part<'a> {
        Part {
            source,
            lane: match self.stream {
                Stream::Stdout => 0,
                Stream::Stderr => 1,
            },
            lines: self.lines.len(),
            open: self.partial,
        }
    }

    /// The same with only the last so many lines.
    #[must_use]
    pub fn last_lines(&self, lines: usize) -> Self {
        let first = self.lines.len().saturating_sub(lines);
        Self {
            lines: self.lines.get(first..).unwrap_or_default().to_vec(),
            ..*self
        }
    }
}

/// What `monday-run` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It can be asked now. The first line of `--output json`.
    Ready {
        /// The name of the app.
        name: String,
    },
    /// The command's state changed.
    State(State),
    /// The command wrote something.
    Output(Output),
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

    fn part(&self) -> Option<Part<'_>> {
        match self {
            Self::Output(output) => Some(output.part("")),
            _ => None,
        }
    }

    fn last_lines(&self, lines: usize) -> Option<Self> {
        match self {
            Self::Output(output) => Some(Self::Output(output.last_lines(lines))),
            _ => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase {
            Phase::Idle => write!(f, "not started")?,
            Phase::Running if self.ready == Some(false) => write!(f, "running, not ready yet")?,
            Phase::Running if self.ready == Some(true) => write!(f, "running and ready")?,
            Phase::Running => write!(f, "running")?,
            Phase::Stopping => write!(f, "stopping")?,
            Phase::Exited | Phase::Waiting => write!(f, "ended")?,
            Phase::Stopped => write!(f, "stopped")?,
            Phase::Failed => write!(f, "failed")?,
        }
        if let Some(pid) = self.pid {
            write!(f, ", pid {pid}")?;
        }
        if let (Phase::Exited | Phase::Stopped | Phase::Waiting, Some(exit)) =
            (self.phase, self.exit)
        {
            write!(f, ", {exit}")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, ": {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_utf8_survives_the_wire() {
        for bytes in [&b"plain \xc3\xbc"[..], &b"\xff\x00broken"[..], b""] {
            let line = Line(bytes.to_vec());
            let json = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), line);
        }
    }

    #[test]
    fn a_status_is_what_a_shell_would_say() {
        assert_eq!(Exit::Code(3).shell_status(), 3);
        assert_eq!(Exit::Signal(15).shell_status(), 143);
    }
}
