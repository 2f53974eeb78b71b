//! Opens what the forwards lead through, by monday-fwd.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use monday_shared::protocol::fwd::{Event, ForwardSpec, ForwardStatus, Open, Phase};
use monday_shared::protocol::supervisor::{Level, TunnelStatus};
use tokio::sync::mpsc;

use super::addresses::Addresses;
use super::progress::{Board, Progress};
use crate::plan::{Plan, Tunnel};
use crate::sidecar::keeper::{News, Sidecar};
use crate::state::State;

/// The kept monday-fwd.
pub type Fwd = Sidecar<Open>;

/// Opens every tunnel of the plan, a forward at a time, and waits for none of them to be up. One that cannot be opened
/// leaves the others as they are.
pub async fn open(fwd: &Fwd, plan: &Plan, state: &State, addresses: &mut Addresses, board: &Board) {
    let mut opened = Vec::new();
    for forward in &plan.forwards {
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
        let Some((forward, tunnel)) = self.tunnels.get_mut(id) else {
            return;
        };
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
