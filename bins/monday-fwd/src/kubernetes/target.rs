//! What is forwarded to, and to which port of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::Selector;
use kube::{Api, Client};

use super::pods::{PodFacts, Readiness};

/// What is forwarded to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Pods with these labels.
    Labels(BTreeMap<String, String>),
    /// This pod.
    Pod(String),
    /// The pods behind a service. The port is the service's.
    Service(String),
    /// The pods of a deployment.
    Deployment(String),
    /// The pods of a stateful set.
    StatefulSet(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Labels(labels) => write!(f, "pods with {}", equalities(labels)),
            Self::Pod(name) => write!(f, "pod/{name}"),
            Self::Service(name) => write!(f, "service/{name}"),
            Self::Deployment(name) => write!(f, "deployment/{name}"),
            Self::StatefulSet(name) => write!(f, "statefulset/{name}"),
        }
    }
}

/// Labels as a selector writes them.
fn equalities(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// Its number.
    Number(u16),
    /// Its name.
    Name(String),
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse() {
                Ok(number) if number > 0 => Ok(Self::Number(number)),
                _ => Err(format!(
                    "`{text}` is no port: write a number from 1 to 65535 or the port's name"
                )),
            };
        }
        let valid = (1..=63).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if valid {
            Ok(Self::Name(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is no port: write its number, or its name as the pod has it"
            ))
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Port {
    /// The number that it is in a pod.
    ///
    /// # Errors
    /// The pod has no port of that name.
    pub(crate) fn of(&self, pod: &PodFacts) -> Result<u16, String> {
        let name = match self {
            Self::Number(number) => return Ok(*number),
            Self::Name(name) => name,
        };
        pod.named_port(name).ok_or_else(|| {
            let names = pod.port_names();
            let known = if names.is_empty() {
                "its containers name none".to_owned()
            } else {
                format!("it has {}", names.join(", "))
            };
            format!("pod {} has no port named `{name}`: {known}", pod.name)
        })
    }
}

/// Which pods to watch, and which of their ports is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// A selector of labels.
    pub(crate) labels: Option<String>,
    /// A selector of fields.
    pub(crate) fields: Option<String>,
    /// The port of the pod.
    pub(crate) port: Port,
}

/// Why a target cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// The API server says no.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// It is there, but says nothing about pods.
    #[error("{0}")]
    Useless(String),
}

impl Target {
    /// Does a pod have to be ready?
    pub(crate) fn readiness(&self) -> Readiness {
        match self {
            Self::Pod(_) => Readiness::Ignored,
            _ => Readiness::Required,
        }
    }

    /// The resource that has to be read to resolve it.
    pub(crate) fn resource(&self) -> Option<&'static str> {
        match self {
            Self::Labels(_) | Self::Pod(_) => None,
            Self::Service(_) => Some("services"),
            Self::Deployment(_) => Some("deployments"),
            Self::StatefulSet(_) => Some("statefulsets"),
        }
    }

    /// Finds out which pods are meant.
    ///
    /// # Errors
    /// [`ResolveError`]
    pub(crate) async fn resolve(
        &self,
        client: &Client,
        namespace: &str,
        port: &Port,
    ) -> Result<Resolved, ResolveError> {
        let labels = match self {
            Self::Labels(labels) => equalities(labels),
            Self::Pod(name) => {
                return Ok(Resolved {
                    labels: None,
                    fields: Some(format!("metadata.name={name}")),
                    port: port.clone(),
                });
            }
            Self::Service(name) => {
                let service = Api::<Service>::namespaced(client.clone(), namespace)
                    .get(name)
                    .await?;
                let spec = service.spec.unwrap_or_default();
                let labels = spec.selector.unwrap_or_default();
                if labels.is_empty() {
                    return Err(ResolveError::Useless(format!(
                        "service/{name} selects no pods, so that there is nothing to forward to"
                    )));
                }
                let ports = spec.ports.unwrap_or_default();
                return Ok(Resolved {
                    labels: Some(equalities(&labels)),
                    fields: None,
                    port: behind(name, &ports, port).map_err(ResolveError::Useless)?,
                });
            }
            Self::Deployment(name) => {
                let deployment = Api::<Deployment>::namespaced(client.clone(), namespace)
                    .get(name)
                    .await?;
                selector(deployment.spec.map(|spec| spec.selector), self)?
            }
            Self::StatefulSet(name) => {
                let set = Api::<StatefulSet>::namespaced(client.clone(), namespace)
                    .get(name)
                    .await?;
                selector(set.spec.map(|spec| spec.selector), self)?
            }
        };
        Ok(Resolved {
            labels: Some(labels),
            fields: None,
            port: port.clone(),
        })
    }
}

