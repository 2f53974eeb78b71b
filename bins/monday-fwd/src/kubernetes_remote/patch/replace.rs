//! Puts the agent in the place of a container of a Deployment.

use serde_json::{Value, json};

use super::change::{Base, Change};
use super::marks::{Original, SESSION};

/// Where the agent, or an ordinary sshd made for this, listens in the pod.
pub(crate) const AGENT_PORT: u16 = 5022;

/// From here on a port is looked for at which the agent says that the tunnel stands.
const FIRST_READY_PORT: u16 = 5023;

/// Where the agent finds the key of whoever may use it.
pub(crate) const KEY_VARIABLE: &str = "MONDAY_AGENT_KEY";

/// Where it finds the port at which it says that the tunnel stands. An ordinary sshd does not: that port is forwarded
/// then, and answered here.
pub(crate) const READY_PORT_VARIABLE: &str = "MONDAY_AGENT_READY_PORT";

/// The agent's program in its own image.
const AGENT_PROGRAM: &str = "/monday-agent";

/// Ports below this one need a privilege or this setting of the pod.
const FIRST_FREE_PORT: u16 = 1024;
const FREE_PORTS_SETTING: &str = "net.ipv4.ip_unprivileged_port_start";

/// How long an agent may take to end: it has nothing to finish.
const GRACE_SECONDS: u32 = 2;

/// What the agent is put in for.
#[derive(Clone, Debug)]
pub(crate) struct Wish<'a> {
    /// The session.
    pub(crate) session: &'a str,
    /// The container to replace, if it was said.
    pub(crate) container: Option<&'a str>,
    /// The image.
    pub(crate) image: &'a str,
    /// The image has the agent in it, and not an ordinary sshd.
    pub(crate) is_agent: bool,
    /// The public key of whoever may use it.
    pub(crate) key: &'a str,
    /// The ports that are forwarded.
    pub(crate) ports: &'a [u16],
    /// Leave out the init containers.
    pub(crate) skip_init: bool,
}

/// Why there is no place for the agent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    /// There is no container of that name.
    #[error("it has no container `{name}`: it has {known}")]
    NoContainer {
        /// The name.
        name: String,
        /// Those that are there.
        known: String,
    },
    /// It is not clear which container is meant.
    #[error(
        "none of its containers declares port {port}, so that it is not clear which one to replace: say it (`--container`, `container:`), there are {known}"
    )]
    Unclear {
        /// The first port that is forwarded.
        port: u16,
        /// The containers.
        known: String,
    },
    /// There are no containers.
    #[error("it has no containers")]
    Empty,
    /// The pods are not separated from their node.
    #[error(
        "its pods use the network of their node (hostNetwork), where the agent would take the node's ports; use `mode: service`"
    )]
    HostNetwork,
}

/// Puts the agent in the place of a container, and returns what it takes to undo that.
///
/// Everything else stays: ports (services know them by their names), variables, volumes, resources, security contexts.
/// Init containers stay as well, unless it was said that they shall not.
///
/// # Errors
/// [`NoPlace`]; nothing is changed then.
pub(crate) fn put_agent(deployment: &mut Value, wish: &Wish<'_>) -> Result<Original, NoPlace> {
    let pod = deployment
        .pointer("/spec/template/spec")
        .ok_or(NoPlace::Empty)?;
    if pod.get("hostNetwork") == Some(&Value::Bool(true)) {
        return Err(NoPlace::HostNetwork);
    }
    let name = choose(pod, wish)?.to_owned();
    let ready_port = free_port(pod, wish.ports);
    let container = list(pod, "containers").find(|it| name_of(it) == name);
    let probe = readiness(
        container.and_then(|container| container.get("readinessProbe")),
        wish.is_agent,
        ready_port,
    );
    let sysctls = wish
        .ports
        .iter()
        .any(|port| *port < FIRST_FREE_PORT)
        .then(|| free_ports(pod));
    let variables = container.and_then(|container| container.get("env").cloned());
    let variables = variables.unwrap_or_else(|| json!([]));

    let mut changes = Vec::new();
    let mut set = |base, path: &[&str], value: Option<Value>| {
        changes.extend(Change::make(deployment, &name, base, path, value));
    };
    set(
        Base::Template,
        &["metadata", "labels", SESSION],
        Some(json!(wish.session)),
    );
    // The switch is wanted at once.
    set(Base::Spec, &["minReadySeconds"], None);
    set(
        Base::Pod,
        &["terminationGracePeriodSeconds"],
        Some(json!(GRACE_SECONDS)),
    );
    // Whoever opens those gates knows the application.
    set(Base::Pod, &["readinessGates"], None);
    if wish.skip_init {
        set(Base::Pod, &["initContainers"], None);
    }
    if let Some(sysctls) = sysctls {
        set(Base::Pod, &["securityContext", "sysctls"], Some(sysctls));
    }
    set(Base::Container, &["image"], Some(json!(wish.image)));
    set(
        Base::Container,
        &["imagePullPolicy"],
        Some(json!("IfNotPresent")),
    );
    // All of these are about the application.
    for key in [
        "command",
        "args",
        "workingDir",
        "livenessProbe",
        "startupProbe",
        "lifecycle",
    ] {
        set(Base::Container, &[key], None);
    }
    set(Base::Container, &["readinessProbe"], Some(probe));
    // A list that begins empty is taken away again when it is empty again, and stays with what others have put in.
    set(Base::Container, &["env"], Some(variables));
    for (name, value) in [
        (KEY_VARIABLE, wish.key.to_owned()),
        (READY_PORT_VARIABLE, ready_port.to_string()),
    ] {
        set(
            Base::Container,
            &["env", name],
            Some(json!({"name": name, "value": value})),
        );
    }
    Ok(Original {
        container: name,
        changes,
    })
}

