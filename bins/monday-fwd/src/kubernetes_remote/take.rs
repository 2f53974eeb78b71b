//! The change of the cluster, noted before it is made.

use monday_shared::protocol::fwd::{RemoteMode, Step};
use monday_shared::socket::lock::Lock;
use serde_json::{Value, json};

use super::journal::{Entry, Journal, Process};
use super::keys::{Key, session_id};
use super::objects::{Kind, Name, Objects};
use super::patch::change::{Base, Change};
use super::patch::json_patch::{escaped, test};
use super::patch::marks::{self, Original, SESSION};
use super::patch::replace::{Wish, put_agent};
use super::patch::restore::{by_hand, guarded};
use super::prepare::{Found, Refused};
use super::undo::{command, stand_in, undo_until};
use super::{Surroundings, who};
use crate::kubernetes::kubeconfig;
use crate::scope::Scope;

/// On a Service that is switched: the uid of the Deployment whose pods it selects otherwise.
pub(crate) const OF: &str = "monday.internal/of";

/// The agent's image, unless another one is asked for. Nobody can own that name.
const IMAGE: &str = concat!("monday.internal/agent:", env!("CARGO_PKG_VERSION"));

/// How long it is tried to put back what may have been changed.
const UNDO_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// A session that has changed the cluster.
pub(crate) struct Taken {
    pub(crate) objects: Objects,
    pub(crate) entry: Entry,
    pub(crate) key: Key,
    /// The text of the annotation that says whose it is.
    pub(crate) holder: String,
    /// The Deployment whose pods are the agents.
    pub(crate) agents: Name,
    /// The container that is the agent.
    pub(crate) container: String,
    /// The port at which the agent says that the tunnel stands.
    pub(crate) ready_port: Option<u16>,
    /// The command that undoes it by hand.
    pub(crate) by_hand: String,
    /// Held as long as this is.
    pub(crate) _lock: Lock,
}

/// Why the cluster was not changed.
pub(crate) enum NotTaken {
    /// It has changed since it was looked at.
    Outdated,
    /// It is refused.
    Refused(Refused),
}

impl<T: Into<Refused>> From<T> for NotTaken {
    fn from(refused: T) -> Self {
        Self::Refused(refused.into())
    }
}

/// Whether an image has the agent in it, by its name.
fn is_agent(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.contains("agent")
}

/// Goes on with a session that is there already, whose process has died.
///
/// # Errors
/// [`NotTaken`]
pub(crate) async fn go_on(
    found: Found,
    entry: Entry,
    lock: Lock,
    journal: &Journal,
    surroundings: &Surroundings,
) -> Result<Taken, NotTaken> {
    let entry = Entry {
        holder: Process::own(),
        supervisor: surroundings.supervisor,
        ..entry
    };
    journal.write(&entry)?;
    let read = marks::read(&found.current);
    let original = read.and_then(|marks| marks.original).unwrap_or_default();
    let text = |key| {
        let annotations = found.current.pointer("/metadata/annotations");
        let text = annotations.and_then(|annotations| annotations.get(key)?.as_str());
        text.unwrap_or_default().to_owned()
    };
    let key = Key::read(&entry.key).map_err(|error| Refused::Final(error.to_string()))?;
    // Whoever looks at the object shall find a process that is there.
    let holder = who::holder(entry.id.clone());
    let renamed = json!([
        test(&annotation(SESSION), &json!(text(SESSION))),
        {"op": "replace", "path": annotation(SESSION), "value": marks::json_text(&holder)},
        {"op": "replace", "path": annotation(marks::EXPIRES), "value": marks::expiry()},
    ]);
    if let Err(fault) = found.objects.patch(&found.name, &renamed).await {
        if matches!(fault.code(), 409 | 422) {
            return Err(NotTaken::Outdated);
        }
        let what = format!("cannot go on with the session of {}", found.name);
        let resource = found.name.kind.resource();
        return Err(Refused::of(&fault, &what, "patch", resource, &found.objects).into());
    }
    let (agents, container, deployment) = match found.name.kind {
        Kind::Deployment => (found.name.clone(), original.container, &found.current),
        Kind::Service => (
            stand_in(&entry.id),
            AGENT_CONTAINER.to_owned(),
            &found.deployment,
        ),
    };
    let ready_port = match found.name.kind {
        Kind::Deployment => super::patch::replace::ready_port(deployment, &container),
        Kind::Service => Some(ready_port_beside(&found.deployment, &ports_of(&entry.spec))),
    };
    Ok(Taken {
        key,
        holder: marks::json_text(&holder),
        by_hand: text(marks::RESTORE),
        objects: found.objects,
        agents,
        container,
        ready_port,
        entry,
        _lock: lock,
    })
}

