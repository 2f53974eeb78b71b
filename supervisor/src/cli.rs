//! What the command line may say.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use monday_shared::life::LifeArgs;

/// Runs a micro-service project on this machine.
///
/// Some services run here as local processes, the others are forwarded; every one is reachable under its own host name
/// on its own loopback address, all from one YAML file.
#[derive(Debug, Parser)]
#[command(
    name = "monday-supervisor",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  monday-supervisor shop                     run the project `shop`; Ctrl-C stops all of it
  monday-supervisor shop --config team.yaml  from a file (or folder) of your choice
  monday-supervisor run shop -- make check   run it, then a command, then stop all; its status is the command's
  monday-supervisor run list                 run a project that is named like a command

The configuration is read from --config, else $MONDAY_CONFIG_PATH, else ./monday.yaml, else your home folder."
)]
pub struct Cli {
    /// What to do; without one: `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What `run` takes.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a project (the default)
    Run(RunArgs),
}

/// Where the configuration is.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// Read this file, or the monday*.yaml of this folder; may be given several times
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
}

/// What `run` takes.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The project to run
    #[arg(value_name = "PROJECT")]
    pub project: Option<String>,

    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// The hosts file that gets the project's host names
    #[arg(long, value_name = "PATH", default_value = "/etc/hosts")]
    pub hosts_file: PathBuf,

    /// What every executable takes.
    #[command(flatten)]
    pub life: LifeArgs,

    /// Run COMMAND once everything is up, with the addresses in its environment; then stop and exit with its status
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}
