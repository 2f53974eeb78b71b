//! A forward.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use monday_shared::protocol::fault::Written;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::app::Monitoring;
use super::list::{List, one_or_many};
use super::scalar::{Flag, Text, Time, words};

/// Something elsewhere that is reached as if it were here, or the other way round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map that describes a forward")]
pub struct Forward {
    /// Unique within the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// Which way it goes.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ForwardType>,
    /// Where its metrics are: data for templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// Where it leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
}

words! {
    /// Which way a forward goes.
    ForwardType, "a type of forward" {
        /// To a pod.
        Kubernetes = "kubernetes",
        /// From a pod to this machine.
        KubernetesRemote = "kubernetes-remote",
        /// Through a machine that ssh reaches.
        Ssh = "ssh",
        /// From a machine that ssh reaches to this one.
        SshRemote = "ssh-remote",
        /// To a host that this machine reaches.
        Proxy = "proxy",
    }
}

words! {
    /// Which way to talk to a cluster.
    Transport, "a transport" {
        /// Raw SPDY.
        Spdy = "spdy",
        /// SPDY through a WebSocket.
        WebSocket = "websocket",
        /// The older WebSocket protocol.
        V4 = "v4",
    }
}

words! {
    /// How a workload is replaced.
    Mode, "a mode" {
        /// Its container is.
        Patch = "patch",
        /// The selector of its service is.
        Service = "service",
    }
}

/// Where a forward leads. Which keys count depends on its type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map with `ports`")]
pub struct Values {
    /// `L:R`, or `P` for `P:P`. L is the port that is listened on, R the one that it leads to: for the two remote types
    /// L is there and R is here.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub ports: List<Port>,
    /// The host name that gets an address of its own; default: the forward's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Text>,
    /// Listen on 127.0.0.1 instead of an address of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_proxy: Option<Flag>,
    /// kubernetes: the context of the kubeconfig; default: its current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Text>,
    /// kubernetes: the namespace; default: that of the context, else `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Text>,
    /// kubernetes: the labels of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, Text>>,
    /// kubernetes: a pod by its name, instead of labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Text>,
    /// kubernetes: a service by its name, instead of labels; R is then the port of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Text>,
    /// kubernetes: a deployment by its name, instead of labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Text>,
    /// kubernetes: a stateful set by its name, instead of labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statefulset: Option<Text>,
    /// How long a connection is held while its target is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_wait: Option<Time>,
    /// How long a half-closed connection may be silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub half_close_linger: Option<Time>,
    /// kubernetes: which way to talk to the cluster; default: whatever works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Faults to inject, to see how a client takes them.
    #[serde(skip_serializing_if = "List::is_empty", serialize_with = "one_or_many")]
    pub faults: List<Written>,
    /// kubernetes-remote: the container to replace; default: the one with the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Text>,
    /// kubernetes-remote: the image of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Text>,
    /// kubernetes-remote: how the workload is replaced; default: `patch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// kubernetes-remote: leave out the init containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_init: Option<Flag>,
    /// ssh: `user@host`, or a name of `ssh_config`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Text>,
    /// ssh: extra arguments.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub args: List<Text>,
    /// ssh: the host that R is a port of, at the far end (ssh) or here (ssh-remote); default: 127.0.0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_hostname: Option<Text>,
    /// proxy: the host to relay to; required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_hostname: Option<Text>,
}

/// `L:R` as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Port(pub String);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PortVisitor;

        impl<'de> Visitor<'de> for PortVisitor {
            type Value = Port;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pair of ports such as `8080:80`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Port, E> {
                Ok(Port(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Port, A::Error> {
                // `8080: 80`: YAML makes a map of it.
                let pair = map.next_entry::<String, Option<Text>>();
                Err(A::Error::custom(match pair {
                    Ok(Some((listen, Some(target)))) => format!(
                        "a map is not a pair of ports\nwrite `{listen}:{}`, without a blank after the colon",
                        &*target
                    ),
                    _ => "a map is not a pair of ports\nwrite `8080:80`".to_owned(),
                }))
            }
        }

        deserializer.deserialize_any(PortVisitor)
    }
}

impl JsonSchema for Port {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]{1,5}(:[0-9A-Za-z-]{1,15})?$" },
                { "type": "integer", "minimum": 1, "maximum": 65535 },
            ],
            "examples": ["8080:80"],
        })
    }
}
