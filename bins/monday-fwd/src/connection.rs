//! One forwarded connection: what it has moved and how it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use monday_shared::protocol::fwd::Event;

use crate::scope::{Scope, Stats};

/// A connection that is counted as open. Dropping it says how it ended.
#[derive(Debug)]
pub(crate) struct Connection {
    scope: Scope,
    stats: Arc<Stats>,
    client: String,
    up: AtomicU64,
    down: AtomicU64,
    error: Option<String>,
}

impl Connection {
    pub(crate) fn begin(scope: Scope, client: String) -> Self {
        let stats = Arc::clone(scope.stats());
        stats.accepted.fetch_add(1, Ordering::Relaxed);
        stats.active.fetch_add(1, Ordering::Relaxed);
        Self {
            scope,
            stats,
            client,
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            error: None,
        }
    }

    /// Who connected.
    pub(crate) fn client(&self) -> &str {
        &self.client
    }

    /// So many bytes went from the client to the target.
    pub(crate) fn moved_up(&self, bytes: usize) {
        self.up.fetch_add(bytes as u64, Ordering::Relaxed);
        self.stats.up.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many bytes went from the target to the client.
    pub(crate) fn moved_down(&self, bytes: usize) {
        self.down.fetch_add(bytes as u64, Ordering::Relaxed);
        self.stats.down.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How many bytes have gone in both directions.
    pub(crate) fn moved(&self) -> u64 {
        self.up.load(Ordering::Relaxed) + self.down.load(Ordering::Relaxed)
    }

    /// How many bytes have gone to the client.
    pub(crate) fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }

    /// It did not get through, or was cut.
    pub(crate) fn fail(mut self, error: impl Into<String>) {
        self.error = Some(error.into());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stats.active.fetch_sub(1, Ordering::Relaxed);
        if let Some(error) = &self.error {
            self.stats.failed.fetch_add(1, Ordering::Relaxed);
            if !self.scope.note_failure(error, Instant::now()) {
                return;
            }
        }
        self.scope.publish(Event::Connection {
            id: self.scope.id().to_owned(),
            client: std::mem::take(&mut self.client),
            bytes_up: *self.up.get_mut(),
            bytes_down: *self.down.get_mut(),
            error: self.error.take(),
        });
    }
}
