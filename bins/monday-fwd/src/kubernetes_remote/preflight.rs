//! Whether a Deployment may be changed at all: decisions over what was read.

use std::collections::BTreeMap;

use monday_shared::protocol::fwd::RemoteMode;
use serde_json::Value;

use super::objects::Kind;

/// Parts of names of contexts in which nothing is changed unless they are allowed.
const GUARDED: [&str; 2] = ["prod", "live"];

/// Who puts back what others change: the domain of their annotations and labels, and their name.
const OWNERS: [(&str, &str); 2] = [
    ("argocd.argoproj.io", "Argo CD"),
    (".toolkit.fluxcd.io", "Flux"),
];

/// May Deployments be changed in that context? If not, why.
///
/// # Errors
/// The reason, and what to do.
pub(crate) fn allowed(context: Option<&str>, list: Option<&[String]>) -> Result<(), String> {
    let Some(context) = context else {
        return Ok(());
    };
    if let Some(list) = list {
        if list.iter().any(|name| name == context) {
            return Ok(());
        }
        return Err(format!(
            "context {context} is not one of those in which workloads may be replaced ({}); add it to `allow_remote` (`--allow-context`) if that is really meant",
            list.join(", ")
        ));
    }
    let lower = context.to_lowercase();
    match GUARDED.iter().find(|part| lower.contains(*part)) {
        None => Ok(()),
        Some(part) => Err(format!(
            "context {context} is on the guard list, for its name contains `{part}`: nothing is changed there; if that is really meant, allow it: `allow_remote: [{context}]` in the file, `--allow-context {context}` on the command line"
        )),
    }
}

/// The one Deployment whose pods have these labels, else the one that has them itself.
///
/// # Errors
/// There is none, or there are several.
pub(crate) fn choose(
    deployments: Vec<Value>,
    labels: &BTreeMap<String, String>,
) -> Result<Value, String> {
    let wanted: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let wanted = wanted.join(",");
    let has = |deployment: &Value, path: &str| {
        let there = deployment.pointer(path);
        labels.iter().all(|(key, value)| {
            there.and_then(|there| there.get(key)?.as_str()) == Some(value.as_str())
        })
    };
    let name = |deployment: &Value| name_of(deployment).to_owned();
    for path in ["/spec/template/metadata/labels", "/metadata/labels"] {
        let mut found: Vec<Value> = deployments
            .iter()
            .filter(|it| has(it, path))
            .cloned()
            .collect();
        if found.len() > 1 {
            let names: Vec<_> = found.iter().map(name).collect();
            return Err(format!(
                "there are {} Deployments with {wanted}: {}; name the one that is meant (`deployment/NAME`, `deployment:`)",
                found.len(),
                names.join(", ")
            ));
        }
        if let Some(found) = found.pop() {
            return Ok(found);
        }
    }
    let names: Vec<_> = deployments.iter().map(name).collect();
    let known = if names.is_empty() {
        "there are none at all".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    };
    Err(format!("there is no Deployment with {wanted}: {known}"))
}

/// The name of an object.
pub(crate) fn name_of(object: &Value) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Is the Deployment in a state in which it can be replaced?
///
/// # Errors
/// Why not, and what to do.
pub(crate) fn replaceable(deployment: &Value) -> Result<(), String> {
    let name = name_of(deployment);
    if deployment.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return Err(format!(
            "deployment/{name} is paused, so that its pods would not be replaced; `kubectl rollout resume deployment/{name}` first"
        ));
    }
    if deployment.pointer("/metadata/deletionTimestamp").is_some() {
        return Err(format!("deployment/{name} is being deleted"));
    }
    if deployment.pointer("/spec/replicas").and_then(Value::as_u64) == Some(0) {
        return Err(format!(
            "deployment/{name} has no pods (replicas: 0); `kubectl scale deployment/{name} --replicas 1` first"
        ));
    }
    Ok(())
}

/// What a person should know of a Deployment that is replaced.
pub(crate) fn notes(deployment: &Value, autoscalers: &[Value]) -> Vec<String> {
    let name = name_of(deployment);
    let mut notes = Vec::new();
    let keys = ["annotations", "labels"].into_iter().flat_map(|map| {
        let there = deployment.pointer(&format!("/metadata/{map}"));
        there
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|map| map.keys())
    });
    let owner = keys.into_iter().find_map(|key| {
        let domain = key.split('/').next()?;
        OWNERS
            .iter()
            .find(|(of, _)| domain.ends_with(of))
            .map(|(_, owner)| owner)
    });
    if let Some(owner) = owner {
        notes.push(format!(
            "deployment/{name} belongs to {owner}, which may put the original back at any time: suspend it there while you work"
        ));
    }
    let strategy = deployment
        .pointer("/spec/strategy/type")
        .and_then(Value::as_str);
    if strategy == Some("Recreate") {
        notes.push(format!(
            "deployment/{name} is of strategy Recreate: nothing answers while its pods are replaced"
        ));
    }
    let scales = |autoscaler: &&Value| {
        let target = autoscaler.pointer("/spec/scaleTargetRef");
        target.is_some_and(|it| it["kind"] == "Deployment" && it["name"] == name)
    };
    if let Some(autoscaler) = autoscalers.iter().find(scales) {
        notes.push(format!(
            "deployment/{name} is scaled by the HorizontalPodAutoscaler {}: pods that it adds lead here as well",
            name_of(autoscaler)
        ));
    }
    notes
}

