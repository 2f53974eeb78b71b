//! Why something cannot be had from the cluster, and what to do about it.

use std::fmt;

use super::kubeconfig::causes;
use super::transport::DialError;

/// Where it was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The context; `None` in a cluster.
    pub(crate) context: Option<String>,
    pub(crate) namespace: String,
    /// The API server's address.
    pub(crate) server: String,
}

impl Place {
    /// The line that finds out whether a user may do something.
    fn can_i(&self, verb: &str, resource: &str) -> String {
        let context = self
            .context
            .as_ref()
            .map(|context| format!(" --context {context}"))
            .unwrap_or_default();
        let resource = resource.split_once('/').map_or_else(
            || resource.to_owned(),
            |(resource, sub)| format!("{resource} --subresource {sub}"),
        );
        format!(
            "kubectl auth can-i {verb} {resource} --namespace {}{context}",
            self.namespace
        )
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.context {
            Some(context) => write!(f, "context {context}, namespace {}", self.namespace),
            None => write!(f, "namespace {}", self.namespace),
        }
    }
}

/// A reason and its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    text: String,
    is_final: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Refusal {
    /// One that says it all, and may pass.
    pub(crate) fn text(text: String) -> Self {
        Self {
            text,
            is_final: false,
        }
    }

    /// A target that is there and cannot be forwarded to.
    pub(crate) fn of_target(text: String) -> Self {
        Self {
            text,
            is_final: true,
        }
    }

    /// Is there no point in trying it again?
    pub(crate) fn is_final(&self) -> bool {
        self.is_final
    }

    /// What the API server answered to a request.
    pub(crate) fn of_api(
        what: &str,
        verb: &str,
        resource: &str,
        error: &kube::Error,
        place: &Place,
    ) -> Self {
        let code = match error {
            kube::Error::Api(status) => status.code,
            _ => 0,
        };
        let why = match error {
            kube::Error::Api(status) if status.message.is_empty() => status.code.to_string(),
            kube::Error::Api(status) => status.message.clone(),
            // Only what it wraps says anything to a person.
            kube::Error::Service(error) => causes(error.source().unwrap_or(&**error)),
            error => causes(error),
        };
        let remedy = match code {
            401 => format!(
                "; the API server does not accept the credentials: log in again, and see whether `kubectl --namespace {} get pods` works",
                place.namespace
            ),
            403 => format!(
                "; a role with the verb `{verb}` on `{resource}` is missing: `{}` says whether you have it",
                place.can_i(verb, resource)
            ),
            0 => "; does it run, and is it the right one? `kubectl cluster-info` asks the same"
                .to_owned(),
            _ => String::new(),
        };
        let server = if code == 0 {
            format!(" at {}", place.server)
        } else {
            String::new()
        };
        Self {
            text: format!("{what} ({place}){server}: {why}{remedy}"),
            is_final: matches!(code, 401 | 403 | 404),
        }
    }

    /// What came of dialling a pod.
    pub(crate) fn of_dial(error: &DialError, place: &Place) -> Self {
        let verbs = error.missing_verbs();
        let mut text = match error {
            DialError::Cluster(error) => error.to_string(),
            DialError::Refused { .. } => format!("{error} ({place})"),
        };
        if let Some(verb) = verbs.first() {
            let either = verbs.join("` or `");
            let can_i = place.can_i(verb, "pods/portforward");
            text = format!(
                "{text}; a role with the verb `{either}` on `pods/portforward` is missing: `{can_i}` says whether you have it"
            );
        }
        Self {
            text,
            is_final: !error.may_pass() && !error.is_about_the_pod(),
        }
    }
}

/// Does a reason that came from the node say that the pod's port was never connected to? Then nothing that the client
/// said was delivered. The texts are those of containerd, CRI-O and the kubelet.
pub(crate) fn says_undelivered(reason: &str) -> bool {
    const SAYINGS: [&str; 8] = [
        "failed to connect to",
        "connection refused",
        "failed to find sandbox",
        "failed to open network namespace",
        "network namespace for sandbox",
        "container not running",
        "sandbox container",
        "unable to do port forwarding: socat not found",
    ];
    let after_dialling = ["reset by peer", "broken pipe", "failed to copy"];
    SAYINGS.iter().any(|saying| reason.contains(saying))
        && !after_dialling.iter().any(|saying| reason.contains(saying))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::transport::{Answer, Kind, PodName};

    fn place() -> Place {
        Place {
            context: Some("dev".to_owned()),
            namespace: "shop".to_owned(),
            server: "https://s:6443/".to_owned(),
        }
    }

    #[test]
    fn a_missing_verb_is_named_with_the_line_that_checks_it() {
        let status = kube::core::Status {
            code: 403,
            message: "pods is forbidden".to_owned(),
            ..kube::core::Status::default()
        };
        let error = kube::Error::Api(status.boxed());
        let refusal = Refusal::of_api("cannot list pods", "list", "pods", &error, &place());
        assert!(refusal.is_final());
        assert_eq!(
            refusal.to_string(),
            "cannot list pods (context dev, namespace shop): pods is forbidden; a role with the verb `list` on `pods` \
             is missing: `kubectl auth can-i list pods --namespace shop --context dev` says whether you have it"
        );
    }

    #[test]
    fn a_refused_forward_names_both_verbs_and_where() {
        let forbidden = || Answer::Status {
            code: 403,
            message: "no".to_owned(),
            no_pod: false,
        };
        let error = DialError::Refused {
            server: "https://s:6443/".to_owned(),
            pod: PodName {
                namespace: "shop".to_owned(),
                name: "web-1".to_owned(),
            },
            attempts: vec![(Kind::Spdy, forbidden()), (Kind::Websocket, forbidden())],
            worked: false,
        };
        let text = Refusal::of_dial(&error, &place()).to_string();
        for part in [
            "shop/web-1",
            "context dev, namespace shop",
            "spdy: 403 no; websocket: 403 no",
            "`create` or `get` on `pods/portforward`",
            "kubectl auth can-i create pods --subresource portforward --namespace shop --context dev",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn only_a_reason_from_before_the_dial_says_that_nothing_was_delivered() {
        assert!(says_undelivered(
            "error forwarding port 1 to pod x, uid : failed to execute portforward in network namespace \"/var/run/netns/a\": failed to connect to localhost:1 inside namespace \"b\", IPv4: dial tcp4 127.0.0.1:1: connect: connection refused"
        ));
        assert!(says_undelivered(
            "failed to find sandbox \"a\" in store: not found"
        ));
        assert!(!says_undelivered(
            "failed to execute portforward in network namespace \"/var/run/netns/a\": read tcp4: connection reset by peer"
        ));
        assert!(!says_undelivered("something else"));
    }
}
