//! Pods that answer with the application here, and are exactly as before afterwards.

use std::time::Instant;

use monday_tests::cluster::{App, Cluster, together};
use monday_tests::wait::Deadline;
use serde_json::{Value, json};

use super::stage::{ROLLOUT, Remote, agents};

#[test]
fn one_pod_and_three_answer_from_here_however_they_are_scaled() {
    let Some(cluster) = together() else { return };
    for replicas in [1, 3] {
        let mut app = App::new(&format!("remote-{replicas}"), "web");
        app.replicas = replicas;
        cluster.deploy(&app);
        let began = Instant::now();
        let mut remote = Remote::on(&cluster, &app.namespace, &[]);
        remote.step("tunnelled");
        println!(
            "{replicas} pods answered from here after {:?}",
            began.elapsed()
        );
        assert_eq!(agents(&cluster, &app.namespace).len(), replicas as usize);
        remote.assert_served_here(&cluster);
        for scaled in [replicas + 1, 1] {
            scale(&cluster, &app.namespace, scaled);
            remote.assert_served_here(&cluster);
        }
        remote.before["replicas"] = json!(1);
        remote.end(&cluster);
    }
}

/// Scales the application and waits until that is so.
fn scale(cluster: &Cluster, namespace: &str, replicas: u32) {
    let replicas_word = format!("--replicas={replicas}");
    cluster.kubectl(&["-n", namespace, "scale", "deployment/web", &replicas_word]);
    cluster.kubectl(&[
        "-n",
        namespace,
        "rollout",
        "status",
        "deployment/web",
        "--timeout=90s",
    ]);
    let deadline = Deadline::within(ROLLOUT);
    while agents(cluster, namespace).len() != replicas as usize {
        assert!(!deadline.passed(), "it was not scaled to {replicas}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// A Deployment with everything that one may have.
fn elaborate(namespace: &str) -> Vec<Value> {
    let labels = json!({"app": "web"});
    let image = |name: &str, command: Value| {
        json!({
            "name": name, "image": "monday.test/pod:1", "imagePullPolicy": "Never", "command": command,
        })
    };
    let mut web = image("web", json!(["/app"]));
    let more = json!({
        "args": ["talk:7000", "echo:7001"],
        "workingDir": "/tmp",
        "ports": [{"name": "talk", "containerPort": 7000}, {"name": "echo", "containerPort": 7001}],
        "env": [
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "web", "key": "password"}}},
            {"name": "QUOTED", "value": "it's \"so\" $HOME \\ ~1/~0"},
        ],
        "envFrom": [{"secretRef": {"name": "web"}}],
        "livenessProbe": {"tcpSocket": {"port": "talk"}, "initialDelaySeconds": 1},
        "readinessProbe": {"exec": {"command": ["/app"]}, "periodSeconds": 1},
        "startupProbe": {"tcpSocket": {"port": 7000}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"exec": {"command": ["/app"]}}},
        "resources": {"requests": {"cpu": "1m"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "securityContext": {"runAsUser": 1000, "allowPrivilegeEscalation": false},
    });
    for (key, value) in more.as_object().unwrap() {
        web[key] = value.clone();
    }
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web", "namespace": namespace},
            "stringData": {"password": "secret"},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": namespace, "annotations": {"theirs": "x"}},
            "spec": {
                "replicas": 1, "minReadySeconds": 1, "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": {"a/b.c": "d"}},
                    "spec": {
                        "initContainers": [image("init", json!(["/app"]))],
                        "containers": [{
                            "name": "log", "image": "monday.test/pod:1", "imagePullPolicy": "Never",
                            "args": ["echo:9999"],
                        }, web],
                        "readinessGates": [{"conditionType": "example.com/gate"}],
                        "volumes": [{"name": "data", "emptyDir": {}}],
                        "securityContext": {"fsGroup": 1000},
                    },
                },
            },
        }),
    ]
}

