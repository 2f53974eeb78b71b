//! The control protocol over the watcher.

use monday_shared::protocol::error::RpcError;
use monday_shared::protocol::watch::{
    List, Methods, Status, StatusReply, Unwatch, Unwatched, Watch, Watches,
};

use crate::watcher::Watcher;

/// What the control socket serves.
#[derive(Clone, Debug)]
pub(crate) struct Control(pub(crate) Watcher);

impl Methods for Control {
    async fn watch(&self, params: Watch) -> Result<Watches, RpcError> {
        let watches = self.0.watch(params.watches).await?;
        Ok(Watches { watches })
    }

    async fn unwatch(&self, params: Unwatch) -> Result<Unwatched, RpcError> {
        let unwatched = self.0.unwatch(params.ids).await?;
        Ok(Unwatched { unwatched })
    }

    async fn list(&self, _: List) -> Result<Watches, RpcError> {
        let watches = self.0.list().await?;
        Ok(Watches { watches })
    }

    async fn status(&self, _: Status) -> Result<StatusReply, RpcError> {
        Ok(self.0.status().await?)
    }
}
