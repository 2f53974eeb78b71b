//! What a session writes on the object that it changes, in the same request that changes it: so that whoever finds the
//! object knows whose it is and how it was, and can put it back without asking anybody.

use std::time::Duration;

use monday_shared::timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::change::Change;
use super::json_patch::escaped;

/// Who has the session: [`Holder`] as JSON.
pub(crate) const SESSION: &str = "monday.internal/session";
/// How it was: [`Original`] as JSON.
pub(crate) const ORIGINAL: &str = "monday.internal/original";
/// Until when the session is good if nobody renews it.
pub(crate) const EXPIRES: &str = "monday.internal/expires";
/// The command that puts everything back by hand.
pub(crate) const RESTORE: &str = "monday.internal/restore";
/// The label by which all of them are found; on the template its counterpart is [`SESSION`].
pub(crate) const REMOTE: &str = "monday.internal/remote";

const ANNOTATIONS: &str = "annotations";
const LABELS: &str = "labels";

/// All marks: in which map of the metadata, and as what.
pub(crate) const ALL: [(&str, &str); 5] = [
    (ANNOTATIONS, SESSION),
    (ANNOTATIONS, ORIGINAL),
    (ANNOTATIONS, EXPIRES),
    (ANNOTATIONS, RESTORE),
    (LABELS, REMOTE),
];

/// How long a session is good without being renewed. It is renewed three times as often.
pub(crate) const GOOD_FOR: Duration = Duration::from_secs(60);

/// All annotations of an object may have 256 KiB together; there are others than ours.
const ANNOTATION_BYTES: usize = 200 * 1024;

/// Who has a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// The session.
    pub(crate) id: String,
    /// Who.
    pub(crate) user: String,
    /// On which machine.
    pub(crate) host: String,
    /// As which process.
    pub(crate) pid: u32,
    /// Since when.
    pub(crate) since: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            user,
            host,
            pid,
            since,
            ..
        } = self;
        write!(f, "{user} on {host} (process {pid}, since {since})")
    }
}

/// How an object was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Original {
    /// The replaced container; empty for an object without containers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) container: String,
    /// What was changed, in the order in which it was.
    pub(crate) changes: Vec<Change>,
}

/// What is written on an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Marks {
    pub(crate) holder: Holder,
    /// Nothing if it cannot be understood.
    pub(crate) original: Option<Original>,
    /// The time is over in which the session was good.
    pub(crate) expired: bool,
}

/// Why an object cannot be marked.
#[derive(Debug, thiserror::Error)]
#[error(
    "what has to be noted of it has {bytes} bytes, and annotations may have {ANNOTATION_BYTES}"
)]
pub(crate) struct TooLong {
    bytes: usize,
}

/// Writes a session on an object.
///
/// # Errors
/// [`TooLong`]
pub(crate) fn put(
    object: &mut Value,
    holder: &Holder,
    original: &Original,
    by_hand: &str,
) -> Result<(), TooLong> {
    let texts = [
        (SESSION, json_text(holder)),
        (ORIGINAL, json_text(original)),
        (EXPIRES, expiry()),
        (RESTORE, by_hand.to_owned()),
    ];
    let bytes = texts.iter().map(|(key, text)| key.len() + text.len()).sum();
    if bytes > ANNOTATION_BYTES {
        return Err(TooLong { bytes });
    }
    if let Some(annotations) = map_of(object, ANNOTATIONS) {
        for (key, text) in texts {
            annotations.insert(key.to_owned(), text.into());
        }
    }
    if let Some(labels) = map_of(object, LABELS) {
        labels.insert(REMOTE.to_owned(), "1".into());
    }
    Ok(())
}

/// As JSON. It cannot fail: the maps of these types have texts as keys.
pub(crate) fn json_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// When a session ends that is renewed now.
pub(crate) fn expiry() -> String {
    timestamp::written(std::time::SystemTime::now() + GOOD_FOR)
}

/// The patch that renews a session, if the object still has it.
pub(crate) fn renewal(holder: &str) -> Value {
    let path = |key| format!("/metadata/annotations/{}", escaped(key));
    json!([
        {"op": "test", "path": path(SESSION), "value": holder},
        {"op": "replace", "path": path(EXPIRES), "value": expiry()},
    ])
}

/// The session on an object, as it was written.
pub(crate) fn holder_text(object: &Value) -> Option<&str> {
    annotation(object, SESSION)
}

/// Reads what is written on an object; nothing if there is no session.
pub(crate) fn read(object: &Value) -> Option<Marks> {
    let session = annotation(object, SESSION);
    let label = object
        .pointer("/metadata/labels")
        .and_then(|labels| labels.get(REMOTE));
    if session.is_none() && label.is_none() {
        return None;
    }
    let holder = session
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_else(|| Holder {
            id: String::new(),
            user: "somebody".to_owned(),
            host: "an unknown machine".to_owned(),
            pid: 0,
            since: "an unknown time".to_owned(),
        });
    let original = annotation(object, ORIGINAL).and_then(|text| serde_json::from_str(text).ok());
    // What is no moment is no reason to wait for it.
    let expired = annotation(object, EXPIRES)
        .and_then(timestamp::age)
        .is_none_or(|age| !age.is_zero());
    Some(Marks {
        holder,
        original,
        expired,
    })
}

/// Takes all marks off an object.
pub(crate) fn remove(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for (map, key) in ALL {
        let Some(there) = metadata.get_mut(map).and_then(Value::as_object_mut) else {
            continue;
        };
        there.remove(key);
        if there.is_empty() {
            metadata.remove(map);
        }
    }
}

fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

fn map_of<'a>(object: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    metadata
        .entry(name)
        .or_insert_with(|| json!({}))
        .as_object_mut()
}
