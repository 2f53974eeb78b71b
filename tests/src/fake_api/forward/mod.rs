//! Forwards to pods: the upgrade, and what is spoken afterwards.

mod frame;
mod header;
mod hostile;
mod pod;
mod recorder;
mod session;
mod tunnel;
mod v4;

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, header as name};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::behaviour::Refusal;
use super::http::{Body, no_such, status};
use super::resource::Resource;
use super::{State, locked};

/// What the bytes of a forward come and go through.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// The ways to forward (the spec's table 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Spdy,
    Tunnel,
    V4,
}

/// How the raw one is called in `X-Stream-Protocol-Version`.
const SPDY_PROTOCOL: &str = "portforward.k8s.io";
const TUNNEL_PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";
const V4_PROTOCOL: &str = "v4.channel.k8s.io";

/// Answers a request for a forward; nothing where the connection shall be closed.
pub(super) async fn answer(
    mut request: Request<Incoming>,
    state: &Arc<State>,
    namespace: &str,
    pod: &str,
) -> Option<Response<Body>> {
    let Some(way) = way(&request) else {
        return Some(status(400, "BadRequest", "Upgrade request required"));
    };
    match refusal(state, way) {
        Refusal::None => {}
        Refusal::Status(code, reason, message) => return Some(status(code, reason, message)),
        Refusal::Close => return None,
        Refusal::Silence => std::future::pending().await,
    }
    let pods = Resource::named("pods");
    if locked(&state.store).get(pods, namespace, pod).is_none() {
        return Some(no_such(pods, pod));
    }
    let ports = ports(&request);
    let upgrade = hyper::upgrade::on(&mut request);
    let (state, pod) = (Arc::clone(state), pod.to_owned());
    let answer = accepted(&request, way);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else {
            return;
        };
        let io = TokioIo::new(upgraded);
        match way {
            Way::Spdy => session::run(Box::new(io), state, pod).await,
            Way::Tunnel => {
                let recut = locked(&state.behaviour).recut;
                session::run(Box::new(tunnel::open(io, recut).await), state, pod).await;
            }
            Way::V4 => v4::run(io, &state, &pod, &ports).await,
        }
    });
    Some(answer)
}

fn value(request: &Request<Incoming>, name: impl name::AsHeaderName) -> &str {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn way(request: &Request<Incoming>) -> Option<Way> {
    let upgrade = value(request, name::UPGRADE).to_ascii_lowercase();
    let offers = |protocol: &str| {
        request
            .headers()
            .get_all(name::SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|offered| offered.trim() == protocol)
    };
    match (request.method(), upgrade.as_str()) {
        (&Method::POST, "spdy/3.1") => Some(Way::Spdy),
        (&Method::GET, "websocket") if offers(TUNNEL_PROTOCOL) => Some(Way::Tunnel),
        (&Method::GET, "websocket") if offers(V4_PROTOCOL) => Some(Way::V4),
        _ => None,
    }
}

fn refusal(state: &State, way: Way) -> Refusal {
    let mut behaviour = locked(&state.behaviour);
    if let Some(next) = behaviour.refusals.pop_front() {
        return next;
    }
    match way {
        Way::Spdy => behaviour.spdy.clone(),
        Way::Tunnel => behaviour.tunnel.clone(),
        Way::V4 => behaviour.v4.clone(),
    }
}

/// Those of `ports=80,81`, which only the websocket per connection has.
fn ports(request: &Request<Incoming>) -> Vec<u16> {
    let query = request
        .uri()
        .query()
        .unwrap_or_default()
        .replace("%2C", ",");
    query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("ports="))
        .flat_map(|ports| ports.split(','))
        .filter_map(|port| port.parse().ok())
        .collect()
}

fn accepted(request: &Request<Incoming>, way: Way) -> Response<Body> {
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(name::CONNECTION, "Upgrade");
    let websocket = |protocol: &str, response: http::response::Builder| {
        let key = value(request, name::SEC_WEBSOCKET_KEY);
        response
            .header(name::UPGRADE, "websocket")
            .header(
                name::SEC_WEBSOCKET_ACCEPT,
                derive_accept_key(key.as_bytes()),
            )
            .header(name::SEC_WEBSOCKET_PROTOCOL, protocol)
    };
    let response = match way {
        Way::Spdy => response
            .header(name::UPGRADE, "SPDY/3.1")
            .header("X-Stream-Protocol-Version", SPDY_PROTOCOL),
        Way::Tunnel => websocket(TUNNEL_PROTOCOL, response),
        Way::V4 => websocket(V4_PROTOCOL, response),
    };
    response
        .body(Empty::new().boxed())
        .expect("a response can be built")
}
