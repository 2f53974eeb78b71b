//! Opens the listeners of the forwards, through monday-tcpproxy.

use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::supervisor::Level;
use monday_shared::protocol::tcpproxy::{Close, Event, Open, RouteSpec};
use monday_shared::rpc::client::ClientError;
use tokio::sync::mpsc;

use super::addresses::Addresses;
use super::progress::{Board, Progress};
use crate::plan::{Forward, Plan, Route, Target};
use crate::sidecar::keeper::{News, Sidecar};
use crate::sidecar::wish::forward_of;
use crate::state::State;

/// The kept monday-tcpproxy.
pub type Tcpproxy = Sidecar<Open>;

/// Opens every route of the plan (of the forwards in `only`, if that is said), a forward at a time: all ports of a forward
/// or none, and one that fails leaves the others as they are.
pub async fn open(
    tcpproxy: &Tcpproxy,
    plan: &Plan,
    state: &State,
    addresses: &mut Addresses,
    board: &Board,
    only: Option<&[String]>,
) {
    let mut opened = tcpproxy
        .wished()
        .map(|open| open.routes)
        .unwrap_or_default();
    let is_meant = |name: &String| only.is_none_or(|only| only.contains(name));
    for forward in plan.forwards.iter().filter(|it| is_meant(&it.name)) {
        let routes: Vec<&Route> = plan.routes_of(&forward.name).collect();
        if routes.is_empty() {
            continue;
        }
        match open_forward(tcpproxy, forward, &routes, addresses).await {
            Ok((specs, listening)) => {
                state.forward_open(&forward.name, listening);
                // One with tunnels is ready when they are up, which is told by them, and may have been told already.
                if plan.tunnels_of(&forward.name).next().is_none() {
                    board.set_forward(plan, &forward.name, Progress::listening());
                }
                opened.extend(specs);
                // From the first one on, so that a death in between loses nothing.
                tcpproxy.wish(Some(Open::new(opened.clone())));
            }
            Err(why) => {
                board.set_forward(plan, &forward.name, Progress::failed(&why));
                state.forward_failed(&forward.name, why);
            }
        }
    }
}

/// Closes the routes of these forwards, and their connections.
pub async fn close(tcpproxy: &Tcpproxy, plan: &Plan, forwards: &[String]) {
    let routes = plan.routes.iter();
    let ids: Vec<String> = routes
        .filter(|route| forwards.contains(&route.forward))
        .map(|route| route.id.clone())
        .collect();
    if ids.is_empty() {
        return;
    }
    let mut wished = tcpproxy.wished().unwrap_or_else(|| Open::new(Vec::new()));
    wished.routes.retain(|spec| !ids.contains(&spec.id));
    tcpproxy.wish((!wished.routes.is_empty()).then_some(wished));
    // One that is not there has nothing open, and is not told to open these.
    if let Err(error) = tcpproxy.call_if_there(&cut(ids)).await {
        tracing::warn!(%error, "routes that are not wanted any more could not be closed");
    }
}

/// Closes routes, and cuts their connections.
fn cut(ids: Vec<String>) -> Close {
    Close {
        ids,
        connections: None,
        drain_timeout: None,
    }
}

/// Opens the ports of a forward again, whose connections end.
///
/// # Errors
/// What monday-tcpproxy replies.
pub async fn reopen(
    tcpproxy: &Tcpproxy,
    plan: &Plan,
    forward: &str,
    state: &State,
    board: &Board,
) -> Result<(), RpcError> {
    let ids: Vec<String> = plan
        .routes_of(forward)
        .map(|route| route.id.clone())
        .collect();
    let wished = tcpproxy
        .wished()
        .map(|open| open.routes)
        .unwrap_or_default();
    let specs: Vec<RouteSpec> = wished
        .into_iter()
        .filter(|spec| ids.contains(&spec.id))
        .collect();
    if specs.is_empty() {
        return Ok(());
    }
    let refused = |error: ClientError| match error {
        ClientError::Refused(error) => error,
        other => RpcError::new(ErrorKind::Internal, other.to_string()),
    };
    tcpproxy.call(&cut(ids)).await.map_err(refused)?;
    match tcpproxy.call(&Open::new(specs)).await {
        Ok(open) => {
            let listening = open.routes.into_iter();
            state.forward_open(
                forward,
                listening
                    .filter_map(|route| Some((route.listen.ip()?, route.target)))
                    .collect(),
            );
            board.set_forward(plan, forward, Progress::listening());
            Ok(())
        }
        Err(error) => {
            let error = refused(error);
            board.set_forward(plan, forward, Progress::failed(&error.message));
            state.forward_failed(forward, error.message.clone());
            Err(error)
        }
    }
}

