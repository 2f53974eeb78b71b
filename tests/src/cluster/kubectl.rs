//! The real kubectl, of the cluster's own version.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::Cluster;
use crate::wait::Deadline;

impl Cluster {
    /// A kubectl with these words, as the administrator.
    #[must_use]
    pub fn kubectl_command(&self, words: &[&str]) -> Command {
        let mut command = self.command(&["kubectl"]);
        command.args(words);
        command
    }

    /// Runs kubectl and returns what it says.
    ///
    /// # Panics
    /// If it fails.
    #[allow(clippy::must_use_candidate, reason = "many are run for what they do")]
    pub fn kubectl(&self, words: &[&str]) -> String {
        let done = self
            .kubectl_command(words)
            .output()
            .expect("kubectl can be run");
        checked(words, done)
    }

    /// Applies these objects.
    ///
    /// # Panics
    /// If they are refused.
    pub fn apply(&self, objects: &[Value]) {
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let words = ["apply", "--filename", "-"];
        let mut child = self
            .kubectl_command(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl can be run");
        let mut stdin = child.stdin.take().expect("it was piped");
        stdin
            .write_all(list.to_string().as_bytes())
            .expect("kubectl reads");
        drop(stdin);
        checked(&words, child.wait_with_output().expect("kubectl ends"));
    }

    /// One object, as JSON.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn get(&self, namespace: &str, what: &str) -> Value {
        let text = self.kubectl(&["--namespace", namespace, "get", what, "--output", "json"]);
        serde_json::from_str(&text).expect("kubectl speaks JSON")
    }

    /// Waits until the API server answers; after it was [killed](super::Part), for example.
    ///
    /// # Panics
    /// If it does not.
    pub fn wait_until_ready(&self, deadline: Deadline) {
        loop {
            let done = self
                .kubectl_command(&["get", "--raw", "/readyz"])
                .output()
                .expect("kubectl can be run");
            if done.status.success() {
                return;
            }
            assert!(
                !deadline.passed(),
                "the API server is not ready: {}",
                String::from_utf8_lossy(&done.stderr)
            );
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

fn checked(words: &[&str], done: Output) -> String {
    assert!(
        done.status.success(),
        "`kubectl {}` failed: {}",
        words.join(" "),
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).expect("kubectl speaks UTF-8")
}
