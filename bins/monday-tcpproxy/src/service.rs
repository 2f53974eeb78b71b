//! The control protocol over the task that owns the routes.

use monday_shared::duration::Span;
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::tcpproxy::{
    Applied, Apply, Clear, Close, Closed, Drain, Fate, Fault, List, LiveConnections, Methods, Open,
    Reset, Routes, Status, StatusReply, Until, Wait,
};

use crate::table::{Change, Table};
use crate::wait::wait;

/// What the control socket serves.
#[derive(Clone, Debug)]
pub struct Control {
    /// The routes.
    pub table: Table,
    /// How many files this process may have open.
    pub open_files_limit: u64,
    /// What chance is derived from.
    pub seed: u64,
}

impl Control {
    async fn change(&self, ids: Vec<String>, change: Change) -> Result<Routes, RpcError> {
        let routes = self.table.change(ids, change).await?;
        Ok(Routes { routes })
    }
}

impl Methods for Control {
    async fn open(&self, params: Open) -> Result<Routes, RpcError> {
        let routes = self.table.open(params.routes, params.live).await?;
        Ok(Routes { routes })
    }

    async fn apply(&self, params: Apply) -> Result<Applied, RpcError> {
        let live = live(params.connections, params.drain_timeout)?;
        Ok(self.table.apply(params.routes, live).await?)
    }

    async fn close(&self, params: Close) -> Result<Closed, RpcError> {
        let live = live(params.connections, params.drain_timeout)?;
        if live.connections == Some(Fate::Keep) {
            return Err(RpcError::invalid_params(
                "close",
                "connections of a route that is closed cannot stay: `cut` or `drain` them",
            ));
        }
        let closed = self.table.close(params.ids, live).await?;
        Ok(Closed { closed })
    }

    async fn list(&self, _: List) -> Result<Routes, RpcError> {
        let routes = self.table.list().await?;
        Ok(Routes { routes })
    }

    async fn wait(&self, params: Wait) -> Result<Routes, RpcError> {
        wait(&self.table, params).await
    }

    async fn fault(&self, params: Fault) -> Result<Routes, RpcError> {
        self.change(params.ids, Change::AddFault(params.fault))
            .await
    }

    async fn clear(&self, params: Clear) -> Result<Routes, RpcError> {
        self.change(params.ids, Change::ClearFaults(params.names))
            .await
    }

    async fn reset(&self, params: Reset) -> Result<Routes, RpcError> {
        self.change(params.ids, Change::Reset).await
    }

    async fn drain(&self, params: Drain) -> Result<Routes, RpcError> {
        self.change(params.ids.clone(), Change::Drain).await?;
        let idle = Wait {
            ids: params.ids,
            until: Until::Idle,
            count: None,
            timeout: params.timeout,
        };
        wait(&self.table, idle).await
    }

    async fn status(&self, _: Status) -> Result<StatusReply, RpcError> {
        let routes = self.table.list().await?;
        Ok(StatusReply {
            connections: routes.iter().map(|route| route.active).sum(),
            routes,
            open_files_limit: self.open_files_limit,
            seed: self.seed,
        })
    }
}

fn live(
    connections: Option<Fate>,
    drain_timeout: Option<Span>,
) -> Result<LiveConnections, RpcError> {
    LiveConnections {
        connections,
        drain_timeout,
    }
    .checked()
    .map_err(|why| RpcError::new(ErrorKind::InvalidParams, why))
}
