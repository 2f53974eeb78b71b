//! An application in the cluster, one here, and what leads from one to the other.

use std::net::SocketAddr;
use std::time::Duration;

use monday_tests::cluster::{App, Cluster};
use monday_tests::port::free_port;
use monday_tests::process::Process;
use monday_tests::wait::{Deadline, PATIENCE};
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::talk;

/// A rollout and what comes with it, on a machine that has much else to do.
pub(super) const ROLLOUT: Duration = Duration::from_secs(90);

/// The application here: `monday-pod`, as in the cluster, on ports of its own.
pub(super) struct Here {
    pub(super) talk: u16,
    pub(super) echo: u16,
    _process: Process,
}

impl Here {
    pub(super) fn start(world: &World) -> Self {
        let (talk, echo) = (free_port(), free_port());
        let mut command = world.command("monday-pod");
        command.args([format!("talk:{talk}"), format!("echo:{echo}")]);
        let mut process = Process::start(command);
        process.line_with("serves");
        Self {
            talk,
            echo,
            _process: process,
        }
    }

    /// The words that lead the pods' ports to it.
    pub(super) fn ports(&self) -> [String; 2] {
        [format!("7000:{}", self.talk), format!("7001:{}", self.echo)]
    }
}

/// What it says its name is.
pub(super) fn own_name() -> String {
    let name = nix::unistd::gethostname().unwrap();
    name.into_string().unwrap()
}

/// A session on the application `web` of a namespace.
pub(super) struct Remote {
    pub(super) process: Process,
    pub(super) here: Here,
    pub(super) world: World,
    pub(super) namespace: String,
    /// Its spec as it was.
    pub(super) before: Value,
}

/// `monday-fwd kubernetes-remote WORDS...` as an administrator.
pub(super) fn start(world: &World, cluster: &Cluster, words: &[&str]) -> Process {
    let mut command = world.command("monday-fwd");
    command
        .args(["kubernetes-remote", "--output", "json"])
        .args(words)
        .env("KUBECONFIG", cluster.kubeconfig());
    if let Some(level) = std::env::var_os("MONDAY_LOG") {
        command.env("MONDAY_LOG", level);
    }
    Process::start(command)
}

/// `monday-fwd restore WORDS...` as an administrator, to its end.
pub(super) fn restore(world: &World, cluster: &Cluster, words: &[&str]) -> (i32, String) {
    let mut command = world.command("monday-fwd");
    command
        .arg("restore")
        .args(words)
        .env("KUBECONFIG", cluster.kubeconfig());
    let done = Process::start(command).finish();
    (done.code, format!("{}{}", done.stdout, done.stderr))
}

impl Remote {
    /// Deploys the application and begins a session on it; it is not ready yet.
    pub(super) fn begin(cluster: &Cluster, app: &App) -> Self {
        cluster.deploy(app);
        Self::on(cluster, &app.namespace, &[])
    }

    /// Begins a session on what is deployed there.
    pub(super) fn on(cluster: &Cluster, namespace: &str, words: &[&str]) -> Self {
        let world = World::new();
        let here = Here::start(&world);
        let before = cluster.get(namespace, "deployment/web")["spec"].clone();
        let ports = here.ports();
        let mut all = vec!["-n", namespace];
        all.extend(words);
        all.extend(["deployment/web", &ports[0], &ports[1]]);
        Self {
            process: start(&world, cluster, &all),
            here,
            world,
            namespace: namespace.to_owned(),
            before,
        }
    }

    /// The same, once it is ready.
    pub(super) fn ready(cluster: &Cluster, app: &App) -> Self {
        let mut remote = Self::begin(cluster, app);
        remote.step("tunnelled");
        remote
    }

    /// Waits for a step.
    pub(super) fn step(&mut self, step: &str) -> Value {
        step_of(&mut self.process, step)
    }

    /// The process beside it that puts the cluster back if it is killed.
    pub(super) fn watcher(&self) -> u32 {
        watcher_of(self.process.pid(), None)
    }

