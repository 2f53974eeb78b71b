//! What is changed in a cluster, as plain JSON: nothing of an object is lost that these types would not know.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, header};
use kube::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::kubernetes::cluster::{Access, Cluster, ClusterError};
use crate::kubernetes::kubeconfig::causes;
use crate::kubernetes::refusal::{Place, Refusal};

/// How long the API server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Who changes fields, for `managedFields`.
const MANAGER: &str = "monday";

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Deployment,
    Service,
}

impl Kind {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Deployment, Self::Service];

    /// As rights name it.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::Service => "services",
        }
    }

    /// As people name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Service => "service",
        }
    }

    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Deployment => "apps",
            Self::Service => "",
        }
    }

    fn api(self) -> &'static str {
        match self {
            Self::Deployment => "/apis/apps/v1",
            Self::Service => "/api/v1",
        }
    }
}

/// An object of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Name {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.word(), self.name)
    }
}

/// Why something cannot be had from the API server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// There is no client.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// It says no.
    #[error("{}", causes(.0))]
    Api(#[from] kube::Error),
    /// It says nothing.
    #[error("the API server has not answered within {} s", ANSWER_WITHIN.as_secs())]
    Silence,
    /// A request cannot be made.
    #[error("{0}")]
    Request(#[from] http::Error),
}

impl Fault {
    /// The status of the answer; 0 if there was none.
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::Api(kube::Error::Api(status)) => status.code,
            _ => 0,
        }
    }

    /// What it says, in a sentence with the place and a remedy.
    pub(crate) fn explained(
        &self,
        what: &str,
        verb: &str,
        resource: &str,
        place: &Place,
    ) -> String {
        match self {
            Self::Api(error) => Refusal::of_api(what, verb, resource, error, place).to_string(),
            error => format!("{what} ({place}): {error}"),
        }
    }
}

/// The objects of a namespace.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) namespace: String,
    pub(crate) place: Place,
}

impl Objects {
    /// Those of a cluster, in the namespace that was asked for or the context's own.
    ///
    /// # Errors
    /// [`ClusterError`]
    pub(crate) async fn of(
        cluster: Arc<Cluster>,
        namespace: Option<&str>,
    ) -> Result<Self, ClusterError> {
        let access = cluster.access().await?;
        let namespace = namespace.unwrap_or(&access.default_namespace).to_owned();
        Ok(Self {
            place: Place {
                context: access.context.clone(),
                namespace: namespace.clone(),
                server: access.server.clone(),
            },
            cluster,
            namespace,
        })
    }

    /// The client of the moment.
    ///
    /// # Errors
    /// [`ClusterError`]
    pub(crate) async fn client(&self) -> Result<Client, ClusterError> {
        Ok(self.cluster.access().await?.client.clone())
    }

    fn path(&self, kind: Kind) -> String {
        format!(
            "{}/namespaces/{}/{}",
            kind.api(),
            self.namespace,
            kind.resource()
        )
    }

    /// One object.
    ///
    /// # Errors
    /// [`Fault`]
    pub(crate) async fn get(&self, name: &Name) -> Result<Value, Fault> {
        let path = format!("{}/{}", self.path(name.kind), name.name);
        self.send(&Method::GET, &path, None).await
    }

    /// All of a kind, those with a label if one is said.
    ///
    /// # Errors
    /// [`Fault`]
    pub(crate) async fn list(&self, kind: Kind, label: Option<&str>) -> Result<Vec<Value>, Fault> {
        self.list_at(&self.path(kind), label).await
    }

    /// All of a kind with a label, in all namespaces.
    ///
    /// # Errors
    /// [`Fault`]
    pub(crate) async fn list_everywhere(
        &self,
        kind: Kind,
        label: &str,
    ) -> Result<Vec<Value>, Fault> {
        let path = format!("{}/{}", kind.api(), kind.resource());
        self.list_at(&path, Some(label)).await
    }

    /// The objects at a path of this namespace below `/apis/GROUP/VERSION` or `/api/v1`.
    ///
    /// # Errors
    /// [`Fault`]
    pub(crate) async fn list_of(&self, api: &str, resource: &str) -> Result<Vec<Value>, Fault> {
        let path = format!("{api}/namespaces/{}/{resource}", self.namespace);
        self.list_at(&path, None).await
    }

    async fn list_at(&self, path: &str, label: Option<&str>) -> Result<Vec<Value>, Fault> {
        let path = match label {
            Some(label) => format!("{path}?labelSelector={}", encoded(label)),
            None => path.to_owned(),
        };
        let mut list = self.send(&Method::GET, &path, None).await?;
        match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// Changes an object by a JSON Patch; returns it as it is then.
    ///
    /// # Errors
    /// [`Fault`]
    pub(crate) async fn patch(&self, name: &Name, operations: &Value) -> Result<Value, Fault> {
        let path = format!(
            "{}/{}?fieldManager={MANAGER}",
            self.path(name.kind),
            name.name
        );
        self.send(&Method::PATCH, &path, Some(operations)).await
    }

    /// Makes an object.
    ///
    /// # Errors
    /// [`Fault`]
    pub(crate) async fn create(&self, kind: Kind, object: &Value) -> Result<Value, Fault> {
        let path = format!("{}?fieldManager={MANAGER}", self.path(kind));
        self.send(&Method::POST, &path, Some(object)).await
    }

    /// Deletes an object, and what it controls.
    ///
    /// # Errors
    /// [`Fault`]
    pub(crate) async fn delete(&self, name: &Name) -> Result<(), Fault> {
        let path = format!(
            "{}/{}?propagationPolicy=Background",
            self.path(name.kind),
            name.name
        );
        self.send(&Method::DELETE, &path, None).await.map(drop)
    }

    /// May we do that here?
    ///
    /// # Errors
    /// [`Fault`]
    pub(crate) async fn may(
        &self,
        verb: &str,
        group: &str,
        resource: &str,
        name: Option<&str>,
    ) -> Result<bool, Fault> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": self.namespace, "verb": verb, "group": group,
                "resource": resource, "subresource": subresource, "name": name.unwrap_or_default(),
            }},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.send(&Method::POST, path, Some(&review)).await?;
        Ok(answer.pointer("/status/allowed") == Some(&Value::Bool(true)))
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Fault> {
        let access = self.cluster.access().await?;
        let refused = match ask(&access, method, path, body).await {
            Err(fault) if fault.code() == 401 => fault,
            answer => return answer,
        };
        match self.cluster.renewed(&access).await? {
            Some(access) => ask(&access, method, path, body).await,
            None => Err(refused),
        }
    }
}

async fn ask(
    access: &Access,
    method: &Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Fault> {
    let kind = match *method {
        Method::PATCH => "application/json-patch+json",
        _ => "application/json",
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, kind)
        .body(
            body.map(|body| body.to_string().into_bytes())
                .unwrap_or_default(),
        )?;
    match timeout(ANSWER_WITHIN, access.client.request(request)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Fault::Silence),
    }
}

/// With everything escaped that means something in a query (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to memory cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
