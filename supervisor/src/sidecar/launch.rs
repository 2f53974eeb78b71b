//! Starts one sidecar: on a lifeline, out of reach of the terminal's Ctrl-C, and known to be ready.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use monday_shared::protocol::run::Exit;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin};
use tokio::sync::mpsc;

use super::nursery::{Nursery, Place};

/// How long a sidecar may take to say that it is ready: it only opens a socket, so this is for a machine in deep
/// trouble.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// How many lines of its log wait to be shown.
const LOG_AHEAD: usize = 64;

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The executable's name.
    pub name: &'static str,
    /// For a `monday-run`: whose guardian it is.
    pub app: Option<String>,
    /// The executable.
    pub executable: PathBuf,
    /// How it becomes root, where it does; and what then.
    pub escalation: Option<Escalation>,
    /// Its control socket.
    pub socket: PathBuf,
    /// Arguments besides the common ones.
    pub args: Vec<OsString>,
    /// Variables of our environment that are not for it.
    pub hidden: &'static [&'static str],
}

/// A start through sudo or doas.
#[derive(Clone, Debug)]
pub struct Escalation {
    /// The words before the path of the executable; at least one.
    pub prefix: Vec<OsString>,
    /// The arguments with which it is started without them, once they do not work any more.
    pub args_without: Vec<OsString>,
}

/// A sidecar that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The operating system refused.
    #[error("cannot start {}: {source}", executable.display())]
    Spawn {
        /// What was started.
        executable: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended before it was ready ({}){}", Ended(*status), said(log))]
    Ended {
        /// Which.
        name: &'static str,
        /// How.
        status: Option<ExitStatus>,
        /// What it said last.
        log: Vec<String>,
    },
    /// It did not become ready.
    #[error("{name} was not ready within {READY_TIMEOUT:?} and was ended")]
    Silent {
        /// Which.
        name: &'static str,
    },
}

fn said(log: &[String]) -> String {
    match log.last() {
        Some(line) => format!(": {line}"),
        None => String::new(),
    }
}

/// A sidecar that runs.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Closed, it tells the sidecar that we are gone.
    lifeline: Option<ChildStdin>,
    /// What it logs, a line at a time.
    pub log: mpsc::Receiver<String>,
    _place: Place,
}

impl Launch {
    /// Who it is, for messages.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.app {
            Some(app) => format!("{} of {app}", self.name),
            None => self.name.to_owned(),
        }
    }

    /// The program, perhaps behind the one that makes it root.
    fn program(&self) -> Command {
        let prefix = self.escalation.as_ref().map(|how| how.prefix.split_first());
        let Some(Some((tool, words))) = prefix else {
            return Command::new(&self.executable);
        };
        let mut command = Command::new(tool);
        command.args(words).arg(&self.executable);
        command
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// [`LaunchError`]: nothing of it is left then.
    pub async fn start(&self, nursery: &Nursery) -> Result<Process, LaunchError> {
        let mut command = self.program();
        command
            .arg("--control")
            .arg(&self.socket)
            .args(["--output", "json", "--lifeline"])
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // This is about our own readiness.
            .env_remove("NOTIFY_SOCKET")
            // The terminal's Ctrl-C is for us: we stop the sidecars in order.
            .process_group(0);
        for variable in self.hidden {
            command.env_remove(variable);
        }
        let (mut child, place) = nursery
            .spawn(command)
            .map_err(|source| LaunchError::Spawn {
                executable: self.executable.clone(),
                source,
            })?;
        let (lines, log) = mpsc::channel(LOG_AHEAD);
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(read_log(stderr, lines));
        }
        let mut process = Process {
            lifeline: child.stdin.take(),
            child,
            log,
            _place: place,
        };
        match tokio::time::timeout(READY_TIMEOUT, process.first_line()).await {
            Ok(true) => Ok(process),
            Ok(false) => Err(process.failed(self.name).await),
            Err(_) => {
                process.kill().await;
                Err(LaunchError::Silent { name: self.name })
            }
        }
    }
}

impl Process {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The first line on standard output says that it is ready. What follows there comes over the socket as well, so
    /// the pipe is closed.
    async fn first_line(&mut self) -> bool {
        let Some(stdout) = self.child.stdout.take() else {
            return false;
        };
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line).await;
        read.is_ok() && line.ends_with('\n')
    }

    async fn failed(mut self, name: &'static str) -> LaunchError {
        let status = self.end(READY_TIMEOUT).await;
        let mut log = Vec::new();
        while let Some(line) = self.log.recv().await {
            log.push(line);
        }
        LaunchError::Ended { name, status, log }
    }

    /// What it logs, for somebody else to read.
    pub fn take_log(&mut self) -> mpsc::Receiver<String> {
        let (_, nothing) = mpsc::channel(1);
        std::mem::replace(&mut self.log, nothing)
    }

    /// Waits for its end. Dropping the future loses nothing.
    pub async fn wait(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
    }

    /// Lets go of the lifeline, so that it cleans up and ends, and kills it if it does not within `grace`.
    pub async fn end(&mut self, grace: Duration) -> Option<ExitStatus> {
        drop(self.lifeline.take());
        if let Ok(status) = tokio::time::timeout(grace, self.child.wait()).await {
            return status.ok();
        }
        self.kill().await
    }

    async fn kill(&mut self) -> Option<ExitStatus> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // Not waited for yet, so the number is still its own.
            if kill(Pid::from_raw(pid), Signal::SIGKILL) == Err(Errno::EPERM) {
                // It is root's. It has lost its lifeline, and ends when it can.
                return None;
            }
        }
        self.wait().await
    }
}

async fn read_log(stderr: ChildStderr, lines: mpsc::Sender<String>) {
    let mut reader = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = reader.next_segment().await {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        // Nobody may want it any more; it is read nevertheless, so that the sidecar never waits.
        let _ = lines.send(line).await;
    }
}

/// How a process ended, in words.
#[derive(Clone, Copy, Debug)]
pub struct Ended(pub Option<ExitStatus>);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::unix::process::ExitStatusExt as _;

        match self.0 {
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Exit::Code(code).fmt(f),
                (None, Some(signal)) => Exit::Signal(signal).fmt(f),
                (None, None) => status.fmt(f),
            },
            None => f.write_str("how is not known"),
        }
    }
}