fn selector(selector: Option<LabelSelector>, target: &Target) -> Result<String, ResolveError> {
    let unusable = |why: String| ResolveError::Useless(format!("the selector of {target} {why}"));
    let selector = selector.ok_or_else(|| unusable("is missing".to_owned()))?;
    let selector = Selector::try_from(selector)
        .map_err(|error| unusable(format!("cannot be used: {error}")))?;
    Ok(selector.to_string())
}

/// The port of a pod that is behind a port of a service.
fn behind(service: &str, ports: &[ServicePort], wanted: &Port) -> Result<Port, String> {
    let found = ports.iter().find(|port| match wanted {
        Port::Number(number) => port.port == i32::from(*number),
        Port::Name(name) => port.name.as_deref() == Some(name.as_str()),
    });
    let Some(found) = found else {
        let known: Vec<_> = ports
            .iter()
            .map(|port| match &port.name {
                Some(name) => format!("{} ({name})", port.port),
                None => port.port.to_string(),
            })
            .collect();
        return Err(format!(
            "service/{service} has no port {wanted}: it has {}",
            known.join(", ")
        ));
    };
    if found
        .protocol
        .as_deref()
        .is_some_and(|protocol| protocol != "TCP")
    {
        return Err(format!(
            "port {wanted} of service/{service} is {}, and only TCP can be forwarded",
            found.protocol.as_deref().unwrap_or_default()
        ));
    }
    let number = match &found.target_port {
        Some(IntOrString::String(name)) => return Ok(Port::Name(name.clone())),
        Some(IntOrString::Int(number)) if *number != 0 => *number,
        _ => found.port,
    };
    u16::try_from(number)
        .map(Port::Number)
        .map_err(|_| format!("port {wanted} of service/{service} leads to no port of a pod"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_number_or_a_name() {
        assert_eq!("80".parse(), Ok(Port::Number(80)));
        assert_eq!("http-alt".parse(), Ok(Port::Name("http-alt".to_owned())));
        for wrong in ["0", "65536", "a b", ""] {
            assert!(wrong.parse::<Port>().is_err(), "{wrong:?}");
        }
    }

    fn service_port(port: i32, name: &str, target: Option<IntOrString>) -> ServicePort {
        ServicePort {
            port,
            name: Some(name.to_owned()),
            target_port: target,
            ..ServicePort::default()
        }
    }

    #[test]
    fn a_service_leads_to_the_port_behind_its_own() {
        let ports = [
            service_port(80, "web", Some(IntOrString::Int(8080))),
            service_port(81, "admin", Some(IntOrString::String("adm".to_owned()))),
            service_port(82, "same", None),
        ];
        let number = |number| behind("s", &ports, &Port::Number(number));
        assert_eq!(number(80), Ok(Port::Number(8080)));
        assert_eq!(number(81), Ok(Port::Name("adm".to_owned())));
        assert_eq!(number(82), Ok(Port::Number(82)));
        let web = Port::Name("web".to_owned());
        assert_eq!(behind("s", &ports, &web), Ok(Port::Number(8080)));
        let error = number(8080).unwrap_err();
        assert!(
            error.ends_with("it has 80 (web), 81 (admin), 82 (same)"),
            "{error}"
        );
    }
}
