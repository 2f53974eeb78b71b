//! The fake API server is good enough for the real kubectl.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;

use monday_tests::cluster::kubectl_program;
use monday_tests::fake_api::{FakeApi, Refusal};
use monday_tests::http;
use monday_tests::process::{Finished, Process};
use monday_tests::skip::skip;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A fake API server and the real kubectl.
struct Oracle {
    world: World,
    fake: FakeApi,
    kubectl: std::path::PathBuf,
    kubeconfig: std::path::PathBuf,
}

impl Oracle {
    fn new() -> Option<Self> {
        let kubectl = match kubectl_program() {
            Ok(kubectl) => kubectl,
            Err(why) => {
                skip(&why);
                return None;
            }
        };
        let (world, fake) = (World::new(), FakeApi::start());
        let kubeconfig = fake.kubeconfig(&world);
        Some(Self {
            world,
            fake,
            kubectl,
            kubeconfig,
        })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.world.command(self.kubectl.to_str().unwrap());
        command.args(words).env("KUBECONFIG", &self.kubeconfig);
        command
    }

    fn start(&self, words: &[&str]) -> Process {
        Process::start(self.command(words))
    }

    fn run(&self, words: &[&str]) -> Finished {
        self.start(words).finish()
    }

    /// Runs it and returns what it prints.
    fn ask(&self, words: &[&str]) -> String {
        self.run(words).expect_code(0).stdout.trim_end().to_owned()
    }

    /// A forward by kubectl, and where it listens.
    fn forward(&self, target: &str, port: &str) -> (Process, SocketAddr) {
        let mut process = self.start(&["port-forward", target, port]);
        let line = process.next_line();
        let address = line.split_whitespace().nth(2);
        let address = address.unwrap_or_else(|| panic!("{line}"));
        (process, address.parse().unwrap())
    }
}

fn deployment() -> Value {
    let labels = json!({"app": "web"});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "old"}, {"name": "side", "image": "other"}]},
            },
        },
    })
}

#[test]
fn kubectl_lists_gets_and_selects() {
    let Some(oracle) = Oracle::new() else { return };
    let web = http::serve("web");
    oracle.fake.pod("web-1", "web", &[("http", 80, web)]);
    oracle.fake.pod("db-1", "db", &[]);
    let table = oracle.ask(&["get", "pods", "-l", "app=web"]);
    assert!(
        table.contains("web-1") && table.contains("Running") && !table.contains("db-1"),
        "{table}"
    );
    let json: Value =
        serde_json::from_str(&oracle.ask(&["get", "pod", "db-1", "-o", "json"])).unwrap();
    assert_eq!(json["metadata"]["labels"]["app"], "db");
    let missing = oracle.run(&["get", "pod", "nobody"]).expect_code(1);
    assert!(missing.stderr.contains("NotFound"), "{}", missing.stderr);
    assert_eq!(
        oracle.ask(&["get", "po", "-l", "app notin (db)", "-o", "name"]),
        "pod/web-1"
    );
}

#[test]
fn kubectl_watches_what_comes_and_goes() {
    let Some(oracle) = Oracle::new() else { return };
    oracle.fake.pod("one", "web", &[]);
    let mut watching = oracle.start(&["get", "pods", "--watch", "--output-watch-events"]);
    let mut next = |event: &str, pod: &str| {
        let line = watching.line_with(event);
        assert!(line.contains(pod), "{line}");
    };
    next("ADDED", "one");
    oracle.fake.pod("two", "web", &[]);
    next("ADDED", "two");
    oracle.fake.delete("pods", "one");
    next("DELETED", "one");
}

