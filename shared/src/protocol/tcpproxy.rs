//! `monday-tcpproxy`: routes from an address that it listens on to a target.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::common::one_or_many;
use super::fault::{self, FaultSpec};
use super::listen_address::{ListenAddress, Listens};
use crate::duration::Span;
use crate::rpc::hub::Event as HubEvent;

/// One route as it is wished for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// What the route is known by. Opening it again with the same specification changes nothing, with another one
    /// replaces it.
    pub id: String,
    /// Where to listen: `IP:port` (`[IPv6]:port`); port 0 takes a free one, and the reply says which. Or `unix:PATH`; or
    /// `fd:NAME`, a listener that the process was started with (`sd_listen_fds(3)`). Several in a list, or with commas
    /// between.
    pub listen: Listens,
    /// Where to relay to: `host:port`, the name resolved at each connection and all of its addresses tried; or
    /// `unix:PATH`.
    pub target: String,
    /// How long one connection may take to reach the target. Default 10 s.
    #[serde(default = "RouteSpec::default_connect_timeout")]
    pub connect_timeout: Span,
    /// How long a connection is held and retried while its target refuses. Default 0: refused at once.
    #[serde(default)]
    pub connect_wait: Span,
    /// Who binds the port where we may not (one below 1024): the control socket of a `monday-ipalias` that has assigned
    /// the address. Nobody is asked while we may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports_from: Option<PathBuf>,
    /// How long a connection may be without a byte in either direction before it is closed. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Span>,
    /// How long a half-closed connection may be without a byte where nobody knows whether its peer is there. Default 10
    /// minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_close_linger: Option<Span>,
    /// Tell the target first who the client is (PROXY protocol, version 2).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proxy_protocol: bool,
    /// Tell of every connection as it comes and goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log_connections: bool,
    /// Its faults, one or several: in force with the route, at the same moment.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "fault::one_or_list"
    )]
    pub faults: Vec<FaultSpec>,
}

impl RouteSpec {
    /// A route with the default times.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        listen: impl Into<Listens>,
        target: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            listen: listen.into(),
            target: target.into(),
            connect_timeout: Self::default_connect_timeout(),
            connect_wait: Span::default(),
            ports_from: None,
            idle_timeout: None,
            half_close_linger: None,
            proxy_protocol: false,
            log_connections: false,
            faults: Vec::new(),
        }
    }

    const fn default_connect_timeout() -> Span {
        Span::from_secs(10)
    }
}

/// Opens routes: all of them or, where one cannot be opened, none. Params: one route, or `{"routes":[…]}`; beside it what
/// becomes of the connections of routes that are replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub struct Open {
    /// The routes.
    pub routes: Vec<RouteSpec>,
    /// What becomes of the connections of routes that are replaced. Default: they stay.
    #[serde(flatten)]
    pub live: LiveConnections,
}

impl Open {
    /// Opens routes and leaves live connections alone.
    #[must_use]
    pub fn new(routes: Vec<RouteSpec>) -> Self {
        Self {
            routes,
            live: LiveConnections::default(),
        }
    }
}

impl TryFrom<serde_json::Value> for Open {
    type Error = String;

    fn try_from(mut value: serde_json::Value) -> Result<Self, String> {
        let live = LiveConnections::take_from(&mut value)?;
        one_or_many("routes", value).map(|routes| Self { routes, live })
    }
}

/// What becomes of connections whose route is replaced or closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveConnections {
    /// What they are to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Fate>,
    /// With [`Fate::Drain`]: how long they have. Default 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<Span>,
}

impl LiveConnections {
    /// How long draining connections have.
    #[must_use]
    pub fn drain_timeout(self) -> Span {
        self.drain_timeout.unwrap_or(Span::from_secs(10))
    }

    fn take_from(value: &mut serde_json::Value) -> Result<Self, String> {
        let mut own = serde_json::Map::new();
        if let Some(members) = value.as_object_mut() {
            for name in ["connections", "drain_timeout"] {
                own.extend(members.remove_entry(name));
            }
        }
        let live: Self =
            serde_json::from_value(serde_json::Value::Object(own)).map_err(|e| e.to_string())?;
        live.checked()
    }

    /// Itself, if it makes sense.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn checked(self) -> Result<Self, String> {
        if self.drain_timeout.is_some() && self.connections != Some(Fate::Drain) {
            return Err("`drain_timeout` goes with `connections` being `drain`".to_owned());
        }
        Ok(self)
    }
}

/// What a connection does whose route is replaced or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It goes on as it was.
    Keep,
    /// It has some time to end by itself, then it is cut.
    Drain,
    /// It is reset at once.
    Cut,
}

