//! Requests and their answers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::patch::PatchError;
use super::resource::Resource;
use super::selector::Selector;
use super::watch::Watch;
use super::{State, behaviour, discovery, forward, locked, patch, table};

/// The body of an answer.
pub(super) type Body = BoxBody<Bytes, Infallible>;

/// Serves until the runtime ends.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, Arc::clone(&state)));
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move {
            let shown = format!("{} {}", request.method(), request.uri());
            let response = answer(request, &state).await;
            let status = response
                .as_ref()
                .map_or(0, |response| response.status().as_u16());
            locked(&state.seen).push((shown, status));
            // An error makes hyper close the connection without an answer.
            response.ok_or_else(|| std::io::Error::other("no answer is wanted"))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(request: Request<Incoming>, state: &Arc<State>) -> Option<Response<Body>> {
    if !authorized(&request, state) {
        return Some(status(401, "Unauthorized", "Unauthorized"));
    }
    let path = request.uri().path().to_owned();
    if let Some(found) = discovery::answer(&path) {
        return Some(json_answer(200, &found));
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (version, rest) = match parts[..] {
        ["api", "v1", ref rest @ ..] => ("v1", rest),
        ["apis", "apps", "v1", ref rest @ ..] => ("apps/v1", rest),
        _ => return Some(not_found(&path)),
    };
    let (namespace, rest) = match *rest {
        ["namespaces", namespace, _, ..] => (namespace, &rest[2..]),
        _ => ("", rest),
    };
    let resource = rest
        .first()
        .and_then(|plural| Resource::of_path(version, plural));
    match (resource, rest) {
        (Some(_), ["pods", pod, "portforward"]) => {
            let pod = (*pod).to_owned();
            forward::answer(request, state, namespace, &pod).await
        }
        (Some(resource), [_]) if request.method() == Method::GET => {
            Some(list(&request, state, resource, namespace))
        }
        (Some(resource), [_, name, ..]) => {
            let name = (*name).to_owned();
            Some(one(request, state, resource, namespace, &name).await)
        }
        _ => Some(not_found(&path)),
    }
}

fn authorized(request: &Request<Incoming>, state: &State) -> bool {
    let mut behaviour = locked(&state.behaviour);
    if behaviour::spend(&mut behaviour.unauthorized) {
        return false;
    }
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match &behaviour.token {
        Some(token) => given == Some(token),
        None => true,
    }
}

/// The parameters of a query.
fn query(request: &Request<Incoming>) -> HashMap<String, String> {
    let decode = |text: &str| -> String {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
            match (byte, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
                (b'%', Some(value)) => {
                    bytes.push(value);
                    rest = &tail[2..];
                }
                (b'+', _) => {
                    bytes.push(b' ');
                    rest = tail;
                }
                _ => {
                    bytes.push(byte);
                    rest = tail;
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let text = request.uri().query().unwrap_or_default();
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn wants_table(request: &Request<Incoming>) -> bool {
    request.headers().get(header::ACCEPT).is_some_and(|accept| {
        accept
            .to_str()
            .is_ok_and(|accept| accept.contains("as=Table"))
    })
}

fn list(
    request: &Request<Incoming>,
    state: &Arc<State>,
    resource: Resource,
    namespace: &str,
) -> Response<Body> {
    let query = query(request);
    let given = |name: &str| query.get(name).map_or("", String::as_str);
    let selector = Selector::parse(given("labelSelector"), given("fieldSelector"));
    let table = wants_table(request);
    if given("watch") == "true" || given("watch") == "1" {
        let watch = Watch {
            resource,
            namespace: namespace.to_owned(),
            selector,
            // "0" is whatever the server has, from the beginning.
            revision: given("resourceVersion")
                .parse()
                .ok()
                .filter(|revision| *revision > 0),
            marked: given("sendInitialEvents") == "true",
            table,
            length: given("timeoutSeconds")
                .parse()
                .ok()
                .map(Duration::from_secs),
        };
        return watched(watch, Arc::clone(state));
    }
    let store = locked(&state.store);
    let (objects, revision) = (store.list(resource, namespace, &selector), store.revision());
    drop(store);
    if table {
        return json_answer(200, &table::of(&objects, revision));
    }
    let list = json!({
        "kind": format!("{}List", resource.kind), "apiVersion": resource.version,
        "metadata": {"resourceVersion": revision.to_string()}, "items": objects,
    });
    json_answer(200, &list)
}

fn watched(watch: Watch, state: Arc<State>) -> Response<Body> {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(watch.run(state, sender));
    let lines = stream::unfold(receiver, |mut receiver| async {
        let line = receiver.recv().await?;
        Some((Ok(Frame::data(line)), receiver))
    });
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(StreamBody::new(lines).boxed())
        .expect("a response can be built")
}

async fn one(
    request: Request<Incoming>,
    state: &Arc<State>,
    resource: Resource,
    namespace: &str,
    name: &str,
) -> Response<Body> {
    let Some(found) = locked(&state.store).get(resource, namespace, name).cloned() else {
        return no_such(resource, name);
    };
    match *request.method() {
        Method::GET if wants_table(&request) => {
            let revision = found["metadata"]["resourceVersion"].as_str();
            let revision = revision.and_then(|text| text.parse().ok()).unwrap_or(0);
            json_answer(200, &table::of(&[found], revision))
        }
        Method::GET => json_answer(200, &found),
        Method::PATCH => patched(request, state, &found).await,
        Method::DELETE => {
            let deleted = state.change(|store| store.delete(resource, namespace, name));
            json_answer(200, &deleted.unwrap_or(found))
        }
        _ => status(
            405,
            "MethodNotAllowed",
            "the server does not allow this method",
        ),
    }
}

async fn patched(request: Request<Incoming>, state: &Arc<State>, found: &Value) -> Response<Body> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let Ok(body) = request.into_body().collect().await else {
        return status(400, "BadRequest", "the body cannot be read");
    };
    let mut changed = found.clone();
    if let Err(error) = patch::apply(&mut changed, &kind, &body.to_bytes()) {
        let (code, reason) = match error {
            PatchError::Malformed(_) => (400, "BadRequest"),
            PatchError::Invalid(_) => (422, "Invalid"),
            PatchError::UnknownKind(_) => (415, "UnsupportedMediaType"),
        };
        return status(code, reason, &error.to_string());
    }
    // Somebody else was faster than whoever made this patch; or than this request.
    let stored = state.change(|store| {
        let current = Resource::of_object(found).and_then(|resource| {
            let metadata = &found["metadata"];
            store.get(
                resource,
                metadata["namespace"].as_str()?,
                metadata["name"].as_str()?,
            )
        });
        let current = current.map(|current| &current["metadata"]["resourceVersion"]);
        if current != Some(&changed["metadata"]["resourceVersion"]) {
            return None;
        }
        store.put(changed)
    });
    match stored {
        Some(stored) => json_answer(200, &stored),
        None => status(409, "Conflict", "the object has been modified"),
    }
}

/// An answer in JSON.
fn json_answer(code: u16, value: &Value) -> Response<Body> {
    Response::builder()
        .status(StatusCode::from_u16(code).expect("a status"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(value.to_string()).boxed())
        .expect("a response can be built")
}

/// A failure as Kubernetes tells it.
pub(super) fn status(code: u16, reason: &str, message: &str) -> Response<Body> {
    json_answer(
        code,
        &json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": reason, "message": message, "code": code,
        }),
    )
}

/// There is no object of that name.
pub(super) fn no_such(resource: Resource, name: &str) -> Response<Body> {
    json_answer(
        404,
        &json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": "NotFound", "code": 404,
            "message": format!("{} \"{name}\" not found", resource.plural),
            "details": {"name": name, "kind": resource.plural},
        }),
    )
}

fn not_found(path: &str) -> Response<Body> {
    status(
        404,
        "NotFound",
        &format!("the server could not find {path}"),
    )
}
