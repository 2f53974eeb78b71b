//! Long work says that it goes on: a line now and then, with the time that has passed and what is waited for.

use std::collections::HashMap;
use std::time::Duration;

use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::run::Phase;
use monday_shared::protocol::supervisor::{AppStatus, Event, Level};
use monday_shared::rpc::hub::Delivery;
use tokio::time::Instant;

use crate::state::State;
use crate::view::width::span;

/// After how many seconds it is said for the first times; from then on each minute.
const AFTER: [u64; 3] = [10, 30, 60];

/// What an app is busy with, if it is something that can take long.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Busy {
    /// `building`
    what: String,
    since: Instant,
    /// How often it was said.
    said: usize,
}

impl Busy {
    /// When it is to be said next.
    fn due(&self) -> Instant {
        let seconds = match AFTER.get(self.said) {
            Some(seconds) => *seconds,
            None => 60 * (self.said + 2 - AFTER.len()) as u64,
        };
        self.since + Duration::from_secs(seconds)
    }
}

/// What it is busy with.
fn busy_with(app: &AppStatus) -> Option<String> {
    if let Some(stage) = &app.stage {
        return Some(stage.to_string());
    }
    match app.state.phase {
        Phase::Running if app.state.ready == Some(false) => {
            Some("running and not ready yet".to_owned())
        }
        _ => None,
    }
}

/// Says what still goes on, until the state is gone.
pub async fn tell(state: State) {
    let (_, mut events) = state.hub().subscribe(Bulk::Skip);
    let mut busy: HashMap<String, Busy> = HashMap::new();
    loop {
        let next = busy.values().map(Busy::due).min();
        let due = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            delivery = events.next() => match delivery {
                Some(Delivery::Event(event)) => match &event.event {
                    Event::App(app) => note(&mut busy, app),
                    Event::Stopping { .. } => return,
                    _ => {}
                },
                Some(_) => {}
                None => return,
            },
            () = due => say(&mut busy, &state).await,
        }
    }
}

fn note(busy: &mut HashMap<String, Busy>, app: &AppStatus) {
    match busy_with(app) {
        None => {
            busy.remove(&app.name);
        }
        Some(what) => {
            let is_new = busy.get(&app.name).is_none_or(|known| known.what != what);
            if is_new {
                let since = Instant::now();
                let said = 0;
                busy.insert(app.name.clone(), Busy { what, since, said });
            }
        }
    }
}

async fn say(busy: &mut HashMap<String, Busy>, state: &State) {
    let now = Instant::now();
    // The end of a stage is no event: what is done by now is not said.
    let apps = state.status().await.apps;
    busy.retain(|name, known| {
        let app = apps.iter().find(|app| app.name == *name);
        app.and_then(busy_with).as_ref() == Some(&known.what)
    });
    for (name, known) in busy.iter_mut().filter(|(_, known)| known.due() <= now) {
        known.said += 1;
        let passed = span(now - known.since);
        let message = format!("still {}, for {passed}", known.what);
        state.notice(Level::Info, Some(name.clone()), message);
    }
}

#[cfg(test)]
mod tests {
    use monday_shared::protocol::run::State as RunState;
    use monday_shared::protocol::supervisor::Stage;

    use super::*;

    #[test]
    fn it_is_said_soon_and_then_each_minute() {
        let since = Instant::now();
        let due = |said| {
            let what = "building".to_owned();
            (Busy { what, since, said }.due() - since).as_secs()
        };
        let times: Vec<u64> = (0..6).map(due).collect();
        assert_eq!(times, [10, 30, 60, 120, 180, 240]);
    }

    #[test]
    fn a_stage_and_readiness_are_waited_for_and_nothing_else_is() {
        let mut app = AppStatus {
            name: "api".to_owned(),
            stage: Some(Stage::Build),
            ..AppStatus::default()
        };
        let mut busy = HashMap::new();
        note(&mut busy, &app);
        assert_eq!(busy["api"].what, "building");
        app.stage = None;
        app.state = RunState {
            phase: Phase::Running,
            ready: Some(false),
            ..RunState::default()
        };
        note(&mut busy, &app);
        assert_eq!(busy["api"].what, "running and not ready yet");
        app.state.ready = Some(true);
        note(&mut busy, &app);
        assert!(busy.is_empty());
    }
}
