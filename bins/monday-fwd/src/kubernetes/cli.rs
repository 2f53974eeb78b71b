//! `monday-fwd kubernetes`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use clap::error::ErrorKind;
use monday_shared::duration::Span;
use monday_shared::protocol::fwd::{ForwardSpec, HalfClose, KubernetesSpec, Transport};

use super::rule::Rule;
use crate::cli::Common;

const NOTES: &str = "\
Targets:
  -l app=web,tier=api   pods with these labels
  pod/NAME, service/NAME (svc/NAME), deployment/NAME (deploy/NAME), statefulset/NAME (sts/NAME)
  New connections go to a pod that runs and is ready, of the newest template; while there is none they are held.

Forwards:
  [NAME@]L:R   L is listened on (0 takes a free port, BIND:L another address, /PATH a Unix socket);
               R is the number or the name of the pod's port, or of the service's; P alone is P:P
  Forwards without a name are FORWARD1, FORWARD2, ...

The configuration is the one of kubectl: --kubeconfig, else MONDAY_KUBE_CONFIG, else KUBECONFIG, else ~/.kube/config,
else the service account of the pod that this runs in.";

/// Forwards ports of this machine to pods (kubectl port-forward that stays)
#[derive(Clone, Debug, Args)]
#[command(
    after_help = NOTES,
    override_usage = "monday-fwd kubernetes [OPTIONS] (-l KEY=VALUE,... | TYPE/NAME) [NAME@]L:R... [-- COMMAND...]"
)]
pub(crate) struct KubernetesArgs {
    /// The target, unless -l says it, and what to forward
    #[arg(value_name = "TYPE/NAME | [NAME@]L:R", required = true)]
    words: Vec<String>,

    /// Pods with these labels
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

    /// How long to hold a connection while there is no pod for it
    #[arg(long, value_name = "TIME", default_value = "10s")]
    connect_wait: Span,

    /// When the pod is told that a client sends nothing more: most container runtimes then cut the answer
    #[arg(long, value_name = "WHEN", default_value = "delay", value_parser = ["delay", "immediate"])]
    half_close: String,

    /// The one way to use, instead of the first that works
    #[arg(long, value_name = "WAY", value_parser = ["spdy", "websocket", "v4"])]
    transport: Option<String>,

    #[command(flatten)]
    common: Common,
}

/// `KEY=VALUE,...`, as kubectl takes it.
pub(crate) fn labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    text.split(',')
        .map(|pair| match pair.trim().split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                // kubectl takes both.
                let value = value.strip_prefix('=').unwrap_or(value);
                Ok((key.to_owned(), value.to_owned()))
            }
            _ => Err(format!("`{pair}` is not KEY=VALUE")),
        })
        .collect()
}

impl KubernetesArgs {
    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    /// The forwards.
    ///
    /// # Errors
    /// What is wrong with the words of the command line.
    pub(crate) fn forwards(&self) -> Result<Vec<ForwardSpec>, (ErrorKind, String)> {
        let (target, rules) = match (&self.labels, self.words.as_slice()) {
            (Some(_), [first, ..]) if target(first).is_some() => {
                return Err((
                    ErrorKind::ArgumentConflict,
                    format!("-l and {first} are two targets: leave one out"),
                ));
            }
            (Some(_), rules) => (None, rules),
            (None, [first, rules @ ..]) => {
                let target = target(first).ok_or_else(|| {
                    (
                        ErrorKind::InvalidValue,
                        format!("`{first}` is no target: write -l KEY=VALUE,... or pod/NAME, service/NAME, deployment/NAME or statefulset/NAME before the forwards"),
                    )
                })?;
                (Some(target), rules)
            }
            (None, []) => (None, [].as_slice()),
        };
        if rules.is_empty() {
            return Err((
                ErrorKind::MissingRequiredArgument,
                "say what to forward: [NAME@]L:R, for example 8080:80".to_owned(),
            ));
        }
        let mut unnamed = 0;
        let mut forwards = Vec::with_capacity(rules.len());
        for text in rules {
            let rule: Rule = text
                .parse()
                .map_err(|why| (ErrorKind::InvalidValue, format!("`{text}`: {why}")))?;
            let id = rule.name.clone().unwrap_or_else(|| {
                unnamed += 1;
                format!("FORWARD{unnamed}")
            });
            let mut spec = self.spec(id, &rule);
            match &target {
                Some((Kind::Pod, name)) => spec.pod = Some(name.clone()),
                Some((Kind::Service, name)) => spec.service = Some(name.clone()),
                Some((Kind::Deployment, name)) => spec.deployment = Some(name.clone()),
                Some((Kind::StatefulSet, name)) => spec.statefulset = Some(name.clone()),
                None => spec.labels = self.labels.clone().unwrap_or_default(),
            }
            forwards.push(ForwardSpec::Kubernetes(spec));
        }
        Ok(forwards)
    }

    fn spec(&self, id: String, rule: &Rule) -> KubernetesSpec {
        let mut spec = KubernetesSpec::new(id, rule.port.to_string());
        spec.listen.clone_from(&rule.listen);
        spec.kubeconfig = self
            .kubeconfig
            .as_ref()
            .map(|file| file.display().to_string());
        spec.context.clone_from(&self.context);
        spec.namespace.clone_from(&self.namespace);
        spec.connect_wait = self.connect_wait;
        if self.half_close == "immediate" {
            spec.half_close = HalfClose::Immediate;
        }
        spec.transport = self.transport.as_deref().map(|way| match way {
            "websocket" => Transport::Websocket,
            "v4" => Transport::V4,
            _ => Transport::Spdy,
        });
        spec
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pod,
    Service,
    Deployment,
    StatefulSet,
}

/// `TYPE/NAME` as kubectl writes it, the short forms included.
fn target(text: &str) -> Option<(Kind, String)> {
    let (kind, name) = text.split_once('/')?;
    if name.is_empty() || kind.is_empty() {
        return None;
    }
    let kind = match kind.split('.').next()? {
        "pod" | "pods" | "po" => Kind::Pod,
        "service" | "services" | "svc" => Kind::Service,
        "deployment" | "deployments" | "deploy" => Kind::Deployment,
        "statefulset" | "statefulsets" | "sts" => Kind::StatefulSet,
        _ => return None,
    };
    Some((kind, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_named_as_kubectl_names_them() {
        let web = |kind| Some((kind, "web".to_owned()));
        assert_eq!(target("pod/web"), web(Kind::Pod));
        assert_eq!(target("svc/web"), web(Kind::Service));
        assert_eq!(target("deployment.apps/web"), web(Kind::Deployment));
        assert_eq!(target("sts/web"), web(Kind::StatefulSet));
        for none in ["/run/s:80", "cronjob/web", "pod/", "web"] {
            assert_eq!(target(none), None, "{none}");
        }
    }

    #[test]
    fn labels_are_pairs() {
        let read = labels("app=web,tier==api").unwrap();
        let pairs: Vec<_> = read.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs, ["app=web", "tier=api"]);
        assert!(labels("app").is_err());
    }
}
