//! Opens what the forwards lead through, by monday-fwd.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use monday_shared::protocol::fwd::{Close, Event, ForwardSpec, ForwardStatus, Open, Phase};
use monday_shared::protocol::supervisor::{Level, TunnelStatus};
use monday_shared::rpc::client::ClientError;
use tokio::sync::mpsc;

use super::addresses::Addresses;
use super::progress::{Board, Progress};
use crate::plan::{Plan, Tunnel};
use crate::sidecar::keeper::{News, Sidecar};
use crate::state::State;

/// The kept monday-fwd.
pub type Fwd = Sidecar<Open>;

/// Opens every tunnel of the plan (of the forwards in `only`, if that is said), a forward at a time, and waits for none of
/// them to be up. One that cannot be opened leaves the others as they are.
pub async fn open(
    fwd: &Fwd,
    plan: &Plan,
    state: &State,
    addresses: &mut Addresses,
    board: &Board,
    only: Option<&[String]>,
) {
    let mut opened = fwd.wished().map(|open| open.forwards).unwrap_or_default();
    let is_meant = |name: &String| only.is_none_or(|only| only.contains(name));
    for forward in plan.forwards.iter().filter(|it| is_meant(&it.name)) {
        let tunnels: Vec<&Tunnel> = plan.tunnels_of(&forward.name).collect();
        if tunnels.is_empty() {
            continue;
        }
        let call = Open {
            forwards: tunnels.iter().map(|tunnel| tunnel.spec.clone()).collect(),
        };
        match fwd.call(&call).await {
            Ok(open) => {
                for status in &open.forwards {
                    if let Ok(listen) = status.listen.parse() {
                        addresses.tunnel(&status.id, listen);
                    }
                }
                let pinned = call
                    .forwards
                    .into_iter()
                    .map(|spec| pinned(spec, addresses));
                opened.extend(pinned);
                // From the first one on, so that a death in between loses nothing.
                fwd.wish(Some(Open {
                    forwards: opened.clone(),
                }));
                board.set(&forward.name, Progress::started());
            }
            Err(error) => {
                let why = error.to_string();
                board.set(&forward.name, Progress::failed(&why));
                state.forward_failed(&forward.name, why);
            }
        }
    }
}

/// Closes the tunnels of these forwards.
pub async fn close(fwd: &Fwd, plan: &Plan, forwards: &[String]) {
    let tunnels = plan.tunnels.iter();
    let ids: Vec<String> = tunnels
        .filter(|tunnel| forwards.contains(&tunnel.forward))
        .map(|tunnel| tunnel.id().to_owned())
        .collect();
    if ids.is_empty() {
        return;
    }
    let wished = fwd.wished().map(|open| open.forwards).unwrap_or_default();
    let left: Vec<ForwardSpec> = wished
        .into_iter()
        .filter(|spec| !ids.iter().any(|id| id == spec.id()))
        .collect();
    fwd.wish((!left.is_empty()).then_some(Open { forwards: left }));
    // One that is not there has nothing open, and is not told to open these.
    if let Err(error) = fwd.call_if_there(&Close { ids }).await {
        tracing::warn!(%error, "tunnels that are not wanted any more could not be closed");
    }
}

/// Opens the tunnels of a forward again.
///
/// # Errors
/// What monday-fwd replies.
pub async fn reopen(fwd: &Fwd, plan: &Plan, forward: &str) -> Result<(), ClientError> {
    let ids: Vec<String> = plan
        .tunnels_of(forward)
        .map(|tunnel| tunnel.id().to_owned())
        .collect();
    let wished = fwd.wished().map(|open| open.forwards).unwrap_or_default();
    let forwards: Vec<ForwardSpec> = wished
        .into_iter()
        .filter(|spec| ids.iter().any(|id| id == spec.id()))
        .collect();
    if !forwards.is_empty() {
        fwd.call(&Close { ids }).await?;
        fwd.call(&Open { forwards }).await?;
    }
    Ok(())
}

/// A restarted monday-fwd listens where its predecessor did: the listeners before it lead there.
fn pinned(mut spec: ForwardSpec, addresses: &Addresses) -> ForwardSpec {
    let listens: Option<SocketAddr> = addresses.of_tunnel(spec.id());
    if let (Some(listens), Some(listen)) = (listens, spec.local_listen_mut()) {
        *listen = listens.to_string();
    }
    spec
}

