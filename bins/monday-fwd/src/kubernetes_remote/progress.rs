//! How far the pods of a session are: decisions over what the API server says of them.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde_json::Value;

/// Why a container waits that will not run by itself.
const HOPELESS: [&str; 8] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "CreateContainerConfigError",
    "CreateContainerError",
    "CrashLoopBackOff",
];

/// How long a pod may wait for a node: a cluster that grows needs a while.
pub(crate) const SCHEDULED_WITHIN: Duration = Duration::from_secs(60);

/// A pod of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// The agent runs in it, and it is not about to end.
    pub(crate) runs: bool,
    pub(crate) ending: bool,
    pub(crate) ready: bool,
    /// Why it will not run.
    pub(crate) hopeless: Option<String>,
    /// Why no node takes it.
    pub(crate) unschedulable: Option<String>,
}

/// What matters of a pod in which that container is the agent.
pub(crate) fn facts(pod: &Pod, container: &str) -> Option<Facts> {
    let name = pod.metadata.name.clone()?;
    let ending = pod.metadata.deletion_timestamp.is_some();
    let status = pod.status.as_ref();
    let statuses = || {
        let containers = status.and_then(|status| status.container_statuses.as_ref());
        let init = status.and_then(|status| status.init_container_statuses.as_ref());
        containers.into_iter().chain(init).flatten()
    };
    let condition = |kind: &str| {
        let conditions = status.and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().find(|it| it.type_ == kind)
    };
    let agent = statuses().find(|it| it.name == container);
    let runs = agent
        .and_then(|it| it.state.as_ref())
        .is_some_and(|state| state.running.is_some());
    let unschedulable = condition("PodScheduled")
        .filter(|it| it.status == "False")
        .map(|it| {
            format!(
                "no node takes pod {name}: {}",
                it.message.as_deref().unwrap_or("no reason is given")
            )
        });
    Some(Facts {
        uid: pod.metadata.uid.clone()?,
        runs: runs && !ending,
        ending,
        ready: condition("Ready").is_some_and(|it| it.status == "True"),
        hopeless: (!ending)
            .then(|| statuses().find_map(|it| hopeless(&name, it)))
            .flatten(),
        unschedulable,
        name,
    })
}

fn hopeless(pod: &str, status: &ContainerStatus) -> Option<String> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    if !HOPELESS.contains(&reason) {
        return None;
    }
    let mut message = waiting.message.clone().unwrap_or_default();
    // What the container said last is more than that it is waited for.
    let last = status
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    if let Some(last) = last {
        let said = last.message.as_deref().unwrap_or_default();
        message = format!("{message}; it ended with status {} {said}", last.exit_code);
    }
    Some(format!(
        "container {} of pod {pod} cannot run with image {}: {reason}: {}",
        status.name,
        status.image,
        message.trim()
    ))
}

/// What the Deployment says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rollout {
    /// All of its pods are those of the newest template, and available.
    pub(crate) complete: bool,
    /// Why it makes no pods.
    pub(crate) refused: Option<String>,
}

/// What a Deployment says about its rollout.
pub(crate) fn rollout(deployment: &Value) -> Rollout {
    let number = |path: &str| deployment.pointer(path).and_then(Value::as_i64);
    let observed = number("/status/observedGeneration") >= number("/metadata/generation");
    let wanted = number("/spec/replicas").unwrap_or(1);
    let count = |name: &str| number(&format!("/status/{name}")).unwrap_or_default();
    let complete = observed
        && count("updatedReplicas") == wanted
        && count("replicas") == wanted
        && count("availableReplicas") == wanted;
    let conditions = deployment
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let refused = conditions.into_iter().flatten().find_map(|condition| {
        let is = |key: &str, value: &str| condition.get(key).and_then(Value::as_str) == Some(value);
        let failed = is("type", "ReplicaFailure") && is("status", "True");
        let late = is("type", "Progressing") && is("reason", "ProgressDeadlineExceeded");
        let message = condition
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or_default();
        (failed || late).then(|| format!("the cluster makes no pod of it: {message}"))
    });
    Rollout {
        complete,
        // Of a generation that is being worked on. What was said of one before says nothing.
        refused: refused.filter(|_| observed),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: Value) -> Facts {
        let pod = json!({"metadata": {"name": "web-1", "uid": "u"}, "status": status});
        facts(&serde_json::from_value(pod).unwrap(), "web").unwrap()
    }

    fn container(state: Value) -> Value {
        json!({"containerStatuses": [{
            "name": "web", "image": "i:1", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        }]})
    }

    #[test]
    fn an_agent_is_there_when_it_runs_and_not_when_it_is_ready() {
        let running = pod(container(json!({"running": {}})));
        assert!(running.runs && !running.ready && running.hopeless.is_none());
        let waiting = pod(container(
            json!({"waiting": {"reason": "ContainerCreating"}}),
        ));
        assert!(!waiting.runs && waiting.hopeless.is_none());
    }

    #[test]
    fn what_will_never_run_is_said_with_the_words_of_the_cluster() {
        let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "no such host"}});
        let why = pod(container(waiting)).hopeless.unwrap();
        assert!(
            why.contains("i:1") && why.ends_with("ErrImagePull: no such host"),
            "{why}"
        );
        let conditions = json!({"conditions": [{
            "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available",
        }]});
        let why = pod(conditions).unschedulable.unwrap();
        assert!(why.ends_with("0/1 nodes are available"), "{why}");
    }

    #[test]
    fn a_rollout_is_complete_when_all_pods_are_new_and_available() {
        let deployment = |updated: i64, observed: i64, conditions: Value| {
            json!({
                "metadata": {"generation": 2}, "spec": {"replicas": 2},
                "status": {
                    "observedGeneration": observed, "replicas": 2, "updatedReplicas": updated,
                    "availableReplicas": 2, "conditions": conditions,
                },
            })
        };
        assert!(rollout(&deployment(2, 2, json!([]))).complete);
        assert!(!rollout(&deployment(1, 2, json!([]))).complete);
        assert!(!rollout(&deployment(2, 1, json!([]))).complete);
        let quota =
            json!([{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]);
        let refused = rollout(&deployment(1, 2, quota.clone())).refused.unwrap();
        assert!(refused.ends_with("exceeded quota"), "{refused}");
        assert_eq!(rollout(&deployment(1, 1, quota)).refused, None);
    }
}