/// Makes these routes the only ones: opens and replaces what is asked for and closes everything else. All of it is done
/// or, where a route cannot be opened, nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// All routes that are wanted.
    pub routes: Vec<RouteSpec>,
    /// What becomes of the connections of routes that are replaced (default: they stay) or closed (default: they are
    /// cut, and cannot stay).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Fate>,
    /// With [`Fate::Drain`]: how long they have. Default 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<Span>,
}

/// The reply of [`Apply`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// All routes, in the order in which they were asked for.
    pub routes: Vec<RouteStatus>,
    /// Those that were open and are closed now.
    pub closed: Vec<String>,
}

/// The reply of `open`, and of `list`: routes as they really are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// In the order in which they were asked for.
    pub routes: Vec<RouteStatus>,
}

/// Reads a list of texts, or one alone, which is easier to write in a shell.
fn one_or_several<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text or a list of them")]
    enum Written {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::One(one) => vec![one],
        Written::Several(several) => several,
    })
}

/// Closes routes and their connections. An id that is not open is not an error: it is closed already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    /// Which.
    #[serde(deserialize_with = "one_or_several")]
    pub ids: Vec<String>,
    /// What becomes of their connections. Default: they are cut; they cannot stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Fate>,
    /// With [`Fate::Drain`]: how long they have. Default 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<Span>,
}

/// The reply of [`Close`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Those that were open and are closed now.
    pub closed: Vec<String>,
}

/// Lists the routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {}

/// Waits until something holds for routes: for each of them at the same moment. Not so in time is an error of the kind
/// `timeout`, which says what is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// Which routes; none named: all that are open.
    #[serde(default, deserialize_with = "one_or_several")]
    pub ids: Vec<String>,
    /// For what.
    pub until: Until,
    /// With [`Until::Connections`], how many. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// For how long at most. Default 30 s; 0 only looks.
    #[serde(default = "Wait::default_timeout")]
    pub timeout: Span,
}

impl Wait {
    const fn default_timeout() -> Span {
        Span::from_secs(30)
    }
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// The target accepts a connection. It is connected to, past the route, and closed again.
    Target,
    /// The route has accepted so many connections since it was opened.
    Connections,
    /// No connection is open.
    Idle,
}

/// Adds a fault to routes, beside those that they have; one of the same name is replaced. Params: the members of a
/// fault, with `id` or `ids`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub struct Fault {
    /// Which routes; none named: all that are open.
    pub ids: Vec<String>,
    /// The fault.
    #[serde(flatten)]
    pub fault: FaultSpec,
}

impl TryFrom<serde_json::Value> for Fault {
    type Error = String;

    fn try_from(mut value: serde_json::Value) -> Result<Self, String> {
        let members = value.as_object_mut().ok_or("an object was expected")?;
        let ids = match (members.remove("id"), members.remove("ids")) {
            (None, None) => Vec::new(),
            (Some(id), None) => vec![serde_json::from_value(id).map_err(|e| format!("`id`: {e}"))?],
            (None, Some(ids)) => one_or_several(ids).map_err(|e| format!("`ids`: {e}"))?,
            (Some(_), Some(_)) => return Err("`id` does not belong beside `ids`".to_owned()),
        };
        let fault: FaultSpec = serde_json::from_value(value).map_err(|e| e.to_string())?;
        let fault = fault.checked().map_err(|error| error.to_string())?;
        Ok(Self { ids, fault })
    }
}

/// Removes faults: service is normal again at once, for live connections as well. What there is not is no error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clear {
    /// Of which routes; none named: all that are open.
    #[serde(default, deserialize_with = "one_or_several")]
    pub ids: Vec<String>,
    /// Which faults; none named: all.
    #[serde(default, deserialize_with = "one_or_several")]
    pub names: Vec<String>,
}

/// Makes routes as if they were new, between two tests: no fault, nothing counted, not draining. Live connections stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Which routes; none named: all that are open.
    #[serde(default, deserialize_with = "one_or_several")]
    pub ids: Vec<String>,
}

/// Refuses new clients and waits until the last connection has ended. What is left then is an error of the kind `timeout`.
/// The routes stay, and refuse clients until they are opened again or `reset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Which routes; none named: all that are open.
    #[serde(default, deserialize_with = "one_or_several")]
    pub ids: Vec<String>,
    /// For how long at most. Default 30 s.
    #[serde(default = "Wait::default_timeout")]
    pub timeout: Span,
}

/// How is everything?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// The reply of [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// Every route.
    pub routes: Vec<RouteStatus>,
    /// Connections open right now, over all routes.
    pub connections: u64,
    /// The limit of open files after it was raised; a connection takes two.
    pub open_files_limit: u64,
    /// What chance is derived from (`--seed`).
    pub seed: u64,
}

