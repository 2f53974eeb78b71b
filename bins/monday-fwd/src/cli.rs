//! The command line.

use std::collections::HashMap;
use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use monday_shared::address_env::variable_name;
use monday_shared::life::LifeArgs;
use monday_shared::protocol::fwd::ForwardSpec;

use crate::kubernetes::KubernetesArgs;
use crate::ssh::{SshArgs, SshRemoteArgs};

const EXAMPLES: &str = "\
Examples:
  monday-fwd ssh dev@bastion.example.com db@0:5432 --forward-hostname db.internal -- sh -c 'psql -h $MONDAY_HOST_DB -p $MONDAY_PORT_DB -l'
      runs a command that finds the forward in its environment, and exits with its status
  monday-fwd ssh-remote dev@example.com 8080:3000
      shows port 3000 of this machine as port 8080 of the other
  monday-fwd kubernetes --context dev -n shop deployment/orders orders@8080:http
      leads port 8080 of this machine to a pod of the Deployment, whichever that is at the moment
  monday-fwd --control /tmp/fwd.sock
      takes its forwards from the control socket: methods open, close, list and status";

/// Opens forwards that stay: over SSH and from Kubernetes
///
/// A forward listens from the first moment on; connections made while its tunnel is away are held until it is back.
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    override_usage = "monday-fwd <KIND> [OPTIONS] ... [-- COMMAND...]\n       \
                      monday-fwd [OPTIONS] --control PATH"
)]
pub struct Cli {
    #[command(subcommand)]
    kind: Option<KindArgs>,

    #[command(flatten)]
    life: LifeArgs,
}

/// What every kind of forward takes besides what it is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    #[command(flatten)]
    life: LifeArgs,

    /// Run this with the addresses in its environment once all forwards are up, and end with it
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<OsString>,
}

/// A kind of forward, with what its command line says.
#[derive(Clone, Debug, Subcommand)]
enum KindArgs {
    Ssh(SshArgs),
    SshRemote(SshRemoteArgs),
    Kubernetes(KubernetesArgs),
}

impl KindArgs {
    fn common(&self) -> &Common {
        match self {
            Self::Ssh(args) => args.common(),
            Self::SshRemote(args) => args.common(),
            Self::Kubernetes(args) => args.common(),
        }
    }
}

impl Cli {
    /// Reads the command line of this process; ends the process if it makes no sense.
    #[must_use]
    pub fn parse_or_exit() -> Self {
        Self::try_read(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn try_read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let cli = Self::try_parse_from(words)?;
        let refused =
            |kind, problem: String| <Self as CommandFactory>::command().error(kind, problem);
        if cli.kind.is_none() && cli.life.control.is_none() {
            return Err(refused(
                ErrorKind::MissingRequiredArgument,
                "say what to forward (`monday-fwd ssh --help`), or take it from a socket with --control PATH".to_owned(),
            ));
        }
        if let Some(KindArgs::Kubernetes(args)) = &cli.kind
            && let Err((kind, problem)) = args.forwards()
        {
            return Err(refused(kind, problem));
        }
        match name_clash(&cli.forwards()) {
            Some(problem) => Err(refused(ErrorKind::ArgumentConflict, problem)),
            None => Ok(cli),
        }
    }

    /// The flags of every executable.
    #[must_use]
    pub fn life(&self) -> &LifeArgs {
        self.kind
            .as_ref()
            .map_or(&self.life, |kind| &kind.common().life)
    }

    /// The forwards.
    #[must_use]
    pub fn forwards(&self) -> Vec<ForwardSpec> {
        match &self.kind {
            Some(KindArgs::Ssh(args)) => args.forwards(),
            Some(KindArgs::SshRemote(args)) => args.forwards(),
            // It made sense when it was read.
            Some(KindArgs::Kubernetes(args)) => args.forwards().unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// What to run meanwhile.
    #[must_use]
    pub fn command(&self) -> &[OsString] {
        self.kind
            .as_ref()
            .map_or(&[], |kind| kind.common().command.as_slice())
    }
}

/// Two names that would be the same in the environment of COMMAND.
fn name_clash(forwards: &[ForwardSpec]) -> Option<String> {
    let mut seen = HashMap::new();
    forwards.iter().find_map(|forward| {
        let variable = format!("MONDAY_ADDR_{}", variable_name(forward.id()));
        let other = seen.insert(variable.clone(), forward.id())?;
        Some(format!(
            "the forwards `{other}` and `{}` would both be {variable}: give them different names",
            forward.id()
        ))
    })
}
