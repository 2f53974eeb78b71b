//! What those wrote last that did not become ready: the first thing that a person wants to see then.

use monday_shared::protocol::common::{Bulk, History, Subscribe};
use monday_shared::protocol::error::RpcError;
use monday_shared::protocol::supervisor::{Event, Level};
use monday_shared::rpc::hub::Delivery;

use crate::state::State;

/// How many lines of each.
const LINES: usize = 20;

/// Tells it.
pub(crate) async fn tell(state: &State, error: &RpcError) {
    state.settled().await;
    let names = error
        .data
        .details
        .get("names")
        .and_then(|names| names.as_array());
    for name in names.into_iter().flatten().filter_map(|name| name.as_str()) {
        let lines = last(state, name);
        if !lines.is_empty() {
            let message = format!("the last it wrote:\n{}", lines.join("\n"));
            state.notice(Level::Error, Some(name.to_owned()), message);
        }
    }
}

fn last(state: &State, name: &str) -> Vec<String> {
    let wanted = Subscribe {
        bulk: Bulk::Skip,
        history: Some(History {
            lines: Some(LINES),
            since: None,
        }),
        of: Some(vec![name.to_owned()]),
    };
    let (_, _, mut past) = state.hub().subscribe_as(&wanted);
    let mut lines = Vec::new();
    while let Some(Delivery::Past(past)) = past.try_next() {
        if let Event::Output { app, output } = &past.event.event {
            let shown = output
                .lines
                .iter()
                .map(|line| format!("  {app} | {}", line.text()));
            lines.extend(shown);
        }
    }
    let first = lines.len().saturating_sub(LINES);
    lines.split_off(first)
}
