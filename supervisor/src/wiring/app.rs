//! Runs one app through a monday-run of its own.

use std::sync::Arc;
use std::time::Duration;

use monday_shared::address_env::Variable;
use monday_shared::duration::Span;
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::run::{Event, Phase, Restart, Signal, Start, State as RunState, Stop};
use monday_shared::protocol::supervisor::Level;
use monday_shared::rpc::client::ClientError;
use tokio::sync::{mpsc, watch};

use super::progress::{Board, Progress};
use super::run_spec;
use super::taken_port::{complained_about, expected, who_has};
use crate::plan::App;
use crate::sidecar::keeper::{News, Sidecar};
use crate::state::State;

/// After the answer to a stop its event is on the way, behind output perhaps that nobody reads.
const TOLD_WITHIN: Duration = Duration::from_millis(300);

/// One app and its kept monday-run.
#[derive(Debug)]
pub struct Guardian {
    app: App,
    sidecar: Sidecar<Start>,
    state: State,
    /// What monday-run was told last, to tell it again.
    start: watch::Sender<Option<Start>>,
    /// How far it is, as was told.
    phase: watch::Sender<Phase>,
    /// Who waits for the app is told here.
    board: Arc<Board>,
}

impl Guardian {
    /// The guardian of that app.
    #[must_use]
    pub fn new(app: App, sidecar: Sidecar<Start>, state: State, board: Arc<Board>) -> Self {
        Self {
            app,
            sidecar,
            state,
            start: watch::Sender::new(None),
            phase: watch::Sender::new(Phase::Idle),
            board,
        }
    }

    /// Starts the app. What goes wrong is the app's state afterwards, not an error of the project.
    pub async fn start(&self, common: &[Variable]) {
        let start = match run_spec::of_app(&self.app, common).await {
            Ok(Some(spec)) => Start { spec },
            Ok(None) => return,
            Err(why) => return self.failed(why.to_string()),
        };
        self.start.send_replace(Some(start.clone()));
        match self.sidecar.call(&start).await {
            Ok(state) => self.state.app_started(&self.app.name, state),
            Err(error) => {
                self.start.send_replace(None);
                // What could not be started is told as its state as well.
                let told = matches!(&error, ClientError::Refused(error) if error.data.kind == ErrorKind::SpawnFailed);
                if !told {
                    self.failed(error.to_string());
                }
            }
        }
    }

    /// Starts the app again, with its `env_file` read anew, and returns how it is then.
    ///
    /// # Errors
    /// What monday-run replies, or that the `env_file` cannot be used any more: then the old process goes on.
    pub async fn restart(&self, common: &[Variable]) -> Result<RunState, RpcError> {
        let start = match run_spec::of_app(&self.app, common).await {
            Ok(Some(spec)) => Start { spec },
            Ok(None) => return Ok(RunState::default()),
            Err(why) => return Err(RpcError::new(ErrorKind::Conflict, why.to_string())),
        };
        self.state.app_restarted(&self.app.name);
        let before = self.start.send_replace(Some(start.clone()));
        let restarted = if before.as_ref() == Some(&start) {
            match self.sidecar.call(&Restart {}).await {
                // A monday-run that came after the app's end knows nothing to start again.
                Err(ClientError::Refused(error)) if error.data.kind == ErrorKind::NotFound => {
                    self.sidecar.call(&start).await
                }
                other => other,
            }
        } else {
            // Another specification: the process from before is stopped first.
            self.sidecar.call(&start).await
        };
        match restarted {
            Ok(state) => Ok(state),
            Err(ClientError::Refused(error)) => Err(error),
            Err(other) => Err(RpcError::new(ErrorKind::Internal, other.to_string())),
        }
    }

    /// Whether it runs, or will be started again by itself.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.sidecar.has_wish()
    }

    /// Whether the app was started, and not stopped since.
    #[must_use]
    pub fn was_started(&self) -> bool {
        self.start.borrow().is_some()
    }

    /// Sends the app a signal.
    ///
    /// # Errors
    /// What monday-run replies.
    pub async fn signal(&self, signal: String) -> Result<(), RpcError> {
        match self.sidecar.call(&Signal { signal }).await {
            Ok(_) => Ok(()),
            Err(ClientError::Refused(error)) => Err(error),
            Err(other) => Err(RpcError::new(ErrorKind::Internal, other.to_string())),
        }
    }

    /// Stops the app and every process of it; `timeout` instead of the app's own.
    pub async fn stop(&self, timeout: Option<Span>) {
        self.sidecar.wish(None);
        if !self.was_started() {
            return;
        }
        // A monday-run that is not there has no processes left, and without a wish the next one starts none.
        match self.sidecar.call_if_there(&Stop { timeout }).await {
            Ok(Some(_)) => {
                let mut phase = self.phase.subscribe();
                let is_told = phase.wait_for(|phase| {
                    !matches!(phase, Phase::Running | Phase::Stopping | Phase::Waiting)
                });
                // The monday-run may be ended now: how the app ended is told before that.
                let _ = tokio::time::timeout(TOLD_WITHIN, is_told).await;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(app = self.app.name, %error, "the app could not be stopped by request");
            }
        }
        self.start.send_replace(None);
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
                    if let Some(port) = complained_about(&output, expected(&self.app)) {
                        self.tell_who_has(port);
                    }
                    self.state.output(&self.app.name, output).await;
                }
                News::Event(Event::State(run)) => {
                    self.changed(run);
                    // Output goes a shorter way: what comes behind this shall not be shown before it.
                    self.state.settled().await;
                }
                News::Event(Event::Ready { .. }) | News::Refused(..) | News::Granted(_) => {}
                News::Lagged(dropped) => self.state.notice(
                    Level::Warning,
                    Some(self.app.name.clone()),
                    format!("{dropped} lines of its output were lost"),
                ),
                News::Died => {
                    if self.sidecar.has_wish() {
                        self.state.app_restarted(&self.app.name);
                        let dead = RunState {
                            phase: Phase::Waiting,
                            reason: Some("its monday-run died".to_owned()),
                            ..RunState::default()
                        };
                        self.state.app(&self.app.name, dead);
                    }
                }
            }
        }
    }

    /// Says who has a port that the app found taken.
    fn tell_who_has(&self, port: u16) {
        let (state, app) = (self.state.clone(), self.app.name.clone());
        // All processes of the machine are looked at for it.
        tokio::task::spawn_blocking(move || {
            if let Some(sentence) = who_has(port) {
                state.notice(Level::Error, Some(app), sentence);
            }
        });
    }

    fn changed(&self, run: RunState) {
        // A monday-run that dies is told to start the app again if it ran, and only then: the wish follows the state.
        self.sidecar.wish(match run.phase {
            Phase::Running | Phase::Waiting => self.start.borrow().clone(),
            _ => None,
        });
        let progress = Progress::of(&run);
        let phase = run.phase;
        self.state.app(&self.app.name, run);
        self.phase.send_replace(phase);
        // Last: whoever waits for it finds the state as it is.
        self.board.set(&self.app.name, progress);
    }

    fn failed(&self, why: String) {
        self.changed(RunState {
            phase: Phase::Failed,
            reason: Some(why),
            ..RunState::default()
        });
    }
}
