//! What the supervisor answers on its own control socket.

use std::collections::HashMap;
use std::sync::Arc;

use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::supervisor::{
    AppStatus, Methods, ProjectStatus, Restart, Restarted, Status,
};

use crate::state::State;
use crate::wiring::pipeline::{AppHandle, Apps};

/// The control of a running project.
#[derive(Debug)]
pub struct Control {
    /// How everything is.
    pub state: State,
    /// The apps.
    pub apps: Arc<Apps>,
}

impl Control {
    fn app(&self, name: &str) -> Result<&AppHandle, RpcError> {
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
        let apps: Vec<(&String, &AppHandle)> = params
            .names
            .iter()
            .map(|name| Ok((name, self.app(name)?)))
            .collect::<Result<_, RpcError>>()?;
        let mut restarted = HashMap::new();
        for (name, app) in apps {
            restarted.insert(name.as_str(), app.restart().await?);
        }
        // The events that tell the same may be still on their way, so the state is what was replied.
        let apps = self.state.status().await.apps;
        let asked = apps.into_iter().filter_map(|app| {
            let state = restarted.get(app.name.as_str())?.clone();
            Some(AppStatus { state, ..app })
        });
        Ok(Restarted {
            apps: asked.collect(),
        })
    }
}
