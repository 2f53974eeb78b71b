//! The envelope: requests, replies and notifications (JSON-RPC 2.0).
//!
//! Two things are looser than the specification, for people who type: `"jsonrpc"` may be left out of a request, and
//! `params` that are left out count as `{}`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::RpcError;

/// Always `"2.0"` in what we send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// The only version.
    #[default]
    #[serde(rename = "2.0")]
    V2,
}

/// The name of a request, chosen by the client and given back with the reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
    /// The id of a reply to something that could not be read as a request.
    Null,
}

/// What a client sends. Without an `id` it is a notification and gets no reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// May be left out.
    #[serde(default)]
    pub jsonrpc: Version,
    /// The name of the request.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub id: Option<Id>,
    /// What to do.
    pub method: String,
    /// With what; an object.
    #[serde(default = "no_params")]
    pub params: Value,
}

/// An `id` that is there counts as one even when it is `null`.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Id>, D::Error> {
    Id::deserialize(deserializer).map(Some)
}

fn no_params() -> Value {
    Value::Object(serde_json::Map::new())
}

/// What a server sends back, once per request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Always `"2.0"`.
    pub jsonrpc: Version,
    /// The request's id, `null` where it could not be read.
    pub id: Id,
    /// What came out.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Exactly one of the two members of a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done; the value says what really was.
    Result(Value),
    /// It was not done.
    Error(RpcError),
}

impl Reply {
    /// The reply to the request of that id.
    #[must_use]
    pub fn new(id: Id, outcome: Result<Value, RpcError>) -> Self {
        Self {
            jsonrpc: Version::V2,
            id,
            outcome: match outcome {
                Ok(value) => Outcome::Result(value),
                Err(error) => Outcome::Error(error),
            },
        }
    }
}

/// The method of the notifications that carry events.
pub const EVENT_METHOD: &str = "event";

/// An event as a subscriber gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification<E> {
    /// Always `"2.0"`.
    pub jsonrpc: Version,
    /// Always [`EVENT_METHOD`].
    pub method: String,
    /// The event and its number.
    pub params: Stamped<E>,
}

/// An event with its number. Numbers rise by one within the life of an executable, over all of its events; a
/// subscriber that left out kinds of events sees gaps, and one that was too slow is told by a `lagged` event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped<E> {
    /// The number.
    pub seq: u64,
    /// The event; its member `event` names it.
    #[serde(flatten)]
    pub event: E,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_leave_out_version_and_parameters() {
        let request: Request = serde_json::from_str(r#"{"id":1,"method":"hello"}"#).unwrap();
        assert_eq!(request.id, Some(Id::Number(1)));
        assert_eq!(request.params, no_params());
    }

    #[test]
    fn a_null_id_is_an_id_and_a_missing_one_is_a_notification() {
        let null: Request = serde_json::from_str(r#"{"id":null,"method":"hello"}"#).unwrap();
        assert_eq!(null.id, Some(Id::Null));
        let none: Request = serde_json::from_str(r#"{"method":"hello"}"#).unwrap();
        assert_eq!(none.id, None);
    }

    #[test]
    fn a_reply_has_either_result_or_error() {
        let reply = Reply::new(Id::Number(7), Ok(Value::Bool(true)));
        assert_eq!(
            serde_json::to_string(&reply).unwrap(),
            r#"{"jsonrpc":"2.0","id":7,"result":true}"#
        );
        let text = serde_json::to_string(&Reply::new(
            Id::Null,
            Err(RpcError::unknown_method("x", "monday-run")),
        ))
        .unwrap();
        assert!(text.contains(r#""code":-32601"#) && text.contains(r#""kind":"unknown_method""#));
        assert!(serde_json::from_str::<Reply>(&text).is_ok());
    }
}
