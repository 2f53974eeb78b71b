//! Starts the sidecars of a project, each with a socket of its own in the project's folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::run;
use monday_shared::socket::runtime_dir::file_name;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::error::Error;
use crate::plan::App;
use crate::sidecar::keeper::{News, Sidecar, Surroundings};
use crate::sidecar::launch::Launch;
use crate::sidecar::locate::Locator;
use crate::sidecar::nursery::Nursery;
use crate::sidecar::wish::Wish;
use crate::state::State;
use crate::wiring::app::Guardian;
use crate::wiring::progress::Board;

/// Starts sidecars.
#[derive(Debug)]
pub(super) struct Starter {
    locator: Locator,
    folder: PathBuf,
    surroundings: Surroundings,
}

impl Starter {
    pub(super) fn new(folder: &Path, nursery: Nursery, state: State) -> Self {
        Self {
            locator: Locator::from_env(),
            folder: folder.to_owned(),
            surroundings: Surroundings { nursery, state },
        }
    }

    /// What to start: an executable, and for a monday-run whose guardian it is.
    pub(super) fn launch(&self, name: &'static str, app: Option<String>) -> Result<Launch, Error> {
        let short = name.trim_start_matches("monday-");
        let socket = match &app {
            Some(app) => file_name(&format!("{short}-{app}")),
            None => short.to_owned(),
        };
        Ok(Launch {
            name,
            executable: self.locator.find(name)?,
            socket: self.folder.join(format!("{socket}.sock")),
            app,
            escalation: None,
            args: Vec::new(),
            hidden: &[],
        })
    }

    /// Looks whether these apps can be guarded.
    ///
    /// # Errors
    /// There is no monday-run.
    pub(super) fn check_guards(&self, apps: &HashSet<String>) -> Result<(), Error> {
        if !apps.is_empty() {
            self.locator.find(run::NAME)?;
        }
        Ok(())
    }

    /// Starts the monday-run of an app and keeps it alive.
    pub(super) fn guard(&self, app: &App, board: &Arc<Board>) -> Result<Arc<Guardian>, Error> {
        let mut launch = self.launch(run::NAME, Some(app.name.clone()))?;
        // Its last lines are kept here, together with those of its steps.
        launch.args = ["--history", "0", "--name", &app.name]
            .map(Into::into)
            .into();
        let (sidecar, news) = self.keep(launch, Bulk::Lossless);
        let state = self.surroundings.state.clone();
        let guardian = Arc::new(Guardian::new(
            app.clone(),
            sidecar,
            state,
            Arc::clone(board),
        ));
        tokio::spawn({
            let guardian = Arc::clone(&guardian);
            async move { guardian.watch(news).await }
        });
        Ok(guardian)
    }

    /// What to start for a step of an app; it does one at a time.
    pub(super) fn launch_step(&self, app: &str) -> Result<Launch, Error> {
        self.launch(run::NAME, Some(format!("{app}:step")))
    }

    /// Starts it and keeps it alive.
    pub(super) fn keep<W, E>(
        &self,
        launch: Launch,
        bulk: Bulk,
    ) -> (Sidecar<W>, mpsc::Receiver<News<E>>)
    where
        W: Wish,
        W::Reply: Send,
        E: DeserializeOwned + Send + 'static,
    {
        Sidecar::keep(launch, bulk, self.surroundings.clone())
    }
}
