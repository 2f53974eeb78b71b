//! The command line.

use std::collections::HashMap;
use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use monday_shared::address_env::variable_name;
use monday_shared::life::LifeArgs;
use monday_shared::protocol::fwd::ForwardSpec;

use crate::kubernetes::KubernetesArgs;
use crate::kubernetes_remote::KubernetesRemoteArgs;
use crate::kubernetes_remote::restore::RestoreArgs;
use crate::kubernetes_remote::watcher::WatcherArgs;
use crate::ssh::{SshArgs, SshRemoteArgs};

const EXAMPLES: &str = "\
Examples:
  monday-fwd ssh dev@bastion.example.com db@0:5432 --forward-hostname db.internal -- sh -c 'psql -h $MONDAY_HOST_DB -p $MONDAY_PORT_DB -l'
      runs a command that finds the forward in its environment, and exits with its status
  monday-fwd ssh-remote dev@example.com 8080:3000
      shows port 3000 of this machine as port 8080 of the other
  monday-fwd kubernetes --context dev -n shop deployment/orders orders@8080:http
      leads port 8080 of this machine to a pod of the Deployment, whichever that is at the moment
  monday-fwd kubernetes-remote --context dev -n shop deployment/orders 8080:3000
      leads what the Deployment's pods get at port 8080 to port 3000 of this machine, and puts it back at the end
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
    KubernetesRemote(KubernetesRemoteArgs),
    Restore(RestoreArgs),
    /// Puts clusters back when its parent is killed
    #[command(hide = true)]
    RemoteWatcher(WatcherArgs),
}

impl KindArgs {
    /// What a kind of forward has; nothing for what is none.
    fn common(&self) -> Option<&Common> {
        match self {
            Self::Ssh(args) => Some(args.common()),
            Self::SshRemote(args) => Some(args.common()),
            Self::Kubernetes(args) => Some(args.common()),
            Self::KubernetesRemote(args) => Some(args.common()),
            Self::Restore(_) | Self::RemoteWatcher(_) => None,
        }
    }

    fn life(&self) -> Option<&LifeArgs> {
        match self {
            Self::Restore(args) => Some(&args.life),
            Self::RemoteWatcher(args) => Some(&args.life),
            kind => kind.common().map(|common| &common.life),
        }
    }
}

/// What the executable is to do.
#[derive(Clone, Debug)]
pub enum Job {
    /// Open forwards.
    Forward(Box<Cli>),
    /// Put back what was left in clusters.
    Restore(RestoreArgs),
    /// Put it back when the parent is killed.
    Watch(WatcherArgs),
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
        let made_sense = match &cli.kind {
            Some(KindArgs::Kubernetes(args)) => args.forwards(),
            Some(KindArgs::KubernetesRemote(args)) => args.forwards(),
            _ => Ok(Vec::new()),
        };
        if let Err((kind, problem)) = made_sense {
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
        let of_kind = self.kind.as_ref().and_then(KindArgs::life);
        of_kind.unwrap_or(&self.life)
    }

    /// What is to be done.
    #[must_use]
    pub fn job(self) -> Job {
        match self.kind {
            Some(KindArgs::Restore(args)) => Job::Restore(args),
            Some(KindArgs::RemoteWatcher(args)) => Job::Watch(args),
            _ => Job::Forward(Box::new(self)),
        }
    }

    /// The forwards.
    #[must_use]
    pub fn forwards(&self) -> Vec<ForwardSpec> {
        match &self.kind {
            Some(KindArgs::Ssh(args)) => args.forwards(),
            Some(KindArgs::SshRemote(args)) => args.forwards(),
            // It made sense when it was read.
            Some(KindArgs::Kubernetes(args)) => args.forwards().unwrap_or_default(),
            Some(KindArgs::KubernetesRemote(args)) => args.forwards().unwrap_or_default(),
            Some(KindArgs::Restore(_) | KindArgs::RemoteWatcher(_)) | None => Vec::new(),
        }
    }

    /// What to run meanwhile.
    #[must_use]
    pub fn command(&self) -> &[OsString] {
        let common = self.kind.as_ref().and_then(KindArgs::common);
        common.map_or(&[], |common| common.command.as_slice())
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
