//! A route: what was wished for, and what has come of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use monday_shared::protocol::fault::FaultSpec;
use monday_shared::protocol::listen_address::ListenAddress;
use monday_shared::protocol::tcpproxy::{RouteSpec, RouteStatus};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::error::Error;
use crate::listener::Door;
use crate::orders::Orders;
use crate::place::Place;
use crate::plan::Held;
use crate::stats::Stats;
use monday_shared::address::{AddressError, Target};
use monday_shared::dial::Patience;

/// How long it may take until all connections of a route are cut: a reset needs nobody's consent.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// A wish that makes sense.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) spec: RouteSpec,
    pub(crate) listen: Vec<Place>,
    pub(crate) target: Target,
}

impl Wish {
    /// Reads the addresses of a specification.
    ///
    /// # Errors
    /// [`Error::Address`] or [`Error::EmptyId`].
    pub(crate) fn read(spec: RouteSpec) -> Result<Self, Error> {
        if spec.id.is_empty() {
            return Err(Error::EmptyId);
        }
        let wrong = |source| Error::Address {
            id: spec.id.clone(),
            source,
        };
        let listen: Vec<Place> = spec
            .listen
            .0
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map_err(wrong)?;
        if listen.is_empty() {
            return Err(wrong(AddressError::Empty));
        }
        let target = spec.target.parse().map_err(wrong)?;
        Ok(Self {
            spec,
            listen,
            target,
        })
    }

    /// How long a connection may be without a byte; no time at all means that nobody looks.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        let limit = self.spec.idle_timeout?.0;
        (!limit.is_zero()).then_some(limit)
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience {
            connect_timeout: self.spec.connect_timeout.0,
            connect_wait: self.spec.connect_wait.0,
        }
    }
}

/// An open route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) wish: Wish,
    /// Its listeners, one for each address of the wish.
    pub(crate) held: Vec<Held>,
    /// Where clients find them.
    pub(crate) shown: Vec<ListenAddress>,
    /// It takes no new connections.
    pub(crate) draining: bool,
    pub(crate) shared: Shared,
}

/// What belongs to the id of a route and outlives a change of its target, as its connections do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    pub(crate) stats: Arc<Stats>,
    /// What its connections are told.
    pub(crate) orders: Arc<Orders>,
    /// Knows when the last of them has ended.
    pub(crate) connections: TaskTracker,
}

impl Route {
    /// The faults that it has now.
    pub(crate) fn faults(&self) -> Vec<FaultSpec> {
        let faults = self.shared.orders.faults();
        faults.iter().map(|fault| fault.spec.clone()).collect()
    }

    /// How its listeners treat new clients.
    pub(crate) fn door(&self) -> Door {
        let faults = self.shared.orders.faults();
        if self.draining {
            Door::Shut
        } else if faults.iter().any(|fault| fault.spec.refuse.0) {
            Door::Refuse
        } else if faults.iter().any(|fault| fault.spec.unanswered.0) {
            Door::Silent
        } else {
            Door::Open
        }
    }

    /// The route as it really is.
    pub(crate) fn status(&self) -> RouteStatus {
        let stats = &self.shared.stats;
        RouteStatus {
            id: self.wish.spec.id.clone(),
            listen: self.shown[0].clone(),
            also: self.shown[1..].to_vec(),
            target: self.wish.spec.target.clone(),
            active: stats.active.load(Ordering::Relaxed),
            accepted: stats.accepted.load(Ordering::Relaxed),
            failed: stats.failed.load(Ordering::Relaxed),
            bytes_up: stats.traffic.up.load(Ordering::Relaxed),
            bytes_down: stats.traffic.down.load(Ordering::Relaxed),
            reset: stats.reset.load(Ordering::Relaxed),
            last_error: stats.last_error(),
            faults: self.faults(),
            draining: self.draining,
        }
    }
}

impl Shared {
    /// Waits until the last connection has ended; no more can come.
    pub(crate) async fn drained(&self) {
        self.connections.close();
        self.connections.wait().await;
    }

    /// Cuts all connections; they are gone afterwards.
    pub(crate) async fn cut(self) {
        self.orders.cut_all();
        self.connections.close();
        if timeout(CUT_WITHIN, self.connections.wait()).await.is_err() {
            tracing::warn!("some connections of a closed route have not ended yet");
        }
    }
}
