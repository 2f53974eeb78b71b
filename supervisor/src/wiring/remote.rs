//! Opens the forwards that lead from a cluster to apps of the project: not before the apps are ready, for from then on
//! other people's traffic comes here; and closes them before the apps stop.

use std::sync::Arc;
use std::time::Duration;

use monday_shared::protocol::fwd::{ForwardSpec, Open};
use tokio::time::sleep;

use super::progress::{Board, Progress};
use super::tunnels::{self, Fwd};
use crate::config::project::{Condition, Dependency};
use crate::plan::{Plan, Tunnel};
use crate::state::State;

/// How often it is looked whether an app that failed works by now.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Begins to open every such forward of the plan (of those in `only`, if that is said); each is opened once its apps are
/// ready, if it is wanted `now` as well.
pub fn open(
    fwd: &Arc<Fwd>,
    plan: &Plan,
    now: impl Fn() -> Arc<Plan> + Send + Sync + 'static,
    state: &State,
    board: &Arc<Board>,
    only: Option<&[String]>,
) {
    let is_meant = |name: &String| only.is_none_or(|only| only.contains(name));
    let now = Arc::new(now);
    let mine = plan
        .tunnels
        .iter()
        .filter(|it| it.leads_here() && is_meant(&it.forward));
    for tunnel in mine {
        let opening = Opening {
            fwd: Arc::clone(fwd),
            forward: tunnel.forward.clone(),
            spec: tunnel.spec.clone(),
            apps: apps_of(plan, &tunnel.forward),
            state: state.clone(),
            board: Arc::clone(board),
        };
        board.set_forward(plan, &tunnel.forward, Progress::started());
        let now = Arc::clone(&now);
        tokio::spawn(async move { opening.run(&*now).await });
    }
}

/// Closes all of them, and waits until the cluster is as it was.
pub async fn close_all(fwd: &Fwd, plan: &Plan) {
    let mine = plan.tunnels.iter().filter(|tunnel| tunnel.leads_here());
    let forwards: Vec<String> = mine.map(|tunnel| tunnel.forward.clone()).collect();
    tunnels::close(fwd, plan, &forwards).await;
}

/// The app that a forward leads to, as its name says; without one of that name all of them.
fn apps_of(plan: &Plan, forward: &str) -> Vec<String> {
    let names = || plan.apps.iter().map(|app| app.name.clone());
    match names().find(|name| name == forward) {
        Some(own) => vec![own],
        None => names().collect(),
    }
}

struct Opening {
    fwd: Arc<Fwd>,
    forward: String,
    spec: ForwardSpec,
    apps: Vec<String>,
    state: State,
    board: Arc<Board>,
}

impl Opening {
    async fn run(self, now: &impl Fn() -> Arc<Plan>) {
        let is_same = |tunnel: &Tunnel| tunnel.spec == self.spec;
        for app in &self.apps {
            let ready = Dependency {
                name: app.clone(),
                condition: Condition::Ready,
            };
            // One that failed may be repaired: until then nothing is taken from the cluster.
            while self.board.reached(&ready).await.is_err() {
                if !now().tunnels.iter().any(is_same) {
                    return;
                }
                sleep(LOOK_EVERY).await;
            }
        }
        if !now().tunnels.iter().any(is_same) {
            return;
        }
        let call = Open {
            forwards: vec![self.spec.clone()],
        };
        match self.fwd.call(&call).await {
            Ok(_) => tunnels::wish(&self.fwd, self.spec),
            Err(error) => {
                let why = error.to_string();
                self.board
                    .set_forward(&now(), &self.forward, Progress::failed(&why));
                self.state.forward_failed(&self.forward, why);
            }
        }
    }
}
