//! Runs one app through a monday-run of its own.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use monday_shared::address_env::Variable;
use monday_shared::duration::Span;
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::run::{
    Event, Phase, Restart, RunSpec, Start, State as RunState, Stop,
};
use monday_shared::protocol::supervisor::Level;
use monday_shared::rpc::client::ClientError;
use tokio::sync::{mpsc, watch};

use crate::plan::App;
use crate::sidecar::keeper::{News, Sidecar};
use crate::state::State;

/// The apps of a project, by name.
pub type Apps = HashMap<String, Arc<Guardian>>;

/// One app and its kept monday-run.
#[derive(Debug)]
pub struct Guardian {
    app: App,
    sidecar: Sidecar<Start>,
    state: State,
    /// What monday-run was told first, to tell it again.
    start: OnceLock<Start>,
    /// Whether monday-run has told of a first state, and it was passed on.
    told: watch::Sender<bool>,
}

/// How long the state that belongs to a reply may take to come behind it.
const STATE_BEHIND: Duration = Duration::from_secs(1);

impl Guardian {
    /// The guardian of that app.
    #[must_use]
    pub fn new(app: App, sidecar: Sidecar<Start>, state: State) -> Self {
        Self {
            app,
            sidecar,
            state,
            start: OnceLock::new(),
            told: watch::Sender::new(false),
        }
    }

    /// The app's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.app.name
    }

    /// Starts the app. What goes wrong is the app's state afterwards, not an error of the project.
    pub async fn start(&self, common: &[Variable]) {
        let start = match spec(&self.app, common) {
            Ok(Some(spec)) => self.start.get_or_init(|| Start { spec }),
            Ok(None) => return,
            Err(why) => return self.failed(why),
        };
        // Before the call, so that a monday-run that dies during it is told again.
        self.sidecar.wish(Some(start.clone()));
        match self.sidecar.call(start).await {
            Ok(_) => self.until_told().await,
            // It says so as its state as well.
            Err(ClientError::Refused(error)) if error.data.kind == ErrorKind::SpawnFailed => {
                self.until_told().await;
            }
            Err(error) => self.failed(error.to_string()),
        }
    }

    /// Replies come before events: whoever looks at the state after a start shall find it there.
    async fn until_told(&self) {
        let mut told = self.told.subscribe();
        let waited = tokio::time::timeout(STATE_BEHIND, told.wait_for(|told| *told)).await;
        if waited.is_err() {
            tracing::debug!(app = self.app.name, "its state did not come in time");
        }
    }

    /// Starts the app again, and returns how it is then.
    ///
    /// # Errors
    /// What monday-run replies, or that the app was never started.
    pub async fn restart(&self) -> Result<RunState, RpcError> {
        let Some(start) = self.start.get() else {
            return Err(RpcError::new(
                ErrorKind::Busy,
                format!("`{}` was not started yet", self.app.name),
            ));
        };
        self.sidecar.wish(Some(start.clone()));
        self.state.app_restarted(&self.app.name);
        let restarted = match self.sidecar.call(&Restart {}).await {
            // A monday-run that came after the app's end knows nothing to start again.
            Err(ClientError::Refused(error)) if error.data.kind == ErrorKind::NotFound => {
                self.sidecar.call(start).await
            }
            other => other,
        };
        match restarted {
            Ok(state) => Ok(state),
            Err(ClientError::Refused(error)) => Err(error),
            Err(other) => Err(RpcError::new(ErrorKind::Internal, other.to_string())),
        }
    }

    /// Stops the app and every process of it; `timeout` instead of the app's own.
    pub async fn stop(&self, timeout: Option<Span>) {
        self.sidecar.wish(None);
        if self.start.get().is_none() {
            return;
        }
        if let Err(error) = self.sidecar.call(&Stop { timeout }).await {
            tracing::debug!(app = self.app.name, %error, "the app could not be stopped by request");
        }
    }

    /// Ends the monday-run.
    pub async fn end(&self) {
        self.sidecar.end().await;
    }

    /// Passes on what monday-run tells, as long as it is kept.
    pub async fn watch(&self, mut news: mpsc::Receiver<News<Event>>) {
        while let Some(news) = news.recv().await {
            match news {
                News::Event(Event::Output(output)) => {
                    self.state.output(&self.app.name, output).await;
                }
                News::Event(Event::State(run)) => self.changed(run),
                News::Event(Event::Ready { .. }) => {}
                News::Lagged(dropped) => self.state.notice(
                    Level::Warning,
                    Some(self.app.name.clone()),
                    format!("{dropped} lines of its output were lost"),
                ),
                News::Died => {
                    if self.sidecar.has_wish() {
                        self.state.app_restarted(&self.app.name);
                    }
                }
            }
        }
    }

    fn changed(&self, run: RunState) {
        // An app that ended by itself is not started by the next death of its monday-run.
        if matches!(run.phase, Phase::Exited | Phase::Failed) {
            self.sidecar.wish(None);
        }
        self.state.app(&self.app.name, run);
        self.told.send_replace(true);
    }

    fn failed(&self, why: String) {
        self.changed(RunState {
            phase: Phase::Failed,
            reason: Some(why),
            ..RunState::default()
        });
    }
}

/// What monday-run is told; nothing for an app that has nothing to run.
fn spec(app: &App, common: &[Variable]) -> Result<Option<RunSpec>, String> {
    let Some(step) = &app.run else {
        return Ok(None);
    };
    let env = step
        .environment(common, |path: &Path| std::fs::read_to_string(path))
        .map_err(|error| error.to_string())?;
    let mut spec = RunSpec::new(step.argv.clone());
    spec.dir.clone_from(&step.dir);
    spec.env = env;
    spec.stop_signal.clone_from(&app.stop.signal);
    spec.stop_timeout = app.stop.timeout;
    Ok(Some(spec))
}