/// Where an annotation is.
fn annotation(key: &str) -> String {
    format!("/metadata/annotations/{}", escaped(key))
}

/// The name of the container of a Deployment of our own.
const AGENT_CONTAINER: &str = "agent";

fn ports_of(spec: &monday_shared::protocol::fwd::KubernetesRemoteSpec) -> Vec<u16> {
    spec.ports.iter().map(|port| port.port).collect()
}

/// What is to be made of an object, and what else it takes.
struct Plan {
    during: Value,
    original: Original,
    /// The Deployment that stands in for the pods of a service.
    stand_in: Option<Value>,
    container: String,
    ready_port: Option<u16>,
}

fn plan(found: &Found, entry: &Entry, key: &str) -> Result<Plan, Refused> {
    let spec = &entry.spec;
    let image = spec.image.as_deref().unwrap_or(IMAGE);
    let ports = ports_of(spec);
    let wish = Wish {
        session: &entry.id,
        container: spec.container.as_deref(),
        image,
        is_agent: is_agent(image),
        key,
        ports: &ports,
        skip_init: spec.skip_init,
    };
    let no_place = |error| Refused::Final(format!("{}: {error}", found.name));
    let mut during = found.current.clone();
    match spec.mode {
        RemoteMode::Patch => {
            let original = put_agent(&mut during, &wish).map_err(no_place)?;
            let container = original.container.clone();
            Ok(Plan {
                ready_port: super::patch::replace::ready_port(&during, &container),
                during,
                original,
                stand_in: None,
                container,
            })
        }
        RemoteMode::Service => {
            let selector = json!({SESSION: entry.id});
            let change = Change::make(&mut during, "", Base::Spec, &["selector"], Some(selector));
            let of = found
                .deployment
                .pointer("/metadata/uid")
                .cloned()
                .unwrap_or_default();
            let note = Change::make(
                &mut during,
                "",
                Base::Metadata,
                &["annotations", OF],
                Some(of),
            );
            let deployment = own_deployment(&found.deployment, &entry.id, &wish);
            Ok(Plan {
                during,
                original: Original {
                    container: String::new(),
                    changes: change.into_iter().chain(note).collect(),
                },
                ready_port: Some(ready_port_beside(&found.deployment, &ports)),
                stand_in: Some(deployment),
                container: AGENT_CONTAINER.to_owned(),
            })
        }
    }
}

/// The port for the probe of a Deployment of our own: one that the application's pods do not have, for a service may
/// lead to any of those.
fn ready_port_beside(deployment: &Value, ports: &[u16]) -> u16 {
    let pod = deployment
        .pointer("/spec/template/spec")
        .unwrap_or(&Value::Null);
    super::patch::replace::free_port(pod, ports)
}

/// A Deployment of one pod with the agent, whose ports have the names of the application's.
fn own_deployment(deployment: &Value, session: &str, wish: &Wish<'_>) -> Value {
    let labels = json!({SESSION: session});
    let ready_port = ready_port_beside(deployment, wish.ports);
    let containers = deployment.pointer("/spec/template/spec/containers");
    let declared = containers
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|container| container.get("ports")?.as_array())
        .flatten()
        .filter(|port| {
            wish.ports
                .iter()
                .any(|wanted| port.get("containerPort") == Some(&json!(wanted)))
        })
        .map(|port| {
            let mut port = port.clone();
            if let Some(port) = port.as_object_mut() {
                // Of the node, which has it already.
                port.remove("hostPort");
            }
            port
        });
    let declared: Vec<Value> = declared.collect();
    let mut spec = json!({
        "terminationGracePeriodSeconds": 2,
        "automountServiceAccountToken": false,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": AGENT_CONTAINER,
            "image": wish.image,
            "imagePullPolicy": "IfNotPresent",
            "ports": declared,
            "env": [
                {"name": super::patch::replace::KEY_VARIABLE, "value": wish.key},
                {"name": super::patch::replace::READY_PORT_VARIABLE, "value": ready_port.to_string()},
            ],
            "readinessProbe": {"tcpSocket": {"port": ready_port}, "periodSeconds": 1},
        }],
    });
    if wish.is_agent {
        spec["securityContext"]["runAsNonRoot"] = json!(true);
        spec["securityContext"]["sysctls"] = super::patch::replace::free_ports(&Value::Null);
        spec["containers"][0]["securityContext"] = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        });
    }
    // What pulls the application's images pulls the agent's.
    if let Some(secrets) = deployment.pointer("/spec/template/spec/imagePullSecrets") {
        spec["imagePullSecrets"] = secrets.clone();
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": stand_in(session).name, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    })
}