/// A route as it really is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// What it is known by.
    pub id: String,
    /// Where it listens, with the real port: the first address.
    pub listen: ListenAddress,
    /// The other addresses that it listens on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<ListenAddress>,
    /// Where it relays to, as it was asked for.
    pub target: String,
    /// Connections open right now.
    pub active: u64,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Connections that found no target.
    pub failed: u64,
    /// Bytes relayed from clients to the target.
    pub bytes_up: u64,
    /// Bytes relayed from the target to clients.
    pub bytes_down: u64,
    /// Connections that ended by a reset, of either side or by a fault.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reset: u64,
    /// The last thing that went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The faults that it has now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultSpec>,
    /// It takes no new connections: it was drained.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for that form"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl fmt::Display for RouteStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.listen)?;
        for address in &self.also {
            write!(f, ", {address}")?;
        }
        write!(f, " -> {}", self.target)
    }
}

methods! {
    /// What `monday-tcpproxy` can be asked besides the common methods.
    "monday-tcpproxy" emits Event {
        /// Opens routes, all or none.
        open(Open) -> Routes;
        /// Makes these routes the only ones.
        apply(Apply) -> Applied;
        /// Closes routes.
        close(Close) -> Closed;
        /// Lists the routes.
        list(List) -> Routes;
        /// Waits until something holds.
        wait(Wait) -> Routes;
        /// Adds a fault to routes.
        fault(Fault) -> Routes;
        /// Removes faults.
        clear(Clear) -> Routes;
        /// Makes routes as if they were new.
        reset(Reset) -> Routes;
        /// Lets routes take no new connections and waits until the last one has ended.
        drain(Drain) -> Routes;
        /// The routes and the whole.
        status(Status) -> StatusReply;
    }
}

/// What `monday-tcpproxy` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// All routes of the command line are open. The first line of `--output json`.
    Ready {
        /// The routes, with their real ports.
        routes: Vec<RouteStatus>,
        /// What chance is derived from: `--seed` with this number makes it repeat itself.
        seed: u64,
        /// The process.
        pid: u32,
        /// The version of the executable.
        version: String,
        /// The control socket.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        control: Option<PathBuf>,
    },
    /// A route was opened or replaced.
    Opened(RouteStatus),
    /// A route was closed.
    Closed {
        /// Which.
        id: String,
    },
    /// The faults of a route are these now.
    Faults {
        /// Which route.
        id: String,
        /// All that it has.
        faults: Vec<FaultSpec>,
    },
    /// With `log_connections`: a client has connected.
    Connected {
        /// On which route.
        id: String,
        /// Who.
        client: String,
    },
    /// With `log_connections`: a connection has ended.
    Disconnected {
        /// On which route.
        id: String,
        /// Who had connected.
        client: String,
        /// What was relayed from the client to the target, in bytes.
        bytes_up: u64,
        /// What was relayed from the target to the client, in bytes.
        bytes_down: u64,
        /// How long it lasted.
        lasted: Span,
        /// How it ended, in words.
        outcome: String,
    },
    /// A connection found no target.
    DialFailed {
        /// On which route.
        id: String,
        /// Who connected.
        client: String,
        /// Why it did not get through.
        error: String,
    },
    /// A listener could not accept for a while (out of file descriptors); it goes on trying.
    AcceptFailed {
        /// On which route.
        id: String,
        /// Why.
        error: String,
    },
}

impl HubEvent for Event {}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { routes, .. } => {
                write!(f, "ready")?;
                for route in routes {
                    write!(f, "\n  {route}")?;
                }
                Ok(())
            }
            Self::Opened(route) => write!(f, "open, {route}"),
            Self::Closed { id } => write!(f, "{id}: closed"),
            Self::Faults { id, faults } if faults.is_empty() => write!(f, "{id}: no faults"),
            Self::Faults { id, faults } => {
                let names: Vec<String> = faults.iter().map(FaultSpec::known_as).collect();
                write!(f, "{id}: faults: {}", names.join(", "))
            }
            Self::Connected { id, client } => write!(f, "{id}: {client} connected"),
            Self::Disconnected {
                id,
                client,
                bytes_up,
                bytes_down,
                lasted,
                outcome,
            } => write!(
                f,
                "{id}: {client} ended after {lasted}, {bytes_up} bytes up, {bytes_down} down: {outcome}"
            ),
            Self::DialFailed { id, client, error } => {
                write!(f, "{id}: connection from {client} failed: {error}")
            }
            Self::AcceptFailed { id, error } => {
                write!(f, "{id}: cannot accept connections, trying on: {error}")
            }
        }
    }
}