/// Where the ports of a forward listen, and where they lead.
type Listening = Vec<(std::net::SocketAddr, String)>;

async fn open_forward(
    tcpproxy: &Tcpproxy,
    forward: &Forward,
    routes: &[&Route],
    addresses: &mut Addresses,
) -> Result<(Vec<RouteSpec>, Listening), String> {
    let specs: Vec<RouteSpec> = routes
        .iter()
        .map(|route| spec(route, addresses))
        .collect::<Option<_>>()
        .ok_or_else(|| match &forward.hostname {
            Some(name) if addresses.of_name(name).is_none() => match addresses.why_refused(name) {
                Some(why) => why.to_owned(),
                None => format!("its host name `{name}` has no address"),
            },
            _ => "its tunnel could not be opened".to_owned(),
        })?;
    let call = Open::new(specs.clone());
    let open = tcpproxy.call(&call).await;
    let open = open.map_err(|error| why_not_open(&error, routes, addresses))?;
    let listening = open
        .routes
        .iter()
        .zip(routes)
        .filter_map(|(open, route)| {
            let listen = open.listen.ip()?;
            addresses.route(&open.id, listen);
            let target = match &route.target {
                Target::Address(_) => open.target.clone(),
                Target::Tunnel { shown } => shown.clone(),
            };
            Some((listen, target))
        })
        .collect();
    Ok((specs, listening))
}

/// In one sentence, for the forward and for whoever waits for it.
fn why_not_open(error: &ClientError, routes: &[&Route], addresses: &Addresses) -> String {
    let low = routes.iter().find(|route| route.listen.is_low());
    match (error, low) {
        (ClientError::Refused(refused), Some(route)) if refused.data.kind == ErrorKind::Denied => {
            let port = route.listen.port;
            match addresses.why_no_root() {
                Some(why) => format!(
                    "it cannot listen on port {port}: {why}; use a port from 1024 on, or see `monday-supervisor doctor`"
                ),
                None => error.to_string(),
            }
        }
        _ => error.to_string(),
    }
}

fn spec(route: &Route, addresses: &Addresses) -> Option<RouteSpec> {
    let listen = route.listen.address(|name| addresses.of_name(name))?;
    let mut spec = RouteSpec::new(&route.id, listen.to_string(), addresses.target(route)?);
    spec.ports_from = addresses.ports_from(route);
    if let Some(wait) = route.connect_wait {
        spec.connect_wait = wait;
    }
    spec.half_close_linger = route.half_close_linger;
    spec.faults.clone_from(&route.faults);
    Some(spec)
}

/// Shows what monday-tcpproxy tells, as long as it is kept.
pub async fn watch(mut news: mpsc::Receiver<News<Event>>, state: State) {
    while let Some(news) = news.recv().await {
        match news {
            News::Event(Event::DialFailed { id, client, error }) => state.notice(
                Level::Warning,
                Some(forward_of(&id).to_owned()),
                format!("connection from {client} failed: {error}"),
            ),
            News::Event(Event::AcceptFailed { id, error }) => state.notice(
                Level::Warning,
                Some(forward_of(&id).to_owned()),
                format!("cannot accept connections, trying on: {error}"),
            ),
            News::Refused(forward, why) => state.forward_failed(&forward, why),
            News::Granted(forward) => state.forward_back(&forward),
            _ => {}
        }
    }
}
