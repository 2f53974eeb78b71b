//! Applications in the cluster: `monday-pod` as a Deployment, `StatefulSet` or single pod.

use serde_json::{Value, json};

use super::{Cluster, POD_IMAGE};

/// The ports of a pod, each with its name in the pod's specification.
pub const PORTS: [(&str, u16); 4] = [
    ("talk", 7000),
    ("echo", 7001),
    ("http", 8080),
    ("banner", 3306),
];

/// A port at which nobody listens.
pub const REFUSED_PORT: u16 = 9;

/// What to forward to, as the command line has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `deployment/NAME`, with a service of that name before it.
    Deployment,
    /// `statefulset/NAME`.
    StatefulSet,
    /// `pod/NAME`.
    Pod,
}

/// An application in a namespace of its own.
#[derive(Clone, Debug)]
pub struct App {
    /// Its namespace.
    pub namespace: String,
    /// Its name, which is also the value of its label `app`.
    pub name: String,
    /// What it is made of.
    pub target: Target,
    /// How many pods.
    pub replicas: u32,
    /// Arguments of `monday-pod` before its ports, such as `--ignore-term`.
    pub arguments: Vec<String>,
    /// How long a pod may take to end, in seconds.
    pub grace: u32,
}

impl App {
    /// A Deployment of one pod.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            target: Target::Deployment,
            replicas: 1,
            arguments: Vec::new(),
            grace: 5,
        }
    }

    /// Its objects.
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        let (name, namespace) = (&self.name, &self.namespace);
        let labels = json!({"app": name});
        let metadata = json!({"name": name, "namespace": namespace, "labels": labels});
        let selector = json!({"matchLabels": labels});
        let template = json!({"metadata": {"labels": labels}, "spec": self.pod_spec()});
        let controlled = |kind: &str, mut spec: Value| {
            spec["replicas"] = json!(self.replicas);
            spec["selector"] = selector.clone();
            spec["template"] = template.clone();
            json!({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec})
        };
        let mut objects = vec![json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
        })];
        match self.target {
            Target::Deployment => objects.push(controlled("Deployment", json!({}))),
            Target::StatefulSet => {
                objects.push(controlled("StatefulSet", json!({"serviceName": name})));
            }
            Target::Pod => objects.push(json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self.pod_spec(),
            })),
        }
        // Ports of the service differ from those of the pods, so that whoever confuses them is found out.
        let ports: Vec<Value> = PORTS
            .iter()
            .map(|(port_name, port)| {
                json!({"name": port_name, "port": service_port(*port), "targetPort": port_name})
            })
            .collect();
        objects.push(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": labels, "ports": ports},
        }));
        objects
    }

    fn pod_spec(&self) -> Value {
        let mut arguments = self.arguments.clone();
        arguments.extend(PORTS.iter().map(|(way, port)| format!("{way}:{port}")));
        let ports: Vec<Value> = PORTS
            .iter()
            .map(|(name, port)| json!({"name": name, "containerPort": port}))
            .collect();
        json!({
            "terminationGracePeriodSeconds": self.grace,
            "containers": [{
                "name": "main",
                "image": POD_IMAGE,
                "imagePullPolicy": "Never",
                "args": arguments,
                "ports": ports,
                "readinessProbe": {"tcpSocket": {"port": "talk"}, "periodSeconds": 1},
            }],
        })
    }
}

/// The port of the service for this port of its pods.
#[must_use]
pub const fn service_port(port: u16) -> u16 {
    port - 3000
}

impl Cluster {
    /// Brings an application up and waits until all of its pods are ready.
    pub fn deploy(&self, app: &App) {
        self.apply(&app.objects());
        let [verb, detail, kind] = match app.target {
            Target::Deployment => ["rollout", "status", "deployment"],
            Target::StatefulSet => ["rollout", "status", "statefulset"],
            Target::Pod => ["wait", "--for=condition=Ready", "pod"],
        };
        let what = format!("{kind}/{}", app.name);
        let namespace = &app.namespace;
        self.kubectl(&[
            "--namespace",
            namespace,
            verb,
            detail,
            &what,
            "--timeout=60s",
        ]);
    }

    /// The names of the pods of an application that are not on their way out.
    #[must_use]
    pub fn pods(&self, app: &App) -> Vec<String> {
        let selector = format!("app={}", app.name);
        let words = [
            "--namespace",
            &app.namespace,
            "get",
            "pods",
            "--selector",
            &selector,
            "--output",
            "json",
        ];
        let list: Value = serde_json::from_str(&self.kubectl(&words)).expect("kubectl speaks JSON");
        let items = list["items"].as_array().expect("a list has items");
        items
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .map(|pod| {
                pod["metadata"]["name"]
                    .as_str()
                    .expect("a pod has a name")
                    .to_owned()
            })
            .collect()
    }
}
