//! Watches: lines of JSON for as long as somebody reads them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::resource::Resource;
use super::selector::Selector;
use super::{State, locked, table};

/// A watch that was asked for.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) resource: Resource,
    pub(super) namespace: String,
    pub(super) selector: Selector,
    /// Only what happened after it; without it everything that there is comes first.
    pub(super) revision: Option<u64>,
    /// A mark after what came first (`sendInitialEvents`).
    pub(super) marked: bool,
    pub(super) table: bool,
    pub(super) length: Option<Duration>,
}

impl Watch {
    /// Sends lines until nobody wants them, its time is over or all watches end.
    pub(super) async fn run(self, state: Arc<State>, lines: mpsc::Sender<Bytes>) {
        let mut revisions = state.revision.subscribe();
        let mut epoch = state.watches.subscribe();
        let end = self.length.map(|length| Instant::now() + length);
        let (first, mut seen) = self.beginning(&state);
        for line in first {
            if lines.send(line).await.is_err() {
                return;
            }
        }
        loop {
            revisions.borrow_and_update();
            let Some(changes) = locked(&state.store).since(seen) else {
                let gone = json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
                    "reason": "Expired", "message": format!("too old resource version: {seen}"),
                });
                let _ = lines.send(line("ERROR", &gone)).await;
                return;
            };
            for change in changes {
                seen = change.revision;
                let ours = change.resource == self.resource
                    && (self.namespace.is_empty()
                        || change.object["metadata"]["namespace"] == *self.namespace)
                    && self.selector.fits(&change.object);
                let text = line(change.verb, &self.shape(change.object, seen));
                if ours && lines.send(text).await.is_err() {
                    return;
                }
            }
            let timed_out = async {
                match end {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                news = revisions.changed() => if news.is_err() { return },
                _ = epoch.changed() => return,
                () = timed_out => return,
                () = lines.closed() => return,
            }
        }
    }

    /// What comes first, and up to which revision that is.
    fn beginning(&self, state: &State) -> (Vec<Bytes>, u64) {
        if let (Some(revision), false) = (self.revision, self.marked) {
            return (Vec::new(), revision);
        }
        let store = locked(&state.store);
        let revision = store.revision();
        let objects = store.list(self.resource, &self.namespace, &self.selector);
        drop(store);
        let mut lines: Vec<Bytes> = objects
            .into_iter()
            .map(|object| line("ADDED", &self.shape(object, revision)))
            .collect();
        if self.marked {
            let mark = json!({
                "kind": self.resource.kind, "apiVersion": self.resource.version,
                "metadata": {
                    "resourceVersion": revision.to_string(),
                    "annotations": {"k8s.io/initial-events-end": "true"},
                },
            });
            lines.push(line("BOOKMARK", &mark));
        }
        (lines, revision)
    }

    fn shape(&self, object: Value, revision: u64) -> Value {
        if self.table {
            table::of(&[object], revision)
        } else {
            object
        }
    }
}

fn line(verb: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": verb, "object": object})))
}
