//! `monday-supervisor`: a project that runs, as a second terminal, a script or a view sees it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::run::{Output, State};
use crate::rpc::history::Part;
use crate::rpc::hub::Event as HubEvent;

/// How is the project?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// The reply of [`Status`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectStatus {
    /// The project's name.
    pub project: String,
    /// The supervisor's process id.
    pub pid: u32,
    /// Whether host names are in the hosts file; if not, only addresses work.
    pub names: bool,
    /// Every app, in the order of the file.
    pub apps: Vec<AppStatus>,
    /// Every forward, in the order of the file.
    pub forwards: Vec<ForwardStatus>,
    /// Every sidecar.
    pub sidecars: Vec<SidecarStatus>,
}

/// A local app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Its name.
    pub name: String,
    /// Its host name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The address of its host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// What is done for it right now, besides running it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// How its process is.
    #[serde(flatten)]
    pub state: State,
    /// How often it was started again.
    pub restarts: u64,
}

/// What is done for an app besides running it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Something that it depends on is not there yet.
    Waiting {
        /// What, and what has to be true of it: `db (ready)`.
        on: String,
    },
    /// Its `setup` runs.
    Setup,
    /// Its files are written.
    Files,
    /// Its `build` runs. A process from before may serve meanwhile.
    Build,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { on } => write!(f, "waiting for {on}"),
            Self::Setup => write!(f, "setting up"),
            Self::Files => write!(f, "writing its files"),
            Self::Build => write!(f, "building"),
        }
    }
}

/// A forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardStatus {
    /// Its name.
    pub name: String,
    /// Its type as in the YAML: `proxy`, …
    pub kind: String,
    /// Its host name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Where it listens and where that leads.
    pub routes: Vec<ForwardRoute>,
    /// Why it does not work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One port of a forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardRoute {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where that leads.
    pub target: String,
}

/// A sidecar of this project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SidecarStatus {
    /// The executable.
    pub name: String,
    /// For a `monday-run`: whose guardian it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Its process id, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its control socket.
    pub socket: String,
    /// How often it was started again after it died.
    pub restarts: u64,
}

/// Starts apps again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// Which.
    pub names: Vec<String>,
}

/// The reply of [`Restart`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarted {
    /// The apps as they are now.
    pub apps: Vec<AppStatus>,
}

methods! {
    /// What `monday-supervisor` can be asked besides the common methods.
    "monday-supervisor" emits Event {
        /// How the project is.
        status(Status) -> ProjectStatus;
        /// Starts apps again.
        restart(Restart) -> Restarted;
    }
}

/// How important a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Something is not as it should be, and things go on.
    Warning,
    /// Something does not work.
    Error,
}

/// What `monday-supervisor` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Everything was started that can be. The first line of `--output json`.
    Ready(ProjectStatus),
    /// An app's state changed.
    App(AppStatus),
    /// A forward's state changed.
    Forward(ForwardStatus),
    /// A sidecar came, died or came back.
    Sidecar(SidecarStatus),
    /// An app wrote something.
    Output {
        /// Which app.
        app: String,
        /// What.
        #[serde(flatten)]
        output: Output,
    },
    /// Something that a person should read.
    Notice {
        /// How important it is.
        level: Level,
        /// What it is about: an app, a forward, a sidecar; nothing when it is about the whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// The sentence.
        message: String,
    },
    /// Everything is being stopped.
    Stopping {
        /// Why.
        reason: String,
    },
}

impl HubEvent for Event {
    fn bulk_bytes(&self) -> Option<usize> {
        match self {
            Self::Output { output, .. } => Some(output.bulk_bytes()),
            _ => None,
        }
    }

    fn bulk_items(&self) -> u64 {
        match self {
            Self::Output { output, .. } => output.lines.len() as u64,
            _ => 1,
        }
    }

    fn part(&self) -> Option<Part<'_>> {
        match self {
            Self::Output { app, output } => Some(output.part(app)),
            _ => None,
        }
    }

    fn last_lines(&self, lines: usize) -> Option<Self> {
        match self {
            Self::Output { app, output } => Some(Self::Output {
                app: app.clone(),
                output: output.last_lines(lines),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for AppStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stage {
            Some(stage) => write!(f, "{}: {stage}", self.name),
            None => write!(f, "{}: {}", self.name, self.state),
        }
    }
}
