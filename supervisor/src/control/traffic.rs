//! What went through the forwards: monday-tcpproxy counts it, and is asked when somebody wants to know.

use std::time::Duration;

use monday_shared::protocol::supervisor::{ProjectStatus, Traffic};

use crate::plan::route;
use crate::session::Session;

/// How long the answer may take: a monday-tcpproxy that does not answer must not keep the rest of a status.
const PATIENCE: Duration = Duration::from_secs(2);

/// Adds the counters of every port of every forward that there are any of.
pub(super) async fn add(session: &Session, status: &mut ProjectStatus) {
    let Ok(Some(counted)) = tokio::time::timeout(PATIENCE, session.routes()).await else {
        return;
    };
    for forward in &mut status.forwards {
        for port in &mut forward.routes {
            let id = route::id(&forward.name, port.listen.port());
            let counters = counted.iter().find(|route| route.id == id);
            port.traffic = counters.map(|route| Traffic {
                active: route.active,
                accepted: route.accepted,
                failed: route.failed,
                bytes_up: route.bytes_up,
                bytes_down: route.bytes_down,
                last_error: route.last_error.clone(),
            });
        }
    }
}