/// Notes what is about to be changed, and changes it.
///
/// # Errors
/// [`NotTaken`]; the cluster is as it was.
pub(crate) async fn take(
    found: Found,
    scope: &Scope,
    spec: &monday_shared::protocol::fwd::KubernetesRemoteSpec,
    journal: &Journal,
    surroundings: &Surroundings,
) -> Result<Taken, NotTaken> {
    let failed = |error: &dyn std::fmt::Display| Refused::Final(error.to_string());
    let key = Key::new().map_err(|error| failed(&error))?;
    let public = key.public().map_err(|error| failed(&error))?;
    let id = session_id().map_err(|error| failed(&error))?;
    let uid = found
        .current
        .pointer("/metadata/uid")
        .and_then(Value::as_str);
    let objects = found.objects.clone();
    let entry = Entry {
        spec: spec.clone(),
        context: objects.place.context.clone(),
        kubeconfig: kubeconfig::single(&super::wish(spec)),
        server: objects.place.server.clone(),
        namespace: objects.namespace.clone(),
        object: found.name.clone(),
        uid: uid.unwrap_or_default().to_owned(),
        key: key.text(),
        holder: Process::own(),
        supervisor: surroundings.supervisor,
        id,
    };
    let mut plan = plan(&found, &entry, &public)?;
    let operations = by_hand(&found.current, &plan.during, &plan.original.container);
    let by_hand = command(&objects, &found.name, &operations);
    let holder = who::holder(entry.id.clone());
    marks::put(&mut plan.during, &holder, &plan.original, &by_hand)
        .map_err(|error| failed(&format!("{}: {error}", found.name)))?;

    let lock = journal.lock(&entry.id)?;
    journal.write(&entry)?;
    scope.step(
        Step::Journalled,
        format!("session {} is noted on this machine", entry.id),
    );
    let changed = change(&objects, &found, &plan).await;
    let stored = match changed {
        Ok(stored) => stored,
        Err(not_taken) => {
            // An answer that did not come says nothing: see what is there.
            let until = tokio::time::Instant::now() + UNDO_WITHIN;
            match undo_until(&objects, &found.name, Some(&entry.id), until).await {
                Ok(_) => journal.remove(&entry.id),
                Err(error) => tracing::warn!(%error, "it is put back later"),
            }
            return Err(not_taken);
        }
    };
    note_what_was_stored(&objects, &found.name, stored, plan.original).await;
    scope.step(
        Step::Patched,
        format!(
            "{} ({}) leads here until this ends; to put it back by hand: {by_hand}",
            found.name, objects.place
        ),
    );
    let agents = match found.name.kind {
        Kind::Deployment => found.name.clone(),
        Kind::Service => stand_in(&entry.id),
    };
    Ok(Taken {
        holder: marks::json_text(&holder),
        container: plan.container,
        ready_port: plan.ready_port,
        objects,
        key,
        agents,
        by_hand,
        entry,
        _lock: lock,
    })
}

async fn change(objects: &Objects, found: &Found, plan: &Plan) -> Result<Value, NotTaken> {
    let (name, deployments) = (&found.name, Kind::Deployment.resource());
    if let Some(deployment) = &plan.stand_in {
        let made = objects.create(Kind::Deployment, deployment).await;
        made.map_err(|fault| {
            let what = "cannot make the Deployment that stands in for the pods of the service";
            Refused::of(&fault, what, "create", deployments, objects)
        })?;
    }
    let operations = Value::Array(guarded(&found.current, &plan.during));
    let fault = match objects.patch(name, &operations).await {
        Ok(stored) => return Ok(stored),
        Err(fault) => fault,
    };
    if matches!(fault.code(), 409 | 422) {
        let version = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
        let now = objects.get(name).await;
        if now.is_ok_and(|now| version(&now) != version(&found.current)) {
            return Err(NotTaken::Outdated);
        }
    }
    let what = format!("cannot change {name}, which stays as it is");
    Err(Refused::of(&fault, &what, "patch", name.kind.resource(), objects).into())
}

/// Where the server has stored something else than what was asked for, as admission webhooks make it: that is what is
/// ours, and to be taken back.
async fn note_what_was_stored(objects: &Objects, name: &Name, stored: Value, original: Original) {
    let Original {
        container,
        mut changes,
    } = original;
    let mut differs = false;
    let mut stored = stored;
    for change in &mut changes {
        let before = change.clone();
        change.note(&mut stored, &container);
        differs |= *change != before;
    }
    if !differs {
        return;
    }
    let text = marks::json_text(&Original { container, changes });
    let holder = marks::holder_text(&stored);
    let operations = json!([
        test(&annotation(SESSION), &json!(holder)),
        {"op": "replace", "path": annotation(marks::ORIGINAL), "value": text},
    ]);
    if let Err(error) = objects.patch(name, &operations).await {
        tracing::warn!(%name, %error, "what the server made of the change could not be noted");
    }
}
