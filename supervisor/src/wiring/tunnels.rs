//! Opens what the forwards lead through, by monday-fwd.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use monday_shared::protocol::fwd::{Close, Event, ForwardSpec, ForwardStatus, Open, Phase, Step};
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
    let is_meant = |name: &String| only.is_none_or(|only| only.contains(name));
    for forward in plan.forwards.iter().filter(|it| is_meant(&it.name)) {
        let here = plan
            .tunnels_of(&forward.name)
            .filter(|tunnel| !tunnel.leads_here());
        let call = Open {
            forwards: here.map(|tunnel| tunnel.spec.clone()).collect(),
        };
        if call.forwards.is_empty() {
            continue;
        }
        // Before it is asked for: it may be up before the reply is here.
        board.set_forward(plan, &forward.name, Progress::started());
        match fwd.call(&call).await {
            Ok(open) => {
                for status in &open.forwards {
                    if let Ok(listen) = status.listen.parse() {
                        addresses.tunnel(&status.id, listen);
                    }
                }
                // From the first one on, so that a death in between loses nothing.
                for spec in call.forwards {
                    wish(fwd, pinned(spec, addresses));
                }
            }
            Err(error) => {
                let why = error.to_string();
                board.set_forward(plan, &forward.name, Progress::failed(&why));
                state.forward_failed(&forward.name, why);
            }
        }
    }
}

/// A monday-fwd that was started again opens that as well.
pub(super) fn wish(fwd: &Fwd, spec: ForwardSpec) {
    fwd.change_wish(|wish| {
        let forwards = wish.take().map(|open| open.forwards).unwrap_or_default();
        let mut forwards: Vec<ForwardSpec> = forwards
            .into_iter()
            .filter(|it| it.id() != spec.id())
            .collect();
        forwards.push(spec);
        *wish = Some(Open { forwards });
    });
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
    fwd.change_wish(|wish| {
        let wished = wish.take().map(|open| open.forwards).unwrap_or_default();
        let is_left = |spec: &ForwardSpec| !ids.iter().any(|id| id == spec.id());
        let left: Vec<ForwardSpec> = wished.into_iter().filter(is_left).collect();
        *wish = (!left.is_empty()).then_some(Open { forwards: left });
    });
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

/// Shows what monday-fwd tells, as long as it is kept. `plan` is the one of the moment.
pub async fn watch(
    mut news: mpsc::Receiver<News<Event>>,
    plan: impl Fn() -> Arc<Plan>,
    state: State,
    board: Arc<Board>,
) {
    let mut watcher = Watcher {
        plan,
        known: HashMap::new(),
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

struct Watcher<P> {
    plan: P,
    /// How those are that were told of, by their ids.
    known: HashMap<String, TunnelStatus>,
    state: State,
    board: Arc<Board>,
}

impl<P: Fn() -> Arc<Plan>> Watcher<P> {
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
            Event::Step { id, step, message } => self.step(&id, step, message),
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
            // What was known of one of that id is of another one.
            Event::Opened(ForwardStatus { id, .. }) | Event::Closed { id } => {
                self.known.remove(&id);
            }
            Event::Ready { .. } | Event::Connection { error: None, .. } => {}
        }
    }

    /// All tunnels are gone until the next monday-fwd has made them again.
    fn died(&mut self) {
        let up = self.known.values().filter(|it| it.phase == Phase::Up);
        let ids: Vec<String> = up.map(|tunnel| tunnel.id.clone()).collect();
        for id in ids {
            self.set(&id, Phase::Lost, None, Some("monday-fwd died".to_owned()));
        }
    }

    fn set(&mut self, id: &str, phase: Phase, via: Option<String>, why: Option<String>) {
        let plan = (self.plan)();
        let Some(forward) = forward_of(&plan, id) else {
            // It is being closed.
            return;
        };
        let before = self.known.remove(id).and_then(|known| known.via);
        let status = TunnelStatus {
            id: id.to_owned(),
            phase,
            via: via.or(before),
            why,
        };
        self.known.insert(id.to_owned(), status.clone());
        self.state.tunnel(forward, status);
        let progress = self.progress(plan.tunnels_of(forward).map(Tunnel::id));
        self.board.set_forward(&plan, forward, progress);
    }

    /// How far a forward of these tunnels is: as far as the one of them that is the least far.
    fn progress<'a>(&self, own: impl Iterator<Item = &'a str>) -> Progress {
        let mut all_up = true;
        for id in own {
            match self.known.get(id) {
                Some(known) if known.phase == Phase::Failed => {
                    return Progress::failed(known.why.clone().unwrap_or_default());
                }
                known => all_up &= known.is_some_and(|known| known.phase == Phase::Up),
            }
        }
        if all_up {
            Progress::listening()
        } else {
            Progress::started()
        }
    }

    /// What is changed in a cluster is worth a line, and how it is undone by hand.
    fn step(&self, id: &str, step: Step, message: String) {
        if matches!(step, Step::Checking | Step::Journalled) {
            return;
        }
        let plan = (self.plan)();
        let forward = forward_of(&plan, id).map(str::to_owned);
        self.state.notice(Level::Info, forward, message);
    }

    fn warn(&self, id: &str, message: String) {
        let plan = (self.plan)();
        let forward = forward_of(&plan, id).map(str::to_owned);
        self.state.notice(Level::Warning, forward, message);
    }
}

