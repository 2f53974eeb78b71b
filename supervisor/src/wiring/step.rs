//! Runs one step of an app (`setup`, `build`) to its end, through a monday-run of its own that lives as long.

use std::time::Duration;

use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::run::{Event, Exit, Phase, RunSpec, Start};
use monday_shared::protocol::supervisor::Level;
use monday_shared::rpc::client::{Client, Events, Received};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::sidecar::keeper::said;
use crate::sidecar::launch::Launch;
use crate::sidecar::nursery::Nursery;
use crate::state::State;

/// How long the monday-run of a cancelled step may take to end the step's processes: it gives them one second.
const END_GRACE: Duration = Duration::from_secs(3);

/// How a step ended, other than well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepError {
    /// It was cancelled; none of its processes is left.
    Cancelled,
    /// It failed: why.
    Failed(String),
}

/// Who runs steps, and who is told.
#[derive(Clone, Debug)]
pub struct Steps {
    /// Our children.
    pub nursery: Nursery,
    /// Who gets the output.
    pub state: State,
}

impl Steps {
    /// Runs the step; `label` stands before each line of its output.
    ///
    /// # Errors
    /// [`StepError`] if it was cancelled, could not be run, or did not end with status 0.
    pub async fn run(
        &self,
        launch: &Launch,
        label: &str,
        spec: RunSpec,
        cancel: &CancellationToken,
    ) -> Result<(), StepError> {
        let mut process = launch
            .start(&self.nursery)
            .await
            .map_err(|error| StepError::Failed(error.to_string()))?;
        self.show_log(process.take_log(), label);
        let ended = tokio::select! {
            ended = self.follow(launch, label, spec) => ended,
            () = cancel.cancelled() => Err(StepError::Cancelled),
        };
        process.end(END_GRACE).await;
        if ended.is_err() {
            // A monday-run that was killed leaves its step's processes to us.
            self.nursery.end_strays().await;
        }
        ended
    }

    async fn follow(&self, launch: &Launch, label: &str, spec: RunSpec) -> Result<(), StepError> {
        let failed = |error: &dyn std::fmt::Display| StepError::Failed(error.to_string());
        let (client, _, mut events) = Client::subscribe::<Event>(&launch.socket, Bulk::Lossless)
            .await
            .map_err(|e| failed(&e))?;
        let start = Start { spec };
        // The reply is not waited for before events are read: both come over one connection.
        let (_, ended) = tokio::try_join!(
            async { client.call(&start).await.map_err(|e| failed(&e)) },
            async { Ok(self.until_end(label, &mut events).await) },
        )?;
        match ended {
            Some(Exit::Code(0)) => Ok(()),
            Some(exit) => Err(failed(&exit)),
            None => Err(failed(&"its monday-run died")),
        }
    }

    /// Shows what the monday-run itself logs.
    fn show_log(&self, mut log: mpsc::Receiver<String>, label: &str) {
        let (state, label) = (self.state.clone(), label.to_owned());
        tokio::spawn(async move {
            while let Some(line) = log.recv().await {
                state.notice(Level::Warning, Some(label.clone()), said(&line));
            }
        });
    }

    /// Passes the output on until the process has ended.
    async fn until_end(&self, label: &str, events: &mut Events<Event>) -> Option<Exit> {
        while let Some(received) = events.next().await {
            match received {
                Received::Event(Event::Output(output)) => self.state.output(label, output).await,
                Received::Event(Event::State(state)) => match state.phase {
                    Phase::Exited | Phase::Stopped => return state.exit,
                    // The reply to `start` says why.
                    Phase::Failed => return None,
                    _ => {}
                },
                _ => {}
            }
        }
        None
    }
}
