//! The control protocol over the task that owns the routes.

use monday_shared::duration::Span;
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::tcpproxy::{
    Applied, Apply, Close, Closed, Fate, List, LiveConnections, Methods, Open, Routes, Status,
    StatusReply, Wait,
};

use crate::table::Table;
use crate::wait::wait;

/// What the control socket serves.
#[derive(Clone, Debug)]
pub struct Control {
    /// The routes.
    pub table: Table,
    /// How many files this process may have open.
    pub open_files_limit: u64,
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

    async fn status(&self, _: Status) -> Result<StatusReply, RpcError> {
        let routes = self.table.list().await?;
        Ok(StatusReply {
            connections: routes.iter().map(|route| route.active).sum(),
            routes,
            open_files_limit: self.open_files_limit,
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