/// The forward that a tunnel belongs to.
fn forward_of<'a>(plan: &'a Plan, id: &str) -> Option<&'a str> {
    let mut tunnels = plan.tunnels.iter();
    let tunnel = tunnels.find(|tunnel| tunnel.id() == id)?;
    Some(&tunnel.forward)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::project::Condition;
    use crate::config::{self, Search};
    use crate::plan;

    fn plan_of(values: &str, app: &str) -> Arc<Plan> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("monday.yaml");
        let yaml = format!(
            "projects:\n- name: p\n  local: [{app}]\n  forward:\n  - {{name: db, type: ssh, values: {{remote: h, {values}}}}}\n"
        );
        std::fs::write(&file, yaml).unwrap();
        let loaded = config::load(&Search::only([file])).unwrap();
        Arc::new(plan::plan(loaded.project("p").unwrap()))
    }

    fn watcher(plan: &Arc<Plan>) -> Watcher<impl Fn() -> Arc<Plan>> {
        let (board, shown) = (Arc::new(Board::new(plan)), Arc::clone(plan));
        Watcher {
            plan: move || Arc::clone(&shown),
            known: HashMap::new(),
            state: State::start(plan.initial_status(1)),
            board,
        }
    }

    #[tokio::test]
    async fn a_forward_is_ready_when_all_of_its_tunnels_are_up() {
        let plan = plan_of("ports: ['1:1', '2:2']", "");
        let mut watcher = watcher(&plan);
        watcher.set("db:1", Phase::Up, None, None);
        assert!(!watcher.board.is("db", Condition::Ready));
        watcher.set("db:2", Phase::Up, None, None);
        assert!(watcher.board.is("db", Condition::Ready));
        watcher.died();
        assert!(!watcher.board.is("db", Condition::Ready));
    }

    #[tokio::test]
    async fn a_tunnel_that_is_planned_no_more_counts_no_more() {
        let plan = plan_of("ports: ['1:1']", "");
        let mut watcher = watcher(&plan);
        watcher.set("db:7", Phase::Lost, None, Some("of before".to_owned()));
        watcher.set("db:1", Phase::Up, None, None);
        assert!(watcher.board.is("db", Condition::Ready));
    }

    #[tokio::test]
    async fn a_forward_called_as_an_app_does_not_speak_for_it() {
        let plan = plan_of("ports: ['1:1']", "{name: db, run: 'true'}");
        let mut watcher = watcher(&plan);
        watcher.set("db:1", Phase::Up, None, None);
        assert!(!watcher.board.is("db", Condition::Ready));
    }
}
