//! `-- COMMAND`: what is run while the executable does its job around it.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::address_env::Variable;
use crate::platform;
use crate::platform::private_hosts::{self, Kept, ToKeep};
use crate::start_fault::{Attempt, StartFault, explain};

/// What to run, and what it finds in its environment.
#[derive(Clone, Debug)]
pub struct CommandSpec {
    /// The program and its arguments; at least one.
    pub words: Vec<OsString>,
    /// Where things are.
    pub env: Vec<Variable>,
    /// What it sees in the place of `/etc/hosts`.
    pub hosts_file: Option<PathBuf>,
    /// Variables that were meant for us and that it does not get.
    pub ours: &'static [&'static str],
}

impl CommandSpec {
    /// The command of the command line, if there is one.
    #[must_use]
    pub fn from_words(words: Vec<OsString>, env: Vec<Variable>) -> Option<Self> {
        (!words.is_empty()).then_some(Self {
            words,
            env,
            hosts_file: None,
            ours: &[],
        })
    }
}

/// How a command is spawned where nobody has to know of it.
///
/// # Errors
/// What fork(2) and exec(3) say.
pub fn spawn(command: std::process::Command) -> io::Result<Child> {
    Command::from(command).spawn()
}

/// The command while it runs.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    /// Its hosts file stays in its place as long as it runs.
    _hosts: Option<Kept>,
}

impl Running {
    /// Starts the command with our standard streams and the limits that we were started with. If we are killed, it gets
    /// TERM. `spawn` makes the child.
    ///
    /// # Errors
    /// [`StartFault`] says which, and why.
    pub(super) fn start(
        spec: &CommandSpec,
        own_stdin: bool,
        spawn: impl FnOnce(std::process::Command) -> io::Result<Child>,
    ) -> Result<Self, StartFault> {
        let Some((program, arguments)) = spec.words.split_first() else {
            return Err(StartFault::Os {
                program: String::new(),
                source: io::ErrorKind::InvalidInput.into(),
            });
        };
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .envs(spec.env.iter().map(|(name, value)| (name, value)))
            // This was about our readiness, not about the command's.
            .env_remove("NOTIFY_SOCKET");
        for variable in spec.ours {
            command.env_remove(variable);
        }
        if !own_stdin {
            command.stdin(std::process::Stdio::null());
        }
        let hosts = spec.hosts_file.as_deref();
        let hosts = hosts.map(|file| private_hosts::give(&mut command, file));
        let hosts = hosts.transpose()?;
        platform::unblock_signals(&mut command);
        platform::die_with_parent(&mut command, Signal::SIGTERM);
        platform::restore_open_files(&mut command);
        let child = spawn(command)
            .map_err(|error| explain(&Attempt::here(&program.to_string_lossy()), error))?;
        Ok(Self {
            child,
            _hosts: hosts.map(ToKeep::keep),
        })
    }

    /// Sends it a signal; it may have ended already, which is as well.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Waits for its end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// What waitpid(2) says.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks it to end, and kills it when it does not within `grace`.
    ///
    /// # Errors
    /// What waitpid(2) says.
    pub(super) async fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        if let Ok(ended) = tokio::time::timeout(grace, self.child.wait()).await {
            return ended;
        }
        self.signal(Signal::SIGKILL);
        self.child.wait().await
    }
}
