//! Puts an object back: from what it says itself, whoever changed it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::objects::{Fault, Kind, Name, Objects};
use super::patch::marks;
use super::patch::restore::{from_replica_set, guarded, has_session, restored};

/// How often the object may change under our hands.
const TRIES: u32 = 10;

/// How often it is tried while the API server does not answer.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undone {
    /// It is as it was.
    Restored,
    /// Somebody else has put another image in meanwhile; only what was ours is gone.
    KeptTheirs,
    /// There was nothing of that session on it (any more), or it is gone.
    Nothing,
}

/// Why it could not be put back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UndoError {
    /// The API server.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It says no more how it was, and nothing else does.
    #[error(
        "the annotation that says how {0} was is damaged, and there is no ReplicaSet of before; `kubectl rollout undo` or applying its file again puts it back"
    )]
    Lost(Name),
    /// It changes all the time.
    #[error("{0} was changed by others each time it was to be put back")]
    Busy(Name),
}

impl UndoError {
    /// May it work in a moment?
    fn may_pass(&self) -> bool {
        match self {
            Self::Fault(fault) => matches!(fault.code(), 0 | 401 | 409 | 429 | 500..),
            Self::Lost(_) => false,
            Self::Busy(_) => true,
        }
    }
}

/// Puts an object back if it has that session, or any if none is said.
///
/// # Errors
/// [`UndoError`]
pub(crate) async fn undo(
    objects: &Objects,
    name: &Name,
    session: Option<&str>,
) -> Result<Undone, UndoError> {
    for _ in 0..TRIES {
        let current = match objects.get(name).await {
            Ok(current) => current,
            Err(fault) if fault.code() == 404 => return Ok(Undone::Nothing),
            Err(fault) => return Err(fault.into()),
        };
        if session.is_some_and(|id| !has_session(&current, id)) {
            remove_agent(objects, name, session).await?;
            return Ok(Undone::Nothing);
        }
        let Some(marks) = marks::read(&current) else {
            return Ok(Undone::Nothing);
        };
        let (wanted, undone) = match restored(&current, &marks) {
            Ok(restored) if restored.deployed_meanwhile => (restored.object, Undone::KeptTheirs),
            Ok(restored) => (restored.object, Undone::Restored),
            Err(_) if name.kind == Kind::Deployment => (
                from_replica_sets(objects, name, &current).await?,
                Undone::Restored,
            ),
            Err(_) => return Err(UndoError::Lost(name.clone())),
        };
        let operations = Value::Array(guarded(&current, &wanted));
        match objects.patch(name, &operations).await {
            Ok(_) => {
                remove_agent(objects, name, Some(&marks.holder.id)).await?;
                return Ok(undone);
            }
            // Somebody was quicker: see what it is now.
            Err(fault) if matches!(fault.code(), 409 | 422) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Err(UndoError::Busy(name.clone()))
}

/// The same, again and again until that time while it may work in a moment.
///
/// # Errors
/// [`UndoError`], the last one.
pub(crate) async fn undo_until(
    objects: &Objects,
    name: &Name,
    session: Option<&str>,
    until: Instant,
) -> Result<Undone, UndoError> {
    loop {
        match undo(objects, name, session).await {
            Err(error) if error.may_pass() && Instant::now() + AGAIN_AFTER < until => {
                tracing::debug!(%error, "it is tried again");
                sleep(AGAIN_AFTER).await;
            }
            done => return done,
        }
    }
}

/// The Deployment that stands in for the pods of a service, if the object is one.
async fn remove_agent(objects: &Objects, name: &Name, session: Option<&str>) -> Result<(), Fault> {
    let (Kind::Service, Some(session)) = (name.kind, session) else {
        return Ok(());
    };
    match objects.delete(&stand_in(session)).await {
        Err(fault) if fault.code() != 404 => Err(fault),
        _ => Ok(()),
    }
}

/// The name of the Deployment that stands in for the pods of a service.
pub(crate) fn stand_in(session: &str) -> Name {
    Name {
        kind: Kind::Deployment,
        name: format!("monday-{session}"),
    }
}

/// With the template of the newest `ReplicaSet` of before.
async fn from_replica_sets(
    objects: &Objects,
    name: &Name,
    current: &Value,
) -> Result<Value, UndoError> {
    let sets = objects.list_of("/apis/apps/v1", "replicasets").await?;
    let uid = current.pointer("/metadata/uid");
    let is_of_before = |set: &&Value| {
        let owners = set
            .pointer("/metadata/ownerReferences")
            .and_then(Value::as_array);
        let owned = owners
            .into_iter()
            .flatten()
            .any(|owner| owner.get("uid") == uid);
        let labels = set.pointer("/spec/template/metadata/labels");
        owned && labels.is_none_or(|labels| labels.get(marks::SESSION).is_none())
    };
    let revision = |set: &&Value| -> u64 {
        set.pointer("/metadata/annotations")
            .and_then(|annotations| {
                annotations
                    .get("deployment.kubernetes.io/revision")?
                    .as_str()
            })
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    };
    let newest = sets.iter().filter(is_of_before).max_by_key(revision);
    let newest = newest.ok_or_else(|| UndoError::Lost(name.clone()))?;
    Ok(from_replica_set(current, newest))
}

/// The line for people that undoes it, as a shell takes it.
pub(crate) fn command(objects: &Objects, name: &Name, operations: &[Value]) -> String {
    let context = objects.place.context.as_ref();
    let context = context
        .map(|it| format!(" --context {it}"))
        .unwrap_or_default();
    // A quote within quotes, as sh(1) wants it.
    let operations = json!(operations).to_string().replace('\'', r"'\''");
    format!(
        "kubectl{context} --namespace {} patch {} {} --type json --patch '{operations}'",
        objects.namespace,
        name.kind.word(),
        name.name
    )
}
