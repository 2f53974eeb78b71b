//! Those who forward.

use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use monday_tests::cluster::kubectl_program;

use crate::cpu;
use crate::error::{Doing as _, Error};

/// A way to a port of a pod.
#[derive(Debug)]
pub(crate) struct Contender {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Kubectl,
    Fwd(PathBuf),
}

/// What to forward to.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) kubeconfig: PathBuf,
    pub(crate) namespace: String,
    /// `TYPE/NAME`.
    pub(crate) target: String,
}

/// A forward that listens. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Forward {
    address: SocketAddr,
    child: Child,
}

impl Contender {
    /// The real `kubectl port-forward`.
    pub(crate) const fn kubectl() -> Self {
        Self {
            kind: Kind::Kubectl,
        }
    }

    /// The executable under test.
    pub(crate) const fn fwd(path: PathBuf) -> Self {
        Self {
            kind: Kind::Fwd(path),
        }
    }

    /// What it is called in the table.
    pub(crate) const fn label(&self) -> &str {
        match self.kind {
            Kind::Kubectl => "kubectl port-forward",
            Kind::Fwd(_) => "monday-fwd",
        }
    }

    /// Starts it for a port of that name.
    ///
    /// # Errors
    /// It does not say where it listens.
    pub(crate) fn start(&self, way: &Way, port: &str) -> Result<Forward, Error> {
        let mut command = match &self.kind {
            Kind::Kubectl => {
                let program = kubectl_program().map_err(|problem| self.broken(problem))?;
                let mut command = Command::new(program);
                command.args(["port-forward", "--namespace", &way.namespace]);
                command.args([&way.target, &format!(":{port}")]);
                command
            }
            Kind::Fwd(path) => {
                let mut command = Command::new(path);
                command.args(["kubernetes", "--output", "json"]);
                command.args(["--namespace", &way.namespace]);
                command.args([&way.target, &format!("0:{port}")]);
                command
            }
        };
        let mut child = command
            .env("KUBECONFIG", &way.kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .doing(format!("start {}", self.label()))?;
        let stdout = child.stdout.take();
        let mut forward = Forward {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            child,
        };
        let mut lines = stdout.map(BufReader::new).map(BufReader::lines);
        let mut said = Vec::new();
        for line in lines.iter_mut().flatten() {
            let line = line.doing(format!("read what {} says", self.label()))?;
            if let Some(address) = self.address_in(&line) {
                forward.address = address;
                // It may end when nobody reads what it says.
                thread::spawn(move || lines.into_iter().flatten().count());
                return Ok(forward);
            }
            said.push(line);
        }
        Err(self.broken(format!("it does not say where it listens: {said:?}")))
    }

    fn address_in(&self, line: &str) -> Option<SocketAddr> {
        match self.kind {
            // Forwarding from 127.0.0.1:PORT -> PORT
            Kind::Kubectl => line.split_whitespace().nth(2)?.parse().ok(),
            Kind::Fwd(_) => {
                let event: serde_json::Value = serde_json::from_str(line).ok()?;
                if event["event"] != "ready" {
                    return None;
                }
                event.pointer("/forwards/0/listen")?.as_str()?.parse().ok()
            }
        }
    }

    fn broken(&self, problem: String) -> Error {
        Error::Contender {
            program: self.label().to_owned(),
            problem,
        }
    }
}

impl Forward {
    /// Where clients connect.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CPU seconds that it has used so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu::seconds_of_tree(self.child.id())
    }

    /// What it has in memory (`proc_pid_status(5)`).
    pub(crate) fn memory_megabytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let kibibytes: io::Result<Option<f64>> = status.map(|status| {
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
            line.split_whitespace().nth(1)?.parse().ok()
        });
        kibibytes.ok().flatten().unwrap_or(0.0) * 1024.0 / 1e6
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // It may be gone already, which is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
