//! Everything before the first change: what is meant, whether it may be done, and what an earlier session left.

use std::sync::Arc;

use futures_util::future::join_all;
use monday_shared::protocol::fwd::{KubernetesRemoteSpec, RemoteMode};
use monday_shared::socket::lock::Lock;
use serde_json::Value;

use super::journal::{Entry, Journal, JournalError};
use super::objects::{Fault, Kind, Name, Objects};
use super::patch::marks::{self, Marks};
use super::preflight;
use super::undo::{Undone, undo};
use super::who;
use crate::kubernetes::cluster::Cluster;
use crate::scope::Scope;

/// Why a session does not come about.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A person has to do something.
    Final(String),
    /// It may work in a moment.
    ForNow(String),
}

impl Refused {
    /// What the API server's answer means for a session.
    pub(crate) fn of(
        fault: &Fault,
        what: &str,
        verb: &str,
        resource: &str,
        objects: &Objects,
    ) -> Self {
        let text = fault.explained(what, verb, resource, &objects.place);
        match (fault, fault.code()) {
            (Fault::Cluster(_), _) => Self::Final(text),
            (_, 0 | 429 | 500..) => Self::ForNow(text),
            _ => Self::Final(text),
        }
    }
}

impl From<JournalError> for Refused {
    fn from(error: JournalError) -> Self {
        Self::Final(error.to_string())
    }
}

/// What a session begins with.
pub(crate) struct Found {
    pub(crate) objects: Objects,
    /// What is changed.
    pub(crate) name: Name,
    /// As it is.
    pub(crate) current: Value,
    /// Whose pods are meant.
    pub(crate) deployment: Value,
    /// A session of ours that goes on.
    pub(crate) goes_on: Option<(Entry, Lock)>,
}

/// Finds out what is meant, and whether it may be done.
///
/// # Errors
/// [`Refused`]
pub(crate) async fn prepare(
    scope: &Scope,
    cluster: &Arc<Cluster>,
    spec: &KubernetesRemoteSpec,
    journal: &Journal,
) -> Result<Found, Refused> {
    let objects = Objects::of(Arc::clone(cluster), spec.namespace.as_deref())
        .await
        .map_err(|error| Refused::Final(error.to_string()))?;
    preflight::allowed(
        objects.place.context.as_deref(),
        spec.allowed_contexts.as_deref(),
    )
    .map_err(Refused::Final)?;
    loop {
        let deployment = deployment(&objects, spec).await?;
        let (kind, current) = match spec.mode {
            RemoteMode::Patch => (Kind::Deployment, deployment.clone()),
            RemoteMode::Service => (Kind::Service, service(&objects, &deployment).await?),
        };
        let name = Name {
            kind,
            name: preflight::name_of(&current).to_owned(),
        };
        let found = |goes_on| Found {
            objects: objects.clone(),
            name: name.clone(),
            current: current.clone(),
            deployment: deployment.clone(),
            goes_on,
        };
        if let Some(marks) = marks::read(&current) {
            match leftover(scope, &objects, &name, &marks, spec, journal).await? {
                Some(goes_on) => return Ok(found(Some(goes_on))),
                // It is as it was before that session.
                None => continue,
            }
        }
        preflight::replaceable(&deployment).map_err(Refused::Final)?;
        rights(&objects, spec.mode).await?;
        // Who may not ask is not told.
        let scalers = objects.list_of("/apis/autoscaling/v2", "horizontalpodautoscalers");
        let scalers = scalers.await.unwrap_or_default();
        for note in preflight::notes(&deployment, &scalers) {
            scope.warn(note);
        }
        return Ok(found(None));
    }
}

async fn deployment(objects: &Objects, spec: &KubernetesRemoteSpec) -> Result<Value, Refused> {
    let resource = Kind::Deployment.resource();
    if let Some(name) = &spec.deployment {
        let name = Name {
            kind: Kind::Deployment,
            name: name.clone(),
        };
        let got = objects.get(&name).await;
        return got.map_err(|fault| {
            Refused::of(
                &fault,
                &format!("cannot read {name}"),
                "get",
                resource,
                objects,
            )
        });
    }
    let all = objects
        .list(Kind::Deployment, None)
        .await
        .map_err(|fault| {
            Refused::of(&fault, "cannot list deployments", "list", resource, objects)
        })?;
    let place = &objects.place;
    preflight::choose(all, &spec.labels).map_err(|why| Refused::Final(format!("{why} ({place})")))
}

