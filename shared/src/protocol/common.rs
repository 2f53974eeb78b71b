//! What every executable of monday understands: `hello`, `subscribe` and `shutdown` (and a `status` of its own).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::method::Call;
use crate::duration::Span;

/// Who are you? The first thing that a client asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The protocol number that the client speaks; the server refuses one that it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u32>,
}

/// The reply to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply {
    /// The executable's name, such as `monday-run`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The number of the protocol that it speaks.
    pub protocol: u32,
    /// Its process id.
    pub pid: u32,
    /// Every method that it has.
    pub methods: Vec<String>,
}

impl Call for Hello {
    const METHOD: &'static str = "hello";
    type Reply = HelloReply;
}

/// How a subscriber wants bulk events (the output of apps); state events are never lost either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bulk {
    /// All that it takes in time; what it misses is counted in a `lagged` event. It slows nobody down.
    #[default]
    Lossy,
    /// All of it; a reader that is slow pushes back on whoever writes.
    Lossless,
    /// None.
    Skip,
}

/// Send me events from now on, as notifications on this connection. A second `subscribe` replaces the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// What to do about bulk events.
    #[serde(default)]
    pub bulk: Bulk,
    /// First of all, send what was written before: nothing of it, if this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Of bulk events, old and new, only those of these apps and their steps; if it is left out, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Vec<String>>,
}

/// How much of the output of before is wanted; all that is kept where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// At most so many lines of each app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<usize>,
    /// Only what is not older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Span>,
}

/// The reply to [`Subscribe`]: where things stand, so that no change between a `status` and a `subscribe` is missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubscribeReply {
    /// The number of the last event before the subscription; what follows has a higher one.
    pub seq: u64,
    /// What `status` replies at this moment. Events that follow may already be contained in it.
    pub status: Value,
    /// If the history was asked for: so many events of before follow, ahead of all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<usize>,
}

impl Call for Subscribe {
    const METHOD: &'static str = "subscribe";
    type Reply = SubscribeReply;
}

/// Clean up and end, with exit status 0. The reply comes at once; the connection closes when all is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {}

impl Call for Shutdown {
    const METHOD: &'static str = "shutdown";
    type Reply = Done;
}

/// The reply of a method that has nothing more to say: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// One thing or a list of things: `{"id":…}` or `{"<plural>":[{"id":…},…]}`, as a person would write it.
///
/// # Errors
/// Whatever is wrong with the one or with an item of the list, the item named by its place.
pub(crate) fn one_or_many<T: serde::de::DeserializeOwned>(
    plural: &str,
    value: Value,
) -> Result<Vec<T>, String> {
    let Value::Object(mut object) = value else {
        return Err("an object was expected".to_owned());
    };
    let Some(list) = object.remove(plural) else {
        return serde_json::from_value(Value::Object(object))
            .map(|one| vec![one])
            .map_err(|e| format!("{e} (or a list of them as `{plural}`)"));
    };
    if let Some(other) = object.keys().next() {
        return Err(format!("`{other}` does not belong beside `{plural}`"));
    }
    let Value::Array(items) = list else {
        return Err(format!("`{plural}` must be a list"));
    };
    items
        .into_iter()
        .enumerate()
        .map(|(at, item)| serde_json::from_value(item).map_err(|e| format!("{plural}[{at}]: {e}")))
        .collect()
}