/// The port at which the agent of a Deployment says that the tunnel stands.
pub(crate) fn ready_port(deployment: &Value, container: &str) -> Option<u16> {
    let pod = deployment.pointer("/spec/template/spec")?;
    let container = list(pod, "containers").find(|it| name_of(it) == container)?;
    let variable = list(container, "env").find(|it| name_of(it) == READY_PORT_VARIABLE)?;
    variable.get("value")?.as_str()?.parse().ok()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn name_of(value: &Value) -> &str {
    value
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn declares(container: &Value, port: u16) -> bool {
    list(container, "ports").any(|declared| declared.get("containerPort") == Some(&json!(port)))
}

/// The container that was asked for, else the one with the first port that is forwarded, else the only one.
fn choose<'a>(pod: &'a Value, wish: &Wish<'_>) -> Result<&'a str, NoPlace> {
    let names: Vec<&str> = list(pod, "containers").map(name_of).collect();
    if let Some(name) = wish.container {
        return names
            .iter()
            .copied()
            .find(|it| *it == name)
            .ok_or_else(|| NoPlace::NoContainer {
                name: name.to_owned(),
                known: names.join(", "),
            });
    }
    let port = wish.ports.first().copied().unwrap_or_default();
    let with_port = list(pod, "containers").find(|container| declares(container, port));
    match (with_port, names.as_slice()) {
        (Some(container), _) => Ok(name_of(container)),
        (None, [only]) => Ok(only),
        (None, []) => Err(NoPlace::Empty),
        (None, _) => Err(NoPlace::Unclear {
            port,
            known: names.join(", "),
        }),
    }
}

/// One that no container of the pod declares and nobody forwards.
pub(crate) fn free_port(pod: &Value, forwarded: &[u16]) -> u16 {
    let is_taken = |port: u16| {
        forwarded.contains(&port)
            || ["containers", "initContainers"]
                .iter()
                .flat_map(|key| list(pod, key))
                .any(|container| declares(container, port))
    };
    (FIRST_READY_PORT..=u16::MAX)
        .find(|port| !is_taken(*port))
        .unwrap_or(FIRST_READY_PORT)
}

/// Ports below 1024 for everybody in the pod: that setting is the pod's own, and every pod security profile allows it.
pub(crate) fn free_ports(pod: &Value) -> Value {
    let there = pod
        .pointer("/securityContext/sysctls")
        .and_then(Value::as_array);
    let mut sysctls: Vec<Value> = there.cloned().unwrap_or_default();
    sysctls.retain(|it| name_of(it) != FREE_PORTS_SETTING);
    sysctls.push(json!({"name": FREE_PORTS_SETTING, "value": "0"}));
    Value::Array(sysctls)
}

/// The probe that only an open tunnel passes. It asks in the way in which the original does: `kubectl apply` merges the
/// probe of a file into the one that is there, and the API server refuses one that asks in two ways. What the server
/// would add is said, so that the field can be told to be ours.
fn readiness(original: Option<&Value>, is_agent: bool, port: u16) -> Value {
    let mut probe = json!({"periodSeconds": 1, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3});
    let asks = |way: &str| original.is_some_and(|original| original.get(way).is_some());
    let (way, how) = if asks("httpGet") {
        (
            "httpGet",
            json!({"path": "/", "port": port, "scheme": "HTTP"}),
        )
    } else if asks("exec") && is_agent {
        ("exec", json!({"command": [AGENT_PROGRAM, "ready"]}))
    } else {
        ("tcpSocket", json!({"port": port}))
    };
    probe[way] = how;
    probe
}