    /// Checks that every pod there is answers with the application here.
    pub(super) fn assert_served_here(&self, cluster: &Cluster) {
        for ip in agents(cluster, &self.namespace) {
            let name = talk::who((ip, 7000).into());
            assert_eq!(name.unwrap(), own_name(), "{ip}");
        }
    }

    /// Waits until nothing of it runs but the application here.
    pub(super) fn assert_alone(&self) {
        let deadline = Deadline::within(3 * PATIENCE);
        loop {
            let left = self.world.survivors().into_iter();
            let left: Vec<_> = left
                .filter(|it| !it.command.contains("monday-pod"))
                .collect();
            if left.is_empty() {
                return;
            }
            assert!(!deadline.passed(), "processes are left: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as Ctrl-C does, and checks that everything is as it was.
    pub(super) fn end(mut self, cluster: &Cluster) {
        self.process.signal(Signal::SIGINT);
        let code = self.process.wait_within(ROLLOUT);
        assert_eq!(code, 130, "{}", self.process.transcript());
        assert_restored(cluster, &self.namespace, &self.before);
    }
}

/// Waits for a step of a session.
pub(super) fn step_of(process: &mut Process, step: &str) -> Value {
    let deadline = Deadline::within(ROLLOUT);
    loop {
        let event = process.next_json();
        if event["event"] == "step" && event["step"] == step {
            return event;
        }
        if event["event"] == "failed" || deadline.passed() {
            process.fail(&format!("{step} did not come: {event}"));
        }
    }
}

/// The watcher among a process' children, other than that one.
pub(super) fn watcher_of(parent: u32, other: Option<u32>) -> u32 {
    let deadline = Deadline::patient();
    loop {
        let children = format!("/proc/{parent}/task/{parent}/children");
        let of_threads = std::fs::read_dir(format!("/proc/{parent}/task"))
            .into_iter()
            .flatten()
            .flatten();
        let mut all = std::fs::read_to_string(children).unwrap_or_default();
        for thread in of_threads {
            all.push(' ');
            all += &std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        }
        let is_watcher = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("remote-watcher") && Some(*pid) != other
        };
        let found = all
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .find(is_watcher);
        if let Some(found) = found {
            return found;
        }
        assert!(!deadline.passed(), "there is no watcher");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The addresses of the agents of a namespace that are not on their way out.
pub(super) fn agents(cluster: &Cluster, namespace: &str) -> Vec<std::net::IpAddr> {
    let words = [
        "-n",
        namespace,
        "get",
        "pods",
        "-l",
        "monday.internal/session",
        "-o",
        "json",
    ];
    let list: Value = serde_json::from_str(&cluster.kubectl(&words)).unwrap();
    let pods = list["items"].as_array().unwrap();
    let living = pods
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    living
        .filter_map(|pod| pod["status"]["podIP"].as_str()?.parse().ok())
        .collect()
}

/// Where the echo of an agent is.
pub(super) fn echo_of(cluster: &Cluster, namespace: &str) -> SocketAddr {
    let agents = agents(cluster, namespace);
    (agents[0], 7001).into()
}

/// Where it is talked to.
pub(super) fn talk_of(cluster: &Cluster, namespace: &str) -> SocketAddr {
    let agents = agents(cluster, namespace);
    (agents[0], 7000).into()
}

/// Waits until the spec is what it was and nothing of ours is left.
pub(super) fn assert_restored(cluster: &Cluster, namespace: &str, before: &Value) {
    until_restored(cluster, namespace, before, 3 * PATIENCE);
    let deadline = Deadline::within(ROLLOUT);
    while !agents(cluster, namespace).is_empty() {
        assert!(!deadline.passed(), "agents are left");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until the object is what it was; how long that took.
pub(super) fn until_restored(
    cluster: &Cluster,
    namespace: &str,
    before: &Value,
    within: Duration,
) -> Duration {
    let began = std::time::Instant::now();
    loop {
        let now = cluster.get(namespace, "deployment/web");
        let ours = now["metadata"].to_string().contains("monday.internal");
        if now["spec"] == *before && !ours {
            return began.elapsed();
        }
        assert!(began.elapsed() < within, "it is not as it was: {now:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