async fn service(objects: &Objects, deployment: &Value) -> Result<Value, Refused> {
    let resource = Kind::Service.resource();
    let all = objects
        .list(Kind::Service, None)
        .await
        .map_err(|fault| Refused::of(&fault, "cannot list services", "list", resource, objects))?;
    // One that is switched selects other pods for now: it is ours if the session says so.
    let uid = deployment.pointer("/metadata/uid");
    let is_switched = |service: &&Value| {
        let annotations = service.pointer("/metadata/annotations");
        let of = annotations.and_then(|annotations| annotations.get(super::take::OF));
        of.is_some() && of == uid
    };
    if let Some(switched) = all.iter().find(is_switched) {
        return Ok(switched.clone());
    }
    preflight::service_of(deployment, all).map_err(Refused::Final)
}

/// What to do about a session that is there already: go on with it if it is this one, put back what it changed if it is
/// over, else leave it alone.
async fn leftover(
    scope: &Scope,
    objects: &Objects,
    name: &Name,
    marks: &Marks,
    spec: &KubernetesRemoteSpec,
    journal: &Journal,
) -> Result<Option<(Entry, Lock)>, Refused> {
    let place = &objects.place;
    let id = &marks.holder.id;
    let taken = |by: &dyn std::fmt::Display| {
        Refused::Final(format!(
            "{name} ({place}) has a session already, of {by}: two at once are not possible; wait for its end, or ask them to end it"
        ))
    };
    let mut lock = None;
    if let Some(entry) = journal.read(id) {
        let got = match journal.lock(id) {
            Ok(lock) => lock,
            Err(JournalError::Held { pid }) if pid == std::process::id().to_string() => {
                return Err(Refused::Final(format!(
                    "{name} ({place}) is taken over by another forward of this process already"
                )));
            }
            Err(JournalError::Held { .. }) => return Err(taken(&marks.holder)),
            Err(error) => return Err(error.into()),
        };
        // As long as the lock is held nobody else acts on it.
        if journal.read(id).is_some() && entry.spec == *spec && marks.original.is_some() {
            return Ok(Some((entry, got)));
        }
        lock = Some(got);
    } else if !marks.expired && !who::is_gone(&marks.holder) {
        return Err(taken(&marks.holder));
    }
    scope.warn(format!(
        "{name} still had what a session of {} had put there; it is put back first",
        marks.holder
    ));
    let undone = undo(objects, name, Some(id)).await;
    let undone = undone.map_err(|error| {
        Refused::Final(format!(
            "{name} ({place}) cannot be put back from a session of before: {error}"
        ))
    })?;
    tracing::debug!(%name, ?undone, "what was left of a session is gone");
    if undone != Undone::Nothing || lock.is_some() {
        journal.remove(id);
    }
    drop(lock);
    Ok(None)
}

/// Asks for every right that will be needed, so that nothing is begun that cannot be ended.
async fn rights(objects: &Objects, mode: RemoteMode) -> Result<(), Refused> {
    let rights = preflight::rights(mode);
    let asked = rights
        .iter()
        .map(|(verb, group, resource)| objects.may(verb, group, resource, None));
    let forward = [("create", "pods/portforward"), ("get", "pods/portforward")];
    let ways = forward
        .iter()
        .map(|(verb, resource)| objects.may(verb, "", resource, None));
    let (asked, ways) = tokio::join!(join_all(asked), join_all(ways));
    let mut missing = Vec::new();
    for ((verb, _, resource), may) in rights.iter().zip(asked) {
        if !may.map_err(|fault| unasked(&fault, objects))? {
            missing.push(format!("`{verb}` on `{resource}`"));
        }
    }
    let mut way = false;
    for may in ways {
        way |= may.map_err(|fault| unasked(&fault, objects))?;
    }
    if !way {
        missing.push("`create` or `get` on `pods/portforward`".to_owned());
    }
    if missing.is_empty() {
        return Ok(());
    }
    let context = objects.place.context.as_ref();
    let context = context
        .map(|it| format!(" --context {it}"))
        .unwrap_or_default();
    Err(Refused::Final(format!(
        "rights are missing ({}): {}; nothing was changed; ask for a role with them, `kubectl{context} auth can-i --list --namespace {}` shows what you have",
        objects.place,
        missing.join(", "),
        objects.namespace
    )))
}

fn unasked(fault: &Fault, objects: &Objects) -> Refused {
    let resource = "selfsubjectaccessreviews";
    Refused::of(
        fault,
        "cannot ask which rights there are",
        "create",
        resource,
        objects,
    )
}
