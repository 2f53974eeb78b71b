//! The control protocol over the task that owns the forwards.

use monday_shared::protocol::error::RpcError;
use monday_shared::protocol::fwd::{
    Close, Closed, Forwards, List, Methods, Open, Status, StatusReply,
};

use crate::table::Table;

/// What the control socket serves.
#[derive(Clone, Debug)]
pub struct Control {
    /// The forwards.
    pub table: Table,
    /// How many files this process may have open.
    pub open_files_limit: u64,
}

impl Methods for Control {
    async fn open(&self, params: Open) -> Result<Forwards, RpcError> {
        let forwards = self.table.open(params.forwards).await?;
        Ok(Forwards { forwards })
    }

    async fn close(&self, params: Close) -> Result<Closed, RpcError> {
        let closed = self.table.close(params.ids).await?;
        Ok(Closed { closed })
    }

    async fn list(&self, _: List) -> Result<Forwards, RpcError> {
        let forwards = self.table.list().await?;
        Ok(Forwards { forwards })
    }

    async fn status(&self, _: Status) -> Result<StatusReply, RpcError> {
        let forwards = self.table.list().await?;
        Ok(StatusReply {
            connections: forwards.iter().map(|forward| forward.active).sum(),
            forwards,
            open_files_limit: self.open_files_limit,
        })
    }
}
