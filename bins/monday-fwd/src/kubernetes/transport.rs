//! Getting a connection to a pod through the API server, in one of three ways.
//!
//! Raw SPDY is the fastest and the oldest: every server has it, but not every proxy in front of one lets it through.
//! SPDY in a websocket passes proxies, and servers before Kubernetes 1.31 do not have it. The channels of the websocket
//! that came before it are there for what is left. They also need different permissions: SPDY needs `create` on
//! `pods/portforward`, a websocket `get`. So the next is tried when one is refused, and what worked is remembered.

use std::fmt;
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::core::Status;
use tokio::time::timeout;

use super::cluster::{Access, Cluster, ClusterError};
use super::kubeconfig::causes;
use super::spdy::session::{Session, Transport};
use super::websocket;

/// How long a server may be silent after an upgrade was asked for. It is time for another way, or to give up.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The protocol's name in SPDY.
const PROTOCOL: &str = "portforward.k8s.io";

/// The header in which it is agreed on.
const PROTOCOL_HEADER: &str = "x-stream-protocol-version";

/// How much of an error's text is read.
const ERROR_BYTES: usize = 64 * 1024;

/// A way to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SPDY/3.1 on the connection itself.
    Spdy,
    /// SPDY/3.1 in a websocket (KEP-4006).
    Websocket,
    /// A websocket per connection (`v4.channel.k8s.io`).
    V4,
}

impl Kind {
    /// All, the best first.
    pub(crate) const ALL: [Self; 3] = [Self::Spdy, Self::Websocket, Self::V4];

    /// The verb that it needs on `pods/portforward`.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Spdy => "create",
            Self::Websocket | Self::V4 => "get",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spdy => "spdy",
            Self::Websocket => "websocket",
            Self::V4 => "v4",
        })
    }
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl PodName {
    fn path(&self) -> String {
        format!(
            "/api/v1/namespaces/{}/pods/{}/portforward",
            self.namespace, self.name
        )
    }
}

/// What one way was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Another status than 101, with what its body says.
    Status {
        /// The status.
        code: u16,
        /// What it says.
        message: String,
        /// It is about the pod, which is not there.
        no_pod: bool,
    },
    /// 101, but to something else.
    OtherProtocol(String),
    /// Nothing in time, or the connection was closed in the middle of it.
    Silence(String),
    /// The server cannot be reached: no way would do better.
    Unreachable(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { code, message, .. } => write!(f, "{code} {message}"),
            Self::OtherProtocol(what) => write!(f, "agreed to another protocol: {what}"),
            Self::Silence(why) => write!(f, "no answer: {why}"),
            Self::Unreachable(why) => f.write_str(why),
        }
    }
}

impl Answer {
    /// Is there a point in trying another way? `worked` says that this way has worked before: then it is not the way
    /// that a broken connection or a failure of the node is about.
    fn invites_another_way(&self, worked: bool) -> bool {
        match self {
            // The pod is away, or the server has no time: that is so whatever the way.
            Self::Status { no_pod: true, .. } | Self::Unreachable(_) => false,
            Self::Status { message, .. } if is_of_the_node(message) => false,
            Self::Status { code, .. } => match code {
                401 | 429 | 503 | 504 => false,
                // A server that has just started does not know everything yet.
                404 | 500.. => !worked,
                _ => true,
            },
            Self::OtherProtocol(_) => true,
            Self::Silence(_) => !worked,
        }
    }

    /// Is it about the way, and not about who asks or about what is behind the API server?
    fn is_about_the_way(&self) -> bool {
        match self {
            Self::Status { code, .. } => !matches!(code, 401 | 403 | 429 | 500..),
            Self::OtherProtocol(_) => true,
            Self::Silence(_) | Self::Unreachable(_) => false,
        }
    }
}

/// Is it what a node says that does not know the pod: any more, or not yet, because it has just started? Whether the pod
/// is there is known from the watch.
fn is_of_the_node(message: &str) -> bool {
    message.contains("pod does not exist") || message.contains("pod not found")
}

/// Why there is no connection to a pod.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// There is no client.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// What each way was answered.
    #[error("the API server {server} gives no port-forward to pod {pod}: {}", list(.attempts))]
    Refused {
        /// Its address.
        server: String,
        /// Which pod.
        pod: PodName,
        /// The ways that were tried.
        attempts: Vec<(Kind, Answer)>,
        /// A way has worked before.
        worked: bool,
    },
}

fn list(attempts: &[(Kind, Answer)]) -> String {
    let said: Vec<_> = attempts
        .iter()
        .map(|(kind, answer)| format!("{kind}: {answer}"))
        .collect();
    said.join("; ")
}

impl DialError {
    fn any(&self, of: impl Fn(&Answer) -> bool) -> bool {
        matches!(self, Self::Refused { attempts, .. } if attempts.iter().any(|(_, answer)| of(answer)))
    }