#[test]
fn kubectl_waits_for_a_condition() {
    let Some(oracle) = Oracle::new() else { return };
    oracle.fake.pod("web", "web", &[]);
    let mut unready = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [{"name": "main", "image": "none"}]},
        "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]},
    });
    oracle.fake.put(unready.clone());
    let waiting = oracle.start(&["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]);
    // Not before it watches: else a list alone would do.
    while !oracle
        .fake
        .seen()
        .iter()
        .any(|(request, _)| request.contains("watch=true"))
    {
        std::thread::yield_now();
    }
    unready["status"]["conditions"][0]["status"] = json!("True");
    oracle.fake.put(unready);
    let done = waiting.finish().expect_code(0);
    assert!(done.stdout.contains("condition met"), "{}", done.stdout);
}

#[test]
fn kubectl_patches_in_each_of_the_three_ways() {
    let Some(oracle) = Oracle::new() else { return };
    oracle.fake.put(deployment());
    let images = |oracle: &Oracle| {
        oracle.ask(&[
            "get",
            "deployment",
            "web",
            "-o",
            "jsonpath={.spec.template.spec.containers[*].image}",
        ])
    };
    let patch = |kind: &str, text: &str| {
        oracle.run(&[
            "patch",
            "deployment",
            "web",
            &format!("--type={kind}"),
            "--patch",
            text,
        ])
    };
    let one = r#"{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"new"}]}}}}"#;
    let _ = patch("strategic", one).expect_code(0);
    assert_eq!(images(&oracle), "new other");
    let test = r#"[{"op":"test","path":"/spec/replicas","value":7},{"op":"remove","path":"/spec/template"}]"#;
    assert_ne!(patch("json", test).code, 0, "a test that fails");
    assert_eq!(images(&oracle), "new other");
    let replace =
        r#"[{"op":"replace","path":"/spec/template/spec/containers/1/image","value":"third"}]"#;
    let _ = patch("json", replace).expect_code(0);
    assert_eq!(images(&oracle), "new third");
    let _ = patch("merge", one).expect_code(0);
    assert_eq!(images(&oracle), "new", "a merge patch replaces lists");
    let generation = oracle.ask(&[
        "get",
        "deployment",
        "web",
        "-o",
        "jsonpath={.metadata.generation}",
    ]);
    assert_eq!(generation, "4");
    oracle.ask(&["annotate", "deployment", "web", "a=b"]);
    let generation = oracle.ask(&[
        "get",
        "deployment",
        "web",
        "-o",
        "jsonpath={.metadata.generation}",
    ]);
    assert_eq!(generation, "4", "what was asked for is the same");
}

#[test]
fn kubectl_forwards_in_a_websocket_and_without_one() {
    let Some(oracle) = Oracle::new() else { return };
    let web = http::serve("hello from the pod");
    oracle.fake.pod("web-1", "web", &[("http", 80, web)]);
    oracle.fake.put(deployment());
    oracle.fake.put(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "web", "port": 8080, "targetPort": "http"}]},
    }));
    for (target, port) in [
        ("pod/web-1", ":80"),
        ("service/web", ":8080"),
        ("deployment/web", ":80"),
    ] {
        let (mut process, address) = oracle.forward(target, port);
        assert_eq!(
            http::get(address).unwrap(),
            "hello from the pod",
            "{target}"
        );
        assert_eq!(
            http::get(address).unwrap(),
            "hello from the pod",
            "{target}"
        );
        process.signal(Signal::SIGTERM);
        process.wait();
    }
    let upgrades = |oracle: &Oracle| -> Vec<String> {
        let seen = oracle.fake.seen().into_iter();
        seen.filter(|(request, status)| request.contains("/portforward") && *status == 101)
            .map(|(request, _)| request.split(' ').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(upgrades(&oracle), ["GET", "GET", "GET"]);
    oracle
        .fake
        .behave(|behaviour| behaviour.tunnel = Refusal::forbidden());
    let (_process, address) = oracle.forward("pod/web-1", ":80");
    assert_eq!(http::get(address).unwrap(), "hello from the pod");
    assert_eq!(upgrades(&oracle).last().unwrap(), "POST");
}

#[test]
fn kubectl_tells_what_the_fake_refuses() {
    let Some(oracle) = Oracle::new() else { return };
    oracle.fake.pod("web-1", "web", &[]);
    let (mut process, address) = oracle.forward("pod/web-1", ":80");
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = client.write_all(b"x");
    let _ = client.read(&mut [0]);
    let line = process.error_line_with("connection refused");
    assert!(line.contains("80"), "{line}");
    assert_eq!(process.wait(), 1, "kubectl does not survive it");
    oracle.fake.behave(|behaviour| {
        behaviour.tunnel = Refusal::forbidden();
        behaviour.spdy = Refusal::forbidden();
    });
    let refused = oracle
        .run(&["port-forward", "pod/web-1", ":80"])
        .expect_code(1);
    assert!(
        refused.stderr.contains("fake refusal"),
        "{}",
        refused.stderr
    );
}

#[test]
fn kubectl_carries_a_million_bytes_through_messages_of_odd_sizes() {
    let Some(oracle) = Oracle::new() else { return };
    let target = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    oracle
        .fake
        .pod("web-1", "web", &[("web", 80, target.local_addr().unwrap())]);
    oracle.fake.behave(|behaviour| behaviour.recut = true);
    let (_process, address) = oracle.forward("pod/web-1", ":80");
    let mut client = TcpStream::connect(address).unwrap();
    let (mut pod, _) = target.accept().unwrap();
    let bytes: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| client.write_all(&bytes).unwrap());
        let mut got = vec![0; bytes.len()];
        pod.read_exact(&mut got).unwrap();
        assert!(got == bytes, "up");
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pod.write_all(&bytes).unwrap();
            pod.shutdown(Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        assert!(got == bytes, "down");
    });
}
