//! Starts a program: pipes or a terminal for its output, no input, a session of its own, death with us.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use monday_shared::platform;
use monday_shared::platform::private_hosts::{self, Kept, ToKeep};
use monday_shared::start_fault::StartFault;
use nix::sys::signal::Signal;

use crate::pty::Terminal;
use crate::session;
use crate::spec::CheckedSpec;

mod fault;

pub use fault::SpawnError;

/// Where the output of a program goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Into a pipe for each stream.
    Pipes,
    /// To a terminal of its own, which is its input as well.
    Terminal,
    /// Nowhere.
    Nowhere,
}

/// What a program finds beside what its specification says.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Variables that are ours, and that no specification changes.
    pub env: Vec<(&'static str, String)>,
}

/// A program that was started. It leads its group and its session, both of which have its process number.
#[derive(Debug)]
pub struct Spawned {
    /// Its process number.
    pub pid: u32,
    /// What it writes to descriptor 1, or to its terminal, can be read here.
    pub stdout: Option<OwnedFd>,
    /// What it writes to descriptor 2 can be read here, unless it has a terminal.
    pub stderr: Option<OwnedFd>,
    /// What keeps its own hosts file in its place, if it has one.
    pub hosts: Option<Kept>,
}

/// Starts the program.
///
/// To be called from a thread that lives as long as the process: on Linux the end of that thread kills the program.
///
/// # Errors
/// [`SpawnError`] says which part of the specification is at fault.
pub fn spawn(
    spec: &CheckedSpec,
    surroundings: &Surroundings,
    output: Output,
) -> Result<Spawned, SpawnError> {
    let os = |source| {
        SpawnError::Program(StartFault::Os {
            program: spec.program().to_owned(),
            source,
        })
    };
    let mut command = command(spec, surroundings);
    let hosts = spec.hosts_file();
    let hosts = hosts.map(|file| private_hosts::give(&mut command, file));
    let hosts = hosts.transpose()?;
    let (stdout, stderr) = match output {
        Output::Pipes => {
            let (stdout, stdout_writer) = io::pipe().map_err(os)?;
            let (stderr, stderr_writer) = io::pipe().map_err(os)?;
            command.stdout(stdout_writer).stderr(stderr_writer);
            (Some(stdout.into()), Some(stderr.into()))
        }
        Output::Terminal => {
            let terminal = Terminal::open().map_err(os)?;
            let end = || terminal.program_end.try_clone().map(Stdio::from);
            command.stdin(end().map_err(os)?);
            command.stdout(end().map_err(os)?);
            command.stderr(end().map_err(os)?);
            (Some(terminal.our_end), None)
        }
        Output::Nowhere => {
            command.stdout(Stdio::null()).stderr(Stdio::null());
            (None, None)
        }
    };
    session::begin_own(&mut command, output == Output::Terminal);
    platform::die_with_parent(&mut command, Signal::SIGKILL);
    // The child is waited for by number, with all that is adopted: see `children`.
    let child = command
        .spawn()
        .map_err(|error| fault::explain(spec, error))?;
    Ok(Spawned {
        pid: child.id(),
        stdout,
        stderr,
        hosts: hosts.map(ToKeep::keep),
    })
}

fn command(spec: &CheckedSpec, surroundings: &Surroundings) -> Command {
    let mut command = Command::new(spec.program());
    command
        .args(spec.arguments())
        // This was about our readiness, not about the program's.
        .env_remove("NOTIFY_SOCKET")
        .envs(spec.env().iter().map(|(name, value)| (name, value)))
        .envs(surroundings.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    if let Some(dir) = spec.dir() {
        command.current_dir(dir);
    }
    command
}
