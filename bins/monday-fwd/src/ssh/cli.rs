//! `monday-fwd ssh` and `monday-fwd ssh-remote`.

use clap::Args;
use monday_shared::duration::Span;
use monday_shared::protocol::fwd::{ForwardSpec, SshRemoteSpec, SshSpec};

use super::rule::{End, Rule, host_and_port};
use crate::cli::Common;

const RULES: &str = "\
Forwards:
  [NAME@]L:R   L is listened on, R is where it leads; P alone is P:P; port 0 takes a free one
  L may be BIND:L, and with ssh the path of a Unix socket; R may be HOST:R, or the path of a Unix socket
  Forwards without a name are FORWARD1, FORWARD2, ...

~/.ssh/config, agents, keys, certificates and known_hosts are used as ssh(1) uses them. Nothing is ever asked for: \
the key of an unknown host is accepted and remembered (-o StrictHostKeyChecking=yes refuses it), a changed one never.";

/// Forwards ports of this machine to what a remote machine reaches (ssh -L)
#[derive(Clone, Debug, Args)]
#[command(
    after_help = RULES,
    override_usage = "monday-fwd ssh [OPTIONS] [USER@]HOST [NAME@]L:R... [-- COMMAND...]"
)]
pub(crate) struct SshArgs {
    #[command(flatten)]
    server: Server,

    /// What R is a port of, as the remote machine sees it
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    forward_hostname: String,

    /// How long to hold a connection while the tunnel is away
    #[arg(long, value_name = "TIME", default_value = "10s")]
    connect_wait: Span,

    #[command(flatten)]
    common: Common,
}

/// Forwards ports of a remote machine to what this one reaches (ssh -R)
#[derive(Clone, Debug, Args)]
#[command(
    after_help = RULES,
    override_usage = "monday-fwd ssh-remote [OPTIONS] [USER@]HOST [NAME@]L:R... [-- COMMAND...]"
)]
pub(crate) struct SshRemoteArgs {
    #[command(flatten)]
    server: Server,

    /// What R is a port of, as this machine sees it
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    forward_hostname: String,

    #[command(flatten)]
    common: Common,
}

/// Which server, and how it is reached.
#[derive(Clone, Debug, Args)]
struct Server {
    /// The server, or its alias in ~/.ssh/config
    #[arg(value_name = "[USER@]HOST")]
    remote: String,

    /// What to forward
    #[arg(value_name = "[NAME@]L:R", required = true)]
    rules: Vec<Rule>,

    /// A private key, or the public half of one that an agent holds
    #[arg(short = 'i', value_name = "KEY")]
    identities: Vec<String>,

    /// The port of the server
    #[arg(short = 'p', value_name = "PORT")]
    port: Option<u16>,

    /// The user to log in as
    #[arg(short = 'l', value_name = "USER")]
    login: Option<String>,

    /// Go through these servers, separated by commas
    #[arg(short = 'J', value_name = "JUMP")]
    jump: Option<String>,

    /// An option as ~/.ssh/config writes it
    #[arg(short = 'o', value_name = "OPTION=VALUE")]
    options: Vec<String>,

    /// Read this file instead of ~/.ssh/config; none: read no file
    #[arg(short = 'F', value_name = "CONFIG")]
    config: Option<String>,
}

impl Server {
    /// The options as ssh(1) takes them; a flag wins over `-o`, which comes after it.
    fn args(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut add = |flag: &str, value: &str| args.extend([flag.to_owned(), value.to_owned()]);
        if let Some(config) = &self.config {
            add("-F", config);
        }
        for identity in &self.identities {
            add("-i", identity);
        }
        if let Some(port) = self.port {
            add("-p", &port.to_string());
        }
        if let Some(login) = &self.login {
            add("-l", login);
        }
        if let Some(jump) = &self.jump {
            add("-J", jump);
        }
        for option in &self.options {
            add("-o", option);
        }
        args
    }

    /// The rules with a name each.
    fn rules(&self) -> impl Iterator<Item = (String, &Rule)> {
        let mut unnamed = 0;
        self.rules.iter().map(move |rule| {
            let id = rule.name.clone().unwrap_or_else(|| {
                unnamed += 1;
                format!("FORWARD{unnamed}")
            });
            (id, rule)
        })
    }
}

/// An end of a rule as a specification writes it.
fn written(end: &End, host: &str) -> String {
    match end {
        End::Port(port) => host_and_port(host, *port),
        End::Socket(path) => path.clone(),
    }
}

impl SshArgs {
    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    pub(crate) fn forwards(&self) -> Vec<ForwardSpec> {
        let args = self.server.args();
        self.server
            .rules()
            .map(|(id, rule)| {
                ForwardSpec::Ssh(SshSpec {
                    id,
                    listen: listen(rule),
                    remote: self.server.remote.clone(),
                    args: args.clone(),
                    target: target(rule, &self.forward_hostname),
                    connect_wait: self.connect_wait,
                })
            })
            .collect()
    }
}

impl SshRemoteArgs {
    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    pub(crate) fn forwards(&self) -> Vec<ForwardSpec> {
        let args = self.server.args();
        self.server
            .rules()
            .map(|(id, rule)| {
                ForwardSpec::SshRemote(SshRemoteSpec {
                    id,
                    listen: listen(rule),
                    remote: self.server.remote.clone(),
                    args: args.clone(),
                    target: target(rule, &self.forward_hostname),
                })
            })
            .collect()
    }
}

fn listen(rule: &Rule) -> String {
    let bind = rule.bind.as_deref().unwrap_or("127.0.0.1");
    // As ssh(1) takes them: all addresses.
    let bind = if bind.is_empty() || bind == "*" {
        "0.0.0.0"
    } else {
        bind
    };
    written(&rule.listen, bind)
}

fn target(rule: &Rule, host: &str) -> String {
    written(&rule.target, rule.host.as_deref().unwrap_or(host))
}
