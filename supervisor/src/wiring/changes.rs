//! Tells apps what changed in the trees that they watch, through monday-watch.

use std::path::PathBuf;
use std::sync::Arc;

use monday_shared::protocol::supervisor::Level;
use monday_shared::protocol::watch::{Event, Watch, WatchSpec, WatchStatus};
use tokio::sync::mpsc;

use super::pipeline::Apps;
use crate::plan::{App, Plan};
use crate::sidecar::keeper::{News, Sidecar};
use crate::state::State;

/// The kept monday-watch.
pub type Watcher = Sidecar<Watch>;

/// What the plan wants watched; nothing where no app wants anything.
#[must_use]
pub fn wanted(plan: &Plan) -> Option<Watch> {
    let watches: Vec<WatchSpec> = plan.apps.iter().filter_map(spec).collect();
    (!watches.is_empty()).then_some(Watch { watches })
}

fn spec(app: &App) -> Option<WatchSpec> {
    let watch = app.watch.as_ref()?;
    let mut paths = watch.paths.clone();
    if paths.is_empty() {
        // An app without a folder of its own runs in monday's.
        paths.push(app.path.clone().unwrap_or_else(|| PathBuf::from(".")));
    }
    let mut spec = WatchSpec::new(&app.name, paths);
    spec.exclude.clone_from(&watch.exclude);
    spec.gitignore = watch.gitignore;
    if let Some(debounce) = watch.debounce {
        spec.debounce = debounce;
    }
    Some(spec)
}

/// Begins to watch. A restarted monday-watch is told the same.
pub async fn watch(watcher: &Watcher, wanted: Watch, state: &State) {
    watcher.wish(Some(wanted.clone()));
    if let Err(error) = watcher.call(&wanted).await {
        let message = format!("changes are not noticed: {error}");
        state.notice(Level::Error, None, message);
    }
}

/// Passes on what monday-watch tells, as long as it is kept.
pub async fn pass_on(mut news: mpsc::Receiver<News<Event>>, apps: Arc<Apps>, state: State) {
    while let Some(news) = news.recv().await {
        match news {
            News::Event(Event::Changed(changed)) => {
                if let Some(app) = apps.get(&changed.id) {
                    app.changed(changed.clone()).await;
                }
            }
            News::Event(Event::Watching(WatchStatus {
                id,
                note: Some(note),
                ..
            })) => state.notice(Level::Warning, Some(id), note),
            _ => {}
        }
    }
}
