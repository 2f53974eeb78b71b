//! The flags about COMMAND.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use monday_shared::duration::Span;
use monday_shared::protocol::run::{
    LogFile, Probe, Readiness, RestartPolicy, RestartWhen, RunSpec,
};

/// The heading of those that few need.
const MORE: &str = "More about COMMAND";

/// What is said about COMMAND, and COMMAND itself.
#[derive(Debug, Args)]
pub(super) struct CommandArgs {
    /// Run COMMAND in this folder
    #[arg(long, value_name = "DIR", requires = "command")]
    dir: Option<PathBuf>,

    /// Add a variable to the environment of COMMAND; may be repeated, a later one wins
    #[arg(long, value_name = "K=V", value_parser = variable, requires = "command")]
    env: Vec<(String, String)>,

    /// The signal that asks COMMAND to stop
    #[arg(
        long,
        value_name = "SIGNAL",
        default_value = "TERM",
        requires = "command"
    )]
    stop_signal: String,

    /// How long COMMAND may take to stop before all of it is killed; 0 kills at once
    ///
    /// What COMMAND leaves behind when it and its process group have ended, or when it ends by itself, has a second of that
    /// at most: it lost who it worked for.
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "command")]
    stop_timeout: Span,

    /// Run this in a shell before the stop signal is sent; may be repeated
    #[arg(long, value_name = "SCRIPT", requires = "command", help_heading = MORE)]
    stop_command: Vec<String>,

    /// Start COMMAND again when it ends by itself
    #[arg(long, value_name = "WHEN", default_value = "no", requires = "command", help_heading = MORE)]
    restart: When,

    /// How long to wait before it is started again; doubles with each failure in a row, up to 30 s
    #[arg(long, value_name = "TIME", default_value = "500ms", requires = "restart", help_heading = MORE)]
    restart_backoff: Span,

    /// Give up after so many starts in a row
    #[arg(long, value_name = "COUNT", requires = "restart", help_heading = MORE)]
    max_restarts: Option<u32>,

    /// When COMMAND is ready: http=URL, tcp=HOST:PORT, exec=SCRIPT, log=REGEX or notify
    ///
    /// A GET that is answered with a status below 400, a connection, a script that ends with status 0, a line of
    /// output, or READY=1 on the socket in `NOTIFY_SOCKET`. If we have a `NOTIFY_SOCKET` ourselves, it is told then.
    #[arg(long, value_name = "PROBE", value_parser = probe, requires = "command", help_heading = MORE)]
    ready: Option<Probe>,

    /// How often to try
    #[arg(long, value_name = "TIME", default_value = "1s", requires = "ready", help_heading = MORE)]
    ready_interval: Span,

    /// How long one try may take
    #[arg(long, value_name = "TIME", default_value = "1s", requires = "ready", help_heading = MORE)]
    ready_timeout: Span,

    /// How many tries may fail after the first interval
    #[arg(long, value_name = "COUNT", requires = "ready", help_heading = MORE)]
    ready_retries: Option<u32>,

    /// How long to wait before the first try
    #[arg(long, value_name = "TIME", default_value = "0", requires = "ready", help_heading = MORE)]
    ready_delay: Span,

    /// How long all of it may take; COMMAND is stopped then, and the exit status is 124
    #[arg(long, value_name = "TIME", requires = "ready", help_heading = MORE)]
    ready_within: Option<Span>,

    /// Let live what COMMAND leaves behind
    ///
    /// All of it when COMMAND ends by itself, what is not of its process group when it is stopped. What writes to COMMAND's
    /// output is heard as long as monday-run lives, and usually dies of the next line then: let it write elsewhere.
    #[arg(long, requires = "command", help_heading = MORE)]
    keep_children: bool,

    /// Give COMMAND a terminal, for colours and for output that comes at once; both streams are one then
    #[arg(long, requires = "command", help_heading = MORE)]
    pty: bool,

    /// Write the output to this file as well
    #[arg(long, value_name = "PATH", requires = "command", help_heading = MORE)]
    log_file: Option<PathBuf>,

    /// Rename the file to PATH.1 before it becomes larger, in bytes
    #[arg(long, value_name = "BYTES", default_value = "10485760", requires = "log_file", help_heading = MORE)]
    log_file_bytes: u64,

    /// How many renamed files to keep
    #[arg(long, value_name = "COUNT", default_value = "3", requires = "log_file", help_heading = MORE)]
    log_file_keep: u32,

    /// Let COMMAND see this file in the place of /etc/hosts; nobody else does, and no right is needed (Linux)
    #[arg(long, value_name = "PATH", requires = "command", help_heading = MORE)]
    hosts_file: Option<PathBuf>,

    /// What to run, and its arguments
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// [`RestartWhen`] as a flag.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    /// Never
    No,
    /// When it fails
    OnFailure,
    /// Always
    Always,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn probe(text: &str) -> Result<Probe, String> {
    let value = |value: &str| value.to_owned();
    match text.split_once('=') {
        Some(("http", url)) => Ok(Probe::Http(value(url))),
        Some(("tcp", address)) => Ok(Probe::Tcp(value(address))),
        Some(("exec", script)) => Ok(Probe::Exec(shell(script))),
        Some(("log", pattern)) => Ok(Probe::Log(value(pattern))),
        None if text == "notify" => Ok(Probe::Notify),
        _ => Err("write http=URL, tcp=HOST:PORT, exec=SCRIPT, log=REGEX or notify".to_owned()),
    }
}

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).into()
}

impl CommandArgs {
    /// What the flags say; nothing without COMMAND.
    pub(super) fn spec(self) -> Option<RunSpec> {
        if self.command.is_empty() {
            return None;
        }
        Some(RunSpec {
            command: self.command,
            dir: self.dir,
            env: self.env,
            stop_signal: self.stop_signal,
            stop_timeout: self.stop_timeout,
            stop_commands: self
                .stop_command
                .iter()
                .map(|script| shell(script))
                .collect(),
            restart: RestartPolicy {
                when: match self.restart {
                    When::No => RestartWhen::No,
                    When::OnFailure => RestartWhen::OnFailure,
                    When::Always => RestartWhen::Always,
                },
                backoff: Some(self.restart_backoff),
                max_restarts: self.max_restarts,
            },
            ready: self.ready.map(|probe| Readiness {
                probe,
                interval: self.ready_interval,
                timeout: self.ready_timeout,
                retries: self.ready_retries,
                initial_delay: self.ready_delay,
                within: self.ready_within,
            }),
            keep_children: self.keep_children,
            pty: self.pty,
            log_file: self.log_file.map(|path| LogFile {
                path,
                max_bytes: self.log_file_bytes,
                keep: self.log_file_keep,
            }),
            hosts_file: self.hosts_file,
        })
    }
}
