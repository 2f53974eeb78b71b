//! The control protocol over the task that owns the names.

use monday_shared::protocol::error::RpcError;
use monday_shared::protocol::ipalias::{
    Assign, Exchange, List, Methods, Names, Release, Released, Status,
};

use crate::names::NamesHandle;

/// What the control socket serves.
#[derive(Clone, Debug)]
pub struct Control(pub NamesHandle);

impl Methods for Control {
    async fn assign(&self, params: Assign) -> Result<Names, RpcError> {
        Ok(self.0.assign(params.names).await?)
    }

    async fn release(&self, params: Release) -> Result<Released, RpcError> {
        Ok(self.0.release(params.names).await?)
    }

    async fn exchange(&self, params: Exchange) -> Result<Names, RpcError> {
        Ok(self.0.exchange(params.names).await?)
    }

    async fn list(&self, _: List) -> Result<Names, RpcError> {
        Ok(self.0.list().await?)
    }

    async fn status(&self, _: Status) -> Result<Names, RpcError> {
        Ok(self.0.list().await?)
    }
}
