//! `monday-fwd kubernetes-remote`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use clap::error::ErrorKind;
use monday_shared::protocol::fwd::{
    ForwardSpec, KubernetesRemoteSpec, RemoteMode, RemotePort, Transport,
};

use crate::cli::Common;
use crate::kubernetes::labels;

const NOTES: &str = "\
Targets:
  -l app=web,tier=api   the one Deployment whose pods have these labels
  deployment/NAME       the Deployment of that name (deploy/NAME)

Ports:
  L:R   connections to port L of the pods lead to port R of this machine; L:HOST:R to another one that it reaches;
        P alone is P:P

The Deployment is changed for as long as this runs: its pods become pods with an agent in them. However this ends, it is
put back: by this process, by one beside it if it is killed, by the next start, or by `monday-fwd restore`.
The image of the agent is made by `make image`; see the README. The configuration of the cluster is found as with
`monday-fwd kubernetes`.";

/// Leads the traffic of a Deployment's pods to this machine, and puts the Deployment back at the end
#[derive(Clone, Debug, Args)]
#[command(
    after_help = NOTES,
    override_usage = "monday-fwd kubernetes-remote [OPTIONS] (-l KEY=VALUE,... | deployment/NAME) L:R... [-- COMMAND...]"
)]
pub(crate) struct KubernetesRemoteArgs {
    /// The target, unless -l says it, and the ports
    #[arg(value_name = "deployment/NAME | L:R", required = true)]
    words: Vec<String>,

    /// The Deployment whose pods have these labels
    #[arg(short = 'l', long = "selector", value_name = "KEY=VALUE,...", value_parser = labels)]
    labels: Option<BTreeMap<String, String>>,

    /// The context, if not the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// The namespace, if not the context's own
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,

    /// The configuration of the cluster
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The container to replace, if not the one that declares the first port
    #[arg(long, value_name = "NAME")]
    container: Option<String>,

    /// The image with the agent [default: monday.internal/agent:VERSION]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,

    /// What is changed: the Deployment, or the selector of the Service before it
    #[arg(long, value_name = "MODE", default_value = "patch", value_parser = ["patch", "service"])]
    mode: String,

    /// Leave out the init containers
    #[arg(long)]
    skip_init: bool,

    /// Only these contexts may be changed; without it all whose name has neither `prod` nor `live` in it
    #[arg(long = "allow-context", value_name = "NAME")]
    allowed: Vec<String>,

    /// The one way to use, instead of the first that works
    #[arg(long, value_name = "WAY", value_parser = ["spdy", "websocket", "v4"])]
    transport: Option<String>,

    #[command(flatten)]
    common: Common,
}

impl KubernetesRemoteArgs {
    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    /// The forward.
    ///
    /// # Errors
    /// What is wrong with the words of the command line.
    pub(crate) fn forwards(&self) -> Result<Vec<ForwardSpec>, (ErrorKind, String)> {
        let (deployment, rules) = match (&self.labels, self.words.as_slice()) {
            (Some(_), [first, ..]) if deployment(first).is_some() => {
                return Err((
                    ErrorKind::ArgumentConflict,
                    format!("-l and {first} are two targets: leave one out"),
                ));
            }
            (Some(_), rules) => (None, rules),
            (None, [first, rules @ ..]) => {
                let deployment = deployment(first).ok_or_else(|| {
                    (
                        ErrorKind::InvalidValue,
                        format!("`{first}` is no target: write -l KEY=VALUE,... or deployment/NAME before the ports"),
                    )
                })?;
                (Some(deployment), rules)
            }
            (None, []) => (None, [].as_slice()),
        };
        if rules.is_empty() {
            return Err((
                ErrorKind::MissingRequiredArgument,
                "say which ports lead here: L:R, for example 80:8080".to_owned(),
            ));
        }
        let mut ports = Vec::with_capacity(rules.len());
        for text in rules {
            let port = rule(text).ok_or_else(|| {
                (
                    ErrorKind::InvalidValue,
                    format!("`{text}`: write L:R, for example 80:8080; L is the pods' port, R the one of this machine"),
                )
            })?;
            ports.push(port);
        }
        let allowed = (!self.allowed.is_empty()).then(|| self.allowed.clone());
        let id = match (&deployment, &self.labels) {
            (Some(name), _) => name.clone(),
            (None, Some(labels)) => labels.values().next().cloned().unwrap_or_default(),
            (None, None) => String::new(),
        };
        Ok(vec![ForwardSpec::KubernetesRemote(KubernetesRemoteSpec {
            id,
            kubeconfig: self
                .kubeconfig
                .as_ref()
                .map(|file| file.display().to_string()),
            context: self.context.clone(),
            namespace: self.namespace.clone(),
            labels: self.labels.clone().unwrap_or_default(),
            deployment,
            container: self.container.clone(),
            image: self.image.clone(),
            mode: match self.mode.as_str() {
                "service" => RemoteMode::Service,
                _ => RemoteMode::Patch,
            },
            skip_init: self.skip_init,
            ports,
            allowed_contexts: allowed,
            transport: self.transport.as_deref().map(|way| match way {
                "websocket" => Transport::Websocket,
                "v4" => Transport::V4,
                _ => Transport::Spdy,
            }),
        })])
    }
}

fn deployment(text: &str) -> Option<String> {
    let (kind, name) = text.split_once('/')?;
    let is_deployment = matches!(
        kind.split('.').next()?,
        "deployment" | "deployments" | "deploy"
    );
    (is_deployment && !name.is_empty()).then(|| name.to_owned())
}

/// `L:R`, `L:HOST:R` or `P`.
fn rule(text: &str) -> Option<RemotePort> {
    let (listen, target) = text.split_once(':').unwrap_or((text, text));
    let (host, port) = target.rsplit_once(':').unwrap_or(("127.0.0.1", target));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let port = number(port)?;
    (!host.is_empty()).then_some(RemotePort {
        port: number(listen)?,
        target: format!("{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_pairs_and_lead_to_this_machine_unless_they_say_otherwise() {
        let read = |text| rule(text).map(|port| (port.port, port.target));
        assert_eq!(read("80:8080"), Some((80, "127.0.0.1:8080".to_owned())));
        assert_eq!(read("80"), Some((80, "127.0.0.1:80".to_owned())));
        assert_eq!(read("80:[::1]:81"), Some((80, "[::1]:81".to_owned())));
        for wrong in ["", "0:1", "80:", "x:1", "80::1x", "http"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_target_is_a_deployment() {
        assert_eq!(deployment("deploy/web").as_deref(), Some("web"));
        assert_eq!(deployment("deployment.apps/web").as_deref(), Some("web"));
        assert_eq!(deployment("pod/web"), None);
        assert_eq!(deployment("80:80"), None);
    }
}
