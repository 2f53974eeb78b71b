//! The control protocol over the task that owns the routes.

use monday_shared::protocol::error::RpcError;
use monday_shared::protocol::tcpproxy::{
    Close, Closed, List, Methods, Open, Routes, Status, StatusReply, Wait,
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
        let routes = self.table.open(params.routes).await?;
        Ok(Routes { routes })
    }

    async fn close(&self, params: Close) -> Result<Closed, RpcError> {
        let closed = self.table.close(params.ids).await?;
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
