//! What the supervisor answers on its own control socket.

use std::sync::Arc;

use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::supervisor::{Methods, ProjectStatus, Restart, Restarted, Status};

use crate::state::State;
use crate::wiring::app::{Apps, Guardian};

/// The control of a running project.
#[derive(Debug)]
pub struct Control {
    /// How everything is.
    pub state: State,
    /// The apps.
    pub apps: Arc<Apps>,
}

impl Control {
    fn app(&self, name: &str) -> Result<&Arc<Guardian>, RpcError> {
        self.apps.get(name).ok_or_else(|| {
            let mut names: Vec<&str> = self.apps.keys().map(String::as_str).collect();
            names.sort_unstable();
            let known = if names.is_empty() {
                "the project has no apps".to_owned()
            } else {
                format!("the apps are: {}", names.join(", "))
            };
            RpcError::new(
                ErrorKind::NotFound,
                format!("there is no app `{name}`; {known}"),
            )
        })
    }
}

impl Methods for Control {
    async fn status(&self, _: Status) -> Result<ProjectStatus, RpcError> {
        Ok(self.state.status().await)
    }

    async fn restart(&self, params: Restart) -> Result<Restarted, RpcError> {
        // All names are known before anything is done.
        let guardians: Vec<&Arc<Guardian>> = params
            .names
            .iter()
            .map(|name| self.app(name))
            .collect::<Result<_, _>>()?;
        for guardian in guardians {
            guardian.restart().await?;
        }
        let status = self.state.status().await;
        let asked = |name: &String| params.names.contains(name);
        Ok(Restarted {
            apps: status
                .apps
                .into_iter()
                .filter(|app| asked(&app.name))
                .collect(),
        })
    }
}