/// A right that is needed: the verb, the group and the resource.
pub(crate) type Right = (&'static str, &'static str, &'static str);

/// The rights that are needed.
pub(crate) fn rights(mode: RemoteMode) -> Vec<Right> {
    let deployments = Kind::Deployment.resource();
    let mut rights = vec![
        ("get", "apps", deployments),
        ("watch", "apps", deployments),
        ("list", "", "pods"),
        ("watch", "", "pods"),
    ];
    match mode {
        RemoteMode::Patch => rights.push(("patch", "apps", deployments)),
        RemoteMode::Service => rights.extend([
            ("list", "apps", deployments),
            ("create", "apps", deployments),
            ("delete", "apps", deployments),
            ("list", "", Kind::Service.resource()),
            ("watch", "", Kind::Service.resource()),
            ("patch", "", Kind::Service.resource()),
        ]),
    }
    rights
}

/// The one Service that selects the pods of a Deployment.
///
/// # Errors
/// There is none, or there are several.
pub(crate) fn service_of(deployment: &Value, services: Vec<Value>) -> Result<Value, String> {
    let name = name_of(deployment);
    let labels = deployment.pointer("/spec/template/metadata/labels");
    let selects = |service: &Value| {
        let selector = service.pointer("/spec/selector").and_then(Value::as_object);
        selector.is_some_and(|selector| {
            !selector.is_empty()
                && selector
                    .iter()
                    .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
        })
    };
    let mut found: Vec<Value> = services.into_iter().filter(selects).collect();
    if found.len() > 1 {
        let names: Vec<_> = found.iter().map(name_of).collect();
        return Err(format!(
            "several Services select the pods of deployment/{name}: {}; with `mode: service` there has to be one, use `mode: patch`",
            names.join(", ")
        ));
    }
    found.pop().ok_or_else(|| {
        format!("no Service selects the pods of deployment/{name}, so that `mode: service` has nothing to switch; use `mode: patch`")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn contexts_that_sound_like_production_are_guarded_unless_they_are_allowed() {
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(allowed(Some("dev"), None), Ok(()));
        assert_eq!(allowed(None, None), Ok(()));
        for guarded in ["prod", "eu-PROD-1", "live.shop"] {
            assert!(allowed(Some(guarded), None).is_err(), "{guarded}");
        }
        assert_eq!(allowed(Some("prod"), Some(&list(&["prod"]))), Ok(()));
        assert!(allowed(Some("dev"), Some(&list(&["test"]))).is_err());
    }

    fn deployment(name: &str, labels: &Value) -> Value {
        json!({"metadata": {"name": name}, "spec": {"template": {"metadata": {"labels": labels}}}})
    }

    #[test]
    fn labels_mean_one_deployment_or_none() {
        let all = || {
            vec![
                deployment("a", &json!({"app": "a", "tier": "x"})),
                deployment("b", &json!({"app": "b", "tier": "x"})),
            ]
        };
        let of = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
        assert_eq!(name_of(&choose(all(), &of("app", "b")).unwrap()), "b");
        let several = choose(all(), &of("tier", "x")).unwrap_err();
        assert!(several.contains("a, b"), "{several}");
        let none = choose(all(), &of("app", "c")).unwrap_err();
        assert!(none.contains("app=c") && none.contains("a, b"), "{none}");
    }

    #[test]
    fn what_would_not_work_is_refused_and_what_may_surprise_is_noted() {
        let mut it = deployment("web", &json!({}));
        assert_eq!(replaceable(&it), Ok(()));
        assert_eq!(notes(&it, &[]), Vec::<String>::new());
        it["spec"]["paused"] = json!(true);
        assert!(replaceable(&it).unwrap_err().contains("rollout resume"));
        it["spec"]["paused"] = json!(false);
        it["spec"]["replicas"] = json!(0);
        assert!(replaceable(&it).unwrap_err().contains("replicas: 0"));
        it["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": "x"});
        it["spec"]["strategy"] = json!({"type": "Recreate"});
        let scaler = json!({
            "metadata": {"name": "h"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}},
        });
        let notes = notes(&it, &[scaler]);
        assert_eq!(notes.len(), 3, "{notes:?}");
    }

    #[test]
    fn one_service_is_switched_and_not_one_of_several() {
        let it = deployment("web", &json!({"app": "web", "tier": "x"}));
        let service = |name: &str, selector: Value| json!({"metadata": {"name": name}, "spec": {"selector": selector}});
        let (own, other) = (
            service("web", json!({"app": "web"})),
            service("db", json!({"app": "db"})),
        );
        let headless = service("none", json!({}));
        let found = service_of(&it, vec![own.clone(), other.clone(), headless]).unwrap();
        assert_eq!(name_of(&found), "web");
        assert!(service_of(&it, vec![other]).is_err());
        let tier = service("tier", json!({"tier": "x"}));
        assert!(
            service_of(&it, vec![own, tier])
                .unwrap_err()
                .contains("web, tier")
        );
    }
}