    /// The pod is not there (any more).
    pub(crate) fn is_about_the_pod(&self) -> bool {
        self.any(|answer| matches!(answer, Answer::Status { no_pod: true, .. }))
    }

    /// It may work in a moment. So may what is not authorized: an API server that has just started knows nobody until
    /// whoever issues the tokens has answered it.
    pub(crate) fn may_pass(&self) -> bool {
        let worked = matches!(self, Self::Refused { worked: true, .. });
        self.any(|answer| match answer {
            Answer::Status { no_pod: true, .. } | Answer::OtherProtocol(_) => false,
            Answer::Status { message, .. } if is_of_the_node(message) => true,
            Answer::Status { code, .. } => {
                matches!(code, 401 | 429 | 500 | 502 | 503 | 504) || (worked && *code == 404)
            }
            Answer::Silence(_) | Answer::Unreachable(_) => true,
        })
    }

    /// The verbs that are missing on `pods/portforward`.
    pub(crate) fn missing_verbs(&self) -> Vec<&'static str> {
        let mut verbs = Vec::new();
        if let Self::Refused { attempts, .. } = self {
            for (kind, answer) in attempts {
                let forbidden = matches!(answer, Answer::Status { code: 403, .. });
                if forbidden && !verbs.contains(&kind.verb()) {
                    verbs.push(kind.verb());
                }
            }
        }
        verbs
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Link {
    /// A session, for one connection after the other.
    Session(Box<Session>),
    /// Every connection needs a websocket of its own.
    PerConnection,
}

/// Connects to a pod.
///
/// # Errors
/// [`DialError`]
pub(crate) async fn dial(
    cluster: &Cluster,
    pod: &PodName,
    forced: Option<Kind>,
) -> Result<Link, DialError> {
    let mut access = cluster.access().await?;
    let mut renewed = false;
    let mut attempts = Vec::new();
    let works = cluster.works();
    let mut ways = ways(forced, works).into_iter().peekable();
    while let Some(&kind) = ways.peek() {
        let answer = match attempt(&access, pod, kind).await {
            Ok(link) => {
                // That a websocket per connection works is known when there is one.
                if kind != Kind::V4 {
                    cluster.set_works(Some(kind));
                }
                return Ok(link);
            }
            Err(answer) => answer,
        };
        if matches!(answer, Answer::Status { code: 401, .. })
            && !std::mem::replace(&mut renewed, true)
            && let Some(newer) = cluster.renewed(&access).await?
        {
            access = newer;
            continue;
        }
        let go_on = answer.invites_another_way(works == Some(kind));
        let about_the_way = answer.is_about_the_way();
        attempts.push((kind, answer));
        ways.next();
        // What has no session to prove it is the last resort: only where the server does not know the better ways.
        let is_next_in_place = |next: &Kind| {
            *next != Kind::V4 || (works.is_none() && kind == Kind::Websocket && about_the_way)
        };
        if !go_on || !ways.peek().is_some_and(is_next_in_place) {
            break;
        }
    }
    Err(DialError::Refused {
        server: access.server.clone(),
        pod: pod.clone(),
        attempts,
        worked: works.is_some(),
    })
}

/// In which order the ways are tried: what worked last before the others.
fn ways(forced: Option<Kind>, works: Option<Kind>) -> Vec<Kind> {
    if let Some(kind) = forced {
        return vec![kind];
    }
    let mut ways: Vec<_> = works.into_iter().collect();
    ways.extend(Kind::ALL.into_iter().filter(|kind| works != Some(*kind)));
    ways
}

async fn attempt(access: &Access, pod: &PodName, kind: Kind) -> Result<Link, Answer> {
    let transport: Box<dyn Transport> = match kind {
        Kind::Spdy => {
            let request = Request::builder()
                .method(Method::POST)
                .uri(pod.path())
                .header(CONNECTION, "Upgrade")
                .header(UPGRADE, "SPDY/3.1")
                .header(PROTOCOL_HEADER, PROTOCOL);
            let answer = ask(access, request).await?;
            agreed(&answer, PROTOCOL_HEADER, PROTOCOL)?;
            Box::new(upgraded(answer).await?)
        }
        Kind::Websocket => {
            let (request, key) = websocket::request(pod.path(), websocket::TUNNEL);
            let answer = ask(access, request).await?;
            websocket::agreed(&answer, &key, websocket::TUNNEL).map_err(Answer::OtherProtocol)?;
            Box::new(websocket::Tunnel::over(upgraded(answer).await?).await)
        }
        // It dials the pod as soon as it is opened; so it is, for each connection.
        Kind::V4 => return Ok(Link::PerConnection),
    };
    Ok(Link::Session(Box::new(Session::new(transport))))
}

/// Asks for an upgrade: the answer if it is 101.
async fn ask(access: &Access, request: http::request::Builder) -> Result<Response<Body>, Answer> {
    let request = request
        .body(Body::empty())
        .map_err(|error| Answer::Unreachable(causes(&error)))?;
    let answer = match timeout(ANSWER_WITHIN, access.client.send(request)).await {
        Err(_) => {
            return Err(Answer::Silence(format!(
                "silent for {} s",
                ANSWER_WITHIN.as_secs()
            )));
        }
        Ok(Err(error)) => return Err(broken(&error)),
        Ok(Ok(answer)) => answer,
    };
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(answer);
    }
    Err(refusal(answer).await)
}