/// Shows what monday-fwd tells, as long as it is kept.
pub async fn watch(
    mut news: mpsc::Receiver<News<Event>>,
    plan: Plan,
    state: State,
    board: Arc<Board>,
) {
    let forwards = plan.tunnels.into_iter().map(|tunnel| {
        let status = TunnelStatus {
            id: tunnel.id().to_owned(),
            phase: Phase::Connecting,
            via: None,
            why: None,
        };
        (status.id.clone(), (tunnel.forward, status))
    });
    let mut watcher = Watcher {
        tunnels: forwards.collect(),
        state,
        board,
    };
    while let Some(news) = news.recv().await {
        match news {
            News::Event(event) => watcher.event(event),
            News::Died => watcher.died(),
            News::Lagged(_) | News::Refused(..) | News::Granted(_) => {}
        }
    }
}

struct Watcher {
    /// By their ids: the forward that each belongs to, and how it is.
    tunnels: HashMap<String, (String, TunnelStatus)>,
    state: State,
    board: Arc<Board>,
}

impl Watcher {
    fn event(&mut self, event: Event) {
        match event {
            Event::Up(ForwardStatus { id, via, .. }) => self.set(&id, Phase::Up, via, None),
            Event::Lost { id, why, next_try } => {
                let why = match next_try {
                    Some(next_try) => format!("{why}; next try in {next_try}"),
                    None => why,
                };
                self.set(&id, Phase::Lost, None, Some(why));
            }
            Event::Failed { id, why } => self.set(&id, Phase::Failed, None, Some(why)),
            Event::Warning { id, message } => self.warn(&id, message),
            Event::Connection {
                id,
                client,
                error: Some(error),
                ..
            } => self.warn(&id, format!("connection from {client} failed: {error}")),
            Event::AcceptFailed { id, error } => {
                self.warn(
                    &id,
                    format!("cannot accept connections, trying on: {error}"),
                );
            }
            Event::Ready { .. }
            | Event::Opened(_)
            | Event::Closed { .. }
            | Event::Connection { error: None, .. } => {}
        }
    }

    /// All tunnels are gone until the next monday-fwd has made them again.
    fn died(&mut self) {
        let up = self
            .tunnels
            .values()
            .filter(|(_, tunnel)| tunnel.phase == Phase::Up);
        let ids: Vec<String> = up.map(|(_, tunnel)| tunnel.id.clone()).collect();
        for id in ids {
            self.set(&id, Phase::Lost, None, Some("monday-fwd died".to_owned()));
        }
    }

    fn set(&mut self, id: &str, phase: Phase, via: Option<String>, why: Option<String>) {
        // One that came with a changed configuration: its id is `forward:L`.
        let (forward, tunnel) = self.tunnels.entry(id.to_owned()).or_insert_with(|| {
            let forward = id.rsplit_once(':').map_or(id, |(forward, _)| forward);
            let status = TunnelStatus {
                id: id.to_owned(),
                phase: Phase::Connecting,
                via: None,
                why: None,
            };
            (forward.to_owned(), status)
        });
        tunnel.phase = phase;
        tunnel.via = via.or_else(|| tunnel.via.take());
        tunnel.why = why;
        let (forward, tunnel) = (forward.clone(), tunnel.clone());
        self.state.tunnel(&forward, tunnel);
        self.board.set(&forward, self.progress(&forward));
    }

    /// How far a forward is: as far as the one of its tunnels that is the least far.
    fn progress(&self, forward: &str) -> Progress {
        let mut own = self
            .tunnels
            .values()
            .filter(|(of, _)| of == forward)
            .map(|(_, tunnel)| tunnel);
        if let Some(failed) = own.clone().find(|tunnel| tunnel.phase == Phase::Failed) {
            return Progress::failed(failed.why.clone().unwrap_or_default());
        }
        if own.all(|tunnel| tunnel.phase == Phase::Up) {
            Progress::listening()
        } else {
            Progress::started()
        }
    }

    fn warn(&self, id: &str, message: String) {
        let forward = self.tunnels.get(id).map(|(forward, _)| forward.clone());
        self.state.notice(Level::Warning, forward, message);
    }
}
