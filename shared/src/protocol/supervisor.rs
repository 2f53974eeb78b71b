//! `monday-supervisor`: a project that runs, as a second terminal, a script or a view sees it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::common::Done;
use super::fwd::Phase;
use super::run::{Output, State};
use crate::duration::Span;
use crate::rpc::history::Part;
use crate::rpc::hub::Event as HubEvent;

/// How is the project?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Also what went through the forwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub traffic: bool,
    /// Also what the apps use of the machine; it is measured for a moment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub usage: bool,
    /// Only these apps and forwards; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// The reply of [`Status`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectStatus {
    /// The project's name.
    pub project: String,
    /// The supervisor's process id.
    pub pid: u32,
    /// Whether host names are in the machine's hosts file, so that every program finds them.
    pub names: bool,
    /// Whether the project's own processes find host names, and nobody else does: elsewhere only addresses work.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private_names: bool,
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
    /// Since when it is in its phase, as RFC 3339 writes it; nothing before it was ever started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What it uses of the machine; only when that was asked for and it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What an app and all of its processes use of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// How many processes it has.
    pub processes: u64,
    /// Their resident memory in bytes; what they share is counted once for each.
    pub memory: u64,
    /// Thousandths of one processor during the measurement: 1500 is one and a half.
    pub cpu: u64,
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
    /// What it leads through, port by port; nothing for a `proxy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tunnels: Vec<TunnelStatus>,
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
    /// What went through it; only when that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
}

/// What went through one port of a forward.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Connections that are open.
    pub active: u64,
    /// Connections that were accepted so far.
    pub accepted: u64,
    /// Connections that found no target.
    pub failed: u64,
    /// Bytes from clients to the target.
    pub bytes_up: u64,
    /// Bytes from the target to clients.
    pub bytes_down: u64,
    /// The last thing that went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The tunnel of one port of a forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelStatus {
    /// What it is known by: `forward:L`.
    pub id: String,
    /// How far it is.
    pub phase: Phase,
    /// Through which host or pod it leads, or did last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Why it is not up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
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

/// Starts apps again, also those that have ended or were stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// Which; none: all.
    #[serde(default)]
    pub names: Vec<String>,
}

/// Starts apps that were stopped or have ended. One that runs goes on as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Which; none: all.
    #[serde(default)]
    pub names: Vec<String>,
}

/// Stops apps, those that depend on others before them; replies when none of their processes is left. They stay stopped,
/// whatever changes, until they are started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Which; none: all.
    #[serde(default)]
    pub names: Vec<String>,
    /// Instead of each app's own; `0` kills at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// Sends a signal to the process groups of apps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// To which; at least one.
    pub names: Vec<String>,
    /// `HUP`, `SIGUSR1`, … or a number.
    pub signal: String,
}

/// Opens forwards anew. Their connections end; whoever connects again gets a fresh one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconnect {
    /// Which; none: all.
    #[serde(default)]
    pub names: Vec<String>,
}

/// Waits until something holds for all of these apps and forwards. If one of them fails meanwhile, or the time is over,
/// that is an error which says which and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// Which; none: all.
    #[serde(default)]
    pub names: Vec<String>,
    /// For what.
    #[serde(default)]
    pub until: Until,
    /// For how long at most; nothing: for as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// It was started.
    Started,
    /// It is ready: an app as its `ready` says, or as soon as it runs; a forward that listens.
    #[default]
    Ready,
    /// It has ended with status 0.
    Completed,
}

/// Reads the configuration again and applies what differs: only what is new, changed or gone is touched. A configuration
/// that cannot be used changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reload {}

/// The reply of [`Reload`]: the apps and forwards that were touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// These are new.
    pub added: Vec<String>,
    /// These were ended and begun again.
    pub changed: Vec<String>,
    /// These were ended.
    pub removed: Vec<String>,
    /// These were to begin and did not; the rest goes on. Only in the reply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failure>,
}

/// A forward that could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which.
    pub name: String,
    /// Why.
    pub error: String,
}

/// Lets the other side of a name serve: the app here, or the forward to one elsewhere. It is begun first; when it is ready
/// the host name leads to it; the old side ends when nobody uses it any more, and after five seconds at the earliest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// The name or host name that has both sides.
    pub name: String,
    /// Which side.
    pub to: Side,
}

/// A side of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The app on this machine.
    Local,
    /// The forward.
    Forward,
}

impl Reloaded {
    /// Whether nothing was touched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// What people read when it has happened. Nothing was touched: a change was taken back.
    #[must_use]
    pub fn told(&self) -> String {
        if self.is_empty() {
            "everything is as it was before".to_owned()
        } else {
            format!("reloaded: {self}")
        }
    }
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |names: &'_ [String], word: &'static str| -> Vec<String> {
            names.iter().map(|name| format!("{name} {word}")).collect()
        };
        let words = [
            said(&self.changed, "changed"),
            said(&self.added, "is new"),
            said(&self.removed, "is gone"),
        ]
        .concat();
        match words.as_slice() {
            [] => write!(f, "nothing differs"),
            words => write!(f, "{}", words.join(", ")),
        }
    }
}

/// The reply of [`Restart`], [`Start`] and [`Stop`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apps {
    /// The apps as they are now.
    pub apps: Vec<AppStatus>,
}

/// The reply of [`Reconnect`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwards {
    /// The forwards as they are now.
    pub forwards: Vec<ForwardStatus>,
}

methods! {
    /// What `monday-supervisor` can be asked besides the common methods.
    "monday-supervisor" emits Event {
        /// How the project is.
        status(Status) -> ProjectStatus;
        /// Starts apps again.
        restart(Restart) -> Apps;
        /// Starts apps.
        start(Start) -> Apps;
        /// Stops apps.
        stop(Stop) -> Apps;
        /// Sends apps a signal.
        signal(Signal) -> Done;
        /// Opens forwards anew.
        reconnect(Reconnect) -> Forwards;
        /// Applies what changed in the configuration.
        reload(Reload) -> Reloaded;
        /// Lets the other side of a name serve.
        switch(Switch) -> Reloaded;
        /// Waits until apps and forwards are ready.
        wait(Wait) -> ProjectStatus;
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
    /// Everything is ready, or is known never to be.
    Up {
        /// The apps and forwards that will not be ready.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed: Vec<String>,
    },
    /// An app's state changed.
    App(AppStatus),
    /// A forward's state changed.
    Forward(ForwardStatus),
    /// A tunnel of a forward came or went.
    Tunnel {
        /// Of which forward.
        forward: String,
        /// The tunnel as it is now.
        #[serde(flatten)]
        tunnel: TunnelStatus,
    },
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
    /// The project consists of other apps and forwards now.
    Reloaded {
        /// What differs.
        #[serde(flatten)]
        difference: Reloaded,
        /// How everything is.
        status: ProjectStatus,
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

impl fmt::Display for ForwardStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        if let Some(error) = &self.error {
            return write!(f, "{name}: {error}");
        }
        for (at, route) in self.routes.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{name}: {} -> {}", route.listen, route.target)?;
        }
        if self.routes.is_empty() {
            write!(f, "{name}: not open")?;
        }
        Ok(())
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