/// What a request that got no answer says: whether the server was reached at all.
fn broken(error: &kube::Error) -> Answer {
    let text = causes(error);
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<hyper_util::client::legacy::Error>()
            && !error.is_connect()
        {
            return Answer::Silence(text);
        }
        source = cause.source();
    }
    Answer::Unreachable(text)
}

/// What a refusal says.
async fn refusal(answer: Response<Body>) -> Answer {
    let code = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ERROR_BYTES);
    let bytes = match timeout(ANSWER_WITHIN, body.collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        _ => bytes::Bytes::new(),
    };
    let (message, kind) = match serde_json::from_slice::<Status>(&bytes) {
        Ok(status) if !status.message.is_empty() => (
            status.message,
            status
                .details
                .map(|details| details.kind)
                .unwrap_or_default(),
        ),
        _ => (
            String::from_utf8_lossy(&bytes).trim().to_owned(),
            String::new(),
        ),
    };
    let message = match message.as_str() {
        "" => StatusCode::from_u16(code)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("without a reason")
            .to_owned(),
        _ => message,
    };
    let no_pod = (code == 404 && kind == "pods")
        || message.contains("is not running")
        || message.contains("does not have a host assigned");
    Answer::Status {
        code,
        message,
        no_pod,
    }
}

fn agreed(answer: &Response<Body>, header: &str, wanted: &str) -> Result<(), Answer> {
    let got = answer.headers().get(header);
    if got.is_some_and(|got| got.as_bytes() == wanted.as_bytes()) {
        return Ok(());
    }
    Err(Answer::OtherProtocol(format!(
        "{header} is {got:?} instead of {wanted}"
    )))
}

async fn upgraded(answer: Response<Body>) -> Result<TokioIo<hyper::upgrade::Upgraded>, Answer> {
    match hyper::upgrade::on(answer).await {
        Ok(upgraded) => Ok(TokioIo::new(upgraded)),
        Err(error) => Err(Answer::Silence(causes(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Answer {
        Answer::Status {
            code,
            message: "why".to_owned(),
            no_pod: false,
        }
    }

    #[test]
    fn what_worked_last_is_tried_first() {
        use Kind::{Spdy, V4, Websocket};
        assert_eq!(ways(None, None), [Spdy, Websocket, V4]);
        assert_eq!(ways(None, Some(Websocket)), [Websocket, Spdy, V4]);
        assert_eq!(ways(Some(V4), Some(Spdy)), [V4]);
    }

    #[test]
    fn another_way_is_tried_only_where_it_may_help() {
        for code in [400, 403] {
            assert!(status(code).invites_another_way(true), "{code}");
        }
        for code in [404, 500, 502] {
            assert!(status(code).invites_another_way(false), "{code}");
            assert!(!status(code).invites_another_way(true), "{code}");
        }
        for code in [401, 429, 503] {
            assert!(!status(code).invites_another_way(false), "{code}");
        }
        let gone = Answer::Status {
            code: 404,
            message: String::new(),
            no_pod: true,
        };
        assert!(!gone.invites_another_way(false));
        let unknown_to_the_node = Answer::Status {
            code: 404,
            message: "pod does not exist".to_owned(),
            no_pod: false,
        };
        assert!(!unknown_to_the_node.invites_another_way(false));
        assert!(!Answer::Unreachable(String::new()).invites_another_way(false));
    }

    #[test]
    fn an_error_names_every_way_and_the_verbs_that_are_missing() {
        let error = DialError::Refused {
            server: "https://s".to_owned(),
            pod: PodName {
                namespace: "n".to_owned(),
                name: "p".to_owned(),
            },
            attempts: vec![
                (Kind::Spdy, status(403)),
                (Kind::Websocket, status(403)),
                (Kind::V4, status(403)),
            ],
            worked: false,
        };
        assert_eq!(error.missing_verbs(), ["create", "get"]);
        let text = error.to_string();
        assert!(
            text.contains("spdy: 403 why; websocket: 403 why; v4: 403 why"),
            "{text}"
        );
        assert!(text.contains("https://s") && text.contains("n/p"), "{text}");
    }
}