#[test]
fn a_deployment_with_everything_is_exactly_as_before() {
    let Some(cluster) = together() else { return };
    cluster.apply(&elaborate("remote-all"));
    let mut remote = Remote::on(&cluster, "remote-all", &[]);
    remote.step("tunnelled");
    remote.assert_served_here(&cluster);
    remote.process.signal(nix::sys::signal::Signal::SIGTERM);
    remote.step("restored");
    // Its own pods are ready once somebody has opened their gate.
    let deadline = Deadline::within(ROLLOUT);
    while !agents(&cluster, "remote-all").is_empty() {
        assert!(!deadline.passed(), "agents are left");
        open_gates(&cluster, "remote-all");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let code = remote.process.wait_within(ROLLOUT);
    assert_eq!(code, 143, "{}", remote.process.transcript());
    super::stage::assert_restored(&cluster, "remote-all", &remote.before);
    let secrets = cluster.kubectl(&["-n", "remote-all", "get", "secrets", "-o", "name"]);
    assert_eq!(secrets.trim(), "secret/web");
}

/// Does what the controller of those gates would do.
fn open_gates(cluster: &Cluster, namespace: &str) {
    let words = [
        "-n",
        namespace,
        "get",
        "pods",
        "-l",
        "!monday.internal/session",
        "-o",
        "name",
    ];
    let condition =
        json!({"status": {"conditions": [{"type": "example.com/gate", "status": "True"}]}});
    for pod in cluster.kubectl(&words).lines() {
        let patch = [
            "-n",
            namespace,
            "patch",
            pod,
            "--subresource",
            "status",
            "--patch",
            &condition.to_string(),
        ];
        // It may be gone by now.
        let _ = cluster.kubectl_command(&patch).output();
    }
}

#[test]
fn under_the_strictest_pod_security_ports_below_1024_lead_here() {
    let Some(cluster) = together() else { return };
    let namespace = "remote-strict";
    let labels = json!({"app": "web"});
    let strict = json!({
        "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 1000,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    });
    cluster.apply(&[
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        }}),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{
                    "name": "web", "image": "monday.test/pod:1", "imagePullPolicy": "Never",
                    "args": ["talk:7000"], "securityContext": strict,
                    "readinessProbe": {"tcpSocket": {"port": 7000}, "periodSeconds": 1},
                }]}},
            },
        }),
    ]);
    let rollout = [
        "-n",
        namespace,
        "rollout",
        "status",
        "deployment/web",
        "--timeout=60s",
    ];
    cluster.kubectl(&rollout);
    let before = cluster.get(namespace, "deployment/web")["spec"].clone();
    let world = monday_tests::world::World::new();
    let here = super::stage::Here::start(&world);
    let port = format!("80:{}", here.talk);
    let words = ["-n", namespace, "-l", "app=web", &port];
    let mut process = super::stage::start(&world, &cluster, &words);
    super::stage::step_of(&mut process, "tunnelled");
    let agent = agents(&cluster, namespace)[0];
    assert_eq!(
        crate::talk::who((agent, 80).into()).unwrap(),
        super::stage::own_name()
    );
    // A person's way back: the line that is on the object.
    let line = cluster.get(namespace, "deployment/web");
    let line = line["metadata"]["annotations"]["monday.internal/restore"]
        .as_str()
        .unwrap();
    assert!(line.starts_with("kubectl --context"), "{line}");
    process.signal(nix::sys::signal::Signal::SIGHUP);
    assert_eq!(
        process.wait_within(ROLLOUT),
        129,
        "{}",
        process.transcript()
    );
    super::stage::assert_restored(&cluster, namespace, &before);
}

#[test]
fn a_service_is_switched_and_the_application_goes_on_beside_it() {
    let Some(cluster) = together() else { return };
    let app = App::new("remote-service", "web");
    cluster.deploy(&app);
    let pods = cluster.pods(&app);
    let service = || cluster.get("remote-service", "service/web");
    let before = service();
    let mut remote = Remote::on(&cluster, "remote-service", &["--mode", "service"]);
    remote.step("tunnelled");
    let deadline = Deadline::within(ROLLOUT);
    while behind(&cluster, "remote-service") != [agents(&cluster, "remote-service")[0].to_string()]
    {
        assert!(!deadline.passed(), "the service does not lead here");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    remote.assert_served_here(&cluster);
    assert_eq!(cluster.pods(&app), pods, "the application was touched");
    remote.end(&cluster);
    let after = service();
    assert_eq!(after["spec"], before["spec"]);
    assert!(
        !after["metadata"].to_string().contains("monday.internal"),
        "{after}"
    );
    let deployments =
        cluster.kubectl(&["-n", "remote-service", "get", "deployments", "-o", "name"]);
    assert_eq!(deployments.trim(), "deployment.apps/web");
}

/// The addresses that the service of a namespace leads to.
fn behind(cluster: &Cluster, namespace: &str) -> Vec<String> {
    let words = ["-n", namespace, "get", "endpointslices", "-o", "json"];
    let list: Value = serde_json::from_str(&cluster.kubectl(&words)).unwrap();
    let endpoints = list["items"][0]["endpoints"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let ready = endpoints
        .iter()
        .filter(|it| it["conditions"]["ready"] == true);
    ready
        .filter_map(|it| it["addresses"][0].as_str().map(str::to_owned))
        .collect()
}
