//! A real Kubernetes for the tests, one for a whole run: `tests/cluster/cluster` makes it, in namespaces of its own.
//!
//! Its API server is reachable in its network only, and a network belongs to a thread: a test [enters](Cluster::enter)
//! it, and whatever the test then starts or connects, threads and processes included, is there as well.

mod agent_program;
mod app;
mod kubectl;
mod part;
mod pod_program;
mod shared;
mod user;

pub use app::{App, PORTS, REFUSED_PORT, Target, service_port};
pub use part::Part;
pub use shared::{Alone, Together, alone, together};
pub use user::Rule;

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use crate::executable;
use crate::skip::missing_programs;
use crate::user::is_root;

/// The image of the agent of `kubernetes-remote`, as monday-fwd expects it by itself.
const AGENT_IMAGE: &str = concat!("monday.internal/agent:", env!("CARGO_PKG_VERSION"));

/// Another version of `monday-pod`, which is the same program.
pub const OTHER_POD_IMAGE: &str = "monday.test/pod:2";

/// The image of `monday-pod`.
const POD_IMAGE: &str = "monday.test/pod:1";

/// A cluster that runs. It ends when this is dropped, and also when the process that has it ends in any other way.
#[derive(Debug)]
pub struct Cluster {
    runner: Child,
    // Of the runner, which removes it.
    folder: PathBuf,
    network: File,
}

impl Cluster {
    /// Why there can be none here, if so.
    #[must_use]
    pub fn impossible() -> Option<String> {
        if !is_root() {
            return Some("a cluster of one's own needs root".to_owned());
        }
        let missing = missing_programs(&[
            "etcd",
            "containerd",
            "runc",
            "ip",
            "iptables",
            "openssl",
            "nsenter",
            "rustc",
        ]);
        if !missing.is_empty() {
            return Some(format!(
                "these programs are not installed: {}",
                missing.join(", ")
            ));
        }
        programs().err()
    }

    /// Starts one and waits until it is ready, with the images of `monday-pod` and of the agent in it.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn up() -> Self {
        // A name that the script recognises as one of a run that may have been killed.
        let folder = std::env::temp_dir().join(format!("monday-cluster.{}", std::process::id()));
        let mut runner = Command::new(script())
            .arg("run")
            .env("CLUSTER_DIR", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script can be run");
        let mut line = String::new();
        let says = runner.stdout.take().expect("it was piped");
        BufReader::new(says)
            .read_line(&mut line)
            .expect("a pipe can be read");
        assert_eq!(line, "up\n", "the cluster did not come up (see above)");
        let init = std::fs::read_to_string(folder.join("pid/init")).expect("it runs");
        let init = init.split(' ').next().expect("its number comes first");
        let cluster = Self {
            runner,
            network: File::open(format!("/proc/{init}/ns/net")).expect("its process lives"),
            folder,
        };
        let built = TempDir::new().expect("a temporary folder can be made");
        let program = pod_program::compile(built.path());
        for image in [POD_IMAGE, OTHER_POD_IMAGE] {
            cluster.script(["image", image, &program.display().to_string()]);
        }
        let agent = agent_program::build().display().to_string();
        cluster.script(["image", AGENT_IMAGE, &agent, "/monday-agent", "65532:65532"]);
        cluster
    }

    /// Moves the calling thread into its network, for good.
    ///
    /// # Panics
    /// If that is not possible.
    pub fn enter(&self) {
        setns(&self.network, CloneFlags::CLONE_NEWNET).expect("root may enter a network");
    }

    /// The configuration of its administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// Its folder, with the logs of its parts in `log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs the script with these words and returns what it says.
    fn script<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let words: Vec<&str> = words.into_iter().collect();
        let done = self
            .command(&words)
            .stderr(Stdio::inherit())
            .output()
            .expect("the script can be run");
        assert!(
            done.status.success(),
            "`cluster {}` failed",
            words.join(" ")
        );
        String::from_utf8(done.stdout).expect("it speaks UTF-8")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(script());
        command.args(words).env("CLUSTER_DIR", &self.folder);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.runner.stdin.take());
        let _ = self.runner.wait();
    }
}

/// The real kubectl, of the cluster's version; it is built if it has to be.
///
/// # Errors
/// Why there is none.
pub fn kubectl_program() -> Result<PathBuf, String> {
    programs().map(|folder| folder.join("kubectl"))
}

/// Where Kubernetes' programs are, built if they have to be.
fn programs() -> Result<PathBuf, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let built = Command::new(script())
            .arg("build")
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("{} cannot be run: {error}", script().display()))?;
        if !built.status.success() {
            return Err("Kubernetes could not be built (see above)".to_owned());
        }
        let folder = String::from_utf8_lossy(&built.stdout);
        Ok(PathBuf::from(folder.trim_end()))
    };
    BUILT.get_or_init(build).clone()
}

fn script() -> PathBuf {
    executable::workspace().join("tests/cluster/cluster")
}
