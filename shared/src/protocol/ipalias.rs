//! `monday-ipalias`: host names and the loopback addresses they get.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::common::one_or_many;
use super::method::Call;
use crate::rpc::hub::Event as HubEvent;

/// One host name as it is wished for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameSpec {
    /// The host name.
    pub name: String,
    /// The ports that will be bound on its address: an address where one of them is taken is passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// The address that it had before: taken again without probing, since its ports are in use by ourselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
}

impl NameSpec {
    /// A name without known ports.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ports: Vec::new(),
            ip: None,
        }
    }
}

/// Gives names an address, and a line in the hosts file where it may be written: one rewrite for the whole batch.
/// Params: one name, or `{"names":[…]}`. A name that has an address keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub struct Assign {
    /// The names.
    pub names: Vec<NameSpec>,
}

impl TryFrom<serde_json::Value> for Assign {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        one_or_many("names", value).map(|names| Self { names })
    }
}

/// The reply of `assign` and of `list`: names as they really are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// In the order in which they were asked for.
    pub names: Vec<NameStatus>,
    /// Whether the hosts file holds them.
    pub hosts: HostsStatus,
}

/// A name and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameStatus {
    /// The host name.
    pub name: String,
    /// Its address, the same from run to run as long as it is free.
    pub ip: IpAddr,
    /// Something that a person should know: somebody else's line for the same name, a port that forced another
    /// address and who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether the name really leads to the address, for a program that asks the hosts file.
    pub resolves: bool,
}

/// Whether the hosts file could be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum HostsStatus {
    /// It holds the names.
    Written {
        /// Which file.
        file: String,
    },
    /// It does not: the addresses work, the names do not.
    Unwritable {
        /// Which file.
        file: String,
        /// Why, and what to do about it.
        reason: String,
    },
    /// There is nothing to write: no name is assigned.
    Untouched {
        /// Which file.
        file: String,
    },
}

/// Takes names back: their lines go. A name that is not assigned is not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Which.
    pub names: Vec<String>,
}

/// The reply of [`Release`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Those that were assigned and are not any more.
    pub released: Vec<String>,
}

/// Exchanges the addresses of two names in one rewrite: there is no moment at which one of them leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The two names; both have to be assigned.
    pub names: [String; 2],
}

/// Lists the names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {}

/// How is everything? The reply is that of [`List`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// Wants a socket that is bound to an address which is assigned, for a port that only root may bind. It is not asked on
/// the control socket but on the one beside it, where the reply carries the socket: see [`crate::handover`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// The address; one of those that were assigned.
    pub ip: IpAddr,
    /// The port; not 0.
    pub port: u16,
}

/// The reply of [`Bind`]: the socket that comes along is bound there, and does not listen yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The address.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
}

impl Call for Bind {
    const METHOD: &'static str = "bind";
    type Reply = Bound;
}

methods! {
    /// What `monday-ipalias` can be asked besides the common methods.
    "monday-ipalias" emits Event {
        /// Gives names an address.
        assign(Assign) -> Names;
        /// Takes names back.
        release(Release) -> Released;
        /// Exchanges the addresses of two names.
        exchange(Exchange) -> Names;
        /// Lists the names.
        list(List) -> Names;
        /// Lists the names.
        status(Status) -> Names;
    }
}

/// What `monday-ipalias` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The names of the command line have their addresses. The first line of `--output json`.
    Ready(Names),
    /// Names were assigned.
    Assigned(Names),
    /// Names were taken back.
    Released {
        /// Which.
        names: Vec<String>,
    },
    /// Somebody rewrote the hosts file without our block; it was written again.
    Rewritten {
        /// How often that has happened.
        times: u64,
    },
}

impl HubEvent for Event {}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(names) => write!(f, "ready{names}"),
            Self::Assigned(names) => write!(f, "assigned{names}"),
            Self::Released { names } => write!(f, "released {}", names.join(", ")),
            Self::Rewritten { times } => write!(
                f,
                "somebody rewrote the hosts file without our lines; written again (time {times})"
            ),
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for NameStatus { name, ip, note, .. } in &self.names {
            write!(f, "\n  {ip} {name}")?;
            if let Some(note) = note {
                write!(f, " ({note})")?;
            }
        }
        if let HostsStatus::Unwritable { file, reason } = &self.hosts {
            write!(f, "\n  the names are not in {file}: {reason}")?;
        }
        Ok(())
    }
}
