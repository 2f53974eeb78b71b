//! The control socket's methods: each is a request to the guardian.

use monday_shared::protocol::common::Done;
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::run::{Methods, Restart, Signal, Start, State, Status, Stop};
use monday_shared::signal_name;

use crate::guardian::Guardian;
use crate::request::{How, Refusal};
use crate::spec::CheckedSpec;

/// Answers clients.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    guardian: Guardian,
}

impl Control {
    pub(crate) fn new(guardian: Guardian) -> Self {
        Self { guardian }
    }
}

impl Methods for Control {
    async fn start(&self, params: Start) -> Result<State, RpcError> {
        let spec = CheckedSpec::try_from(params.spec)
            .map_err(|error| RpcError::invalid_params("start", error))?;
        self.guardian.start(spec).await.map_err(refused)
    }

    async fn stop(&self, params: Stop) -> Result<State, RpcError> {
        let how = How {
            timeout: params.timeout.map(|timeout| timeout.0),
            ..How::default()
        };
        self.guardian.stop(how).await.map_err(refused)
    }

    async fn restart(&self, _: Restart) -> Result<State, RpcError> {
        self.guardian.restart().await.map_err(refused)
    }

    async fn signal(&self, params: Signal) -> Result<Done, RpcError> {
        let signal = signal_name::parse(&params.signal)
            .map_err(|error| RpcError::invalid_params("signal", error))?;
        self.guardian.signal(signal).await.map_err(refused)?;
        Ok(Done {})
    }

    async fn status(&self, _: Status) -> Result<State, RpcError> {
        self.guardian.status().await.map_err(refused)
    }
}

fn refused(refusal: Refusal) -> RpcError {
    let kind = match refusal {
        Refusal::Spawn(_) => ErrorKind::SpawnFailed,
        Refusal::Superseded(_) => ErrorKind::Conflict,
        Refusal::NothingToRestart | Refusal::NotRunning(_) => ErrorKind::NotFound,
        Refusal::Signal { .. } | Refusal::Survivors(_) => ErrorKind::Os,
        Refusal::Ending => ErrorKind::ShuttingDown,
    };
    RpcError::new(kind, refusal.to_string())
}
