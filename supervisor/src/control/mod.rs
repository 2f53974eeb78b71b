//! What the supervisor answers on its own control socket. Everything that a person can do with a running project goes
//! through here, whether a view or a script asks for it.

mod names;
mod traffic;
mod usage;
mod waiting;

pub(crate) use waiting::wait;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use monday_shared::protocol::common::Done;
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::run::Phase;
use monday_shared::protocol::supervisor::{
    AppStatus, Apps, Forwards, Methods, ProjectStatus, Reconnect, Reload, Reloaded, Restart,
    Signal, Start, Status, Stop, Switch, Wait,
};
use tokio::task::JoinSet;

use crate::session::Session;
use crate::wiring::pipeline::AppHandle;

/// The control of a running project.
#[derive(Debug)]
pub struct Control {
    /// The project.
    pub session: Arc<Session>,
}

impl Control {
    /// The apps of these names, all of them where none is named. All names are known before anything is done.
    fn apps(&self, asked: &[String]) -> Result<Vec<(String, AppHandle)>, RpcError> {
        let apps = self.session.apps();
        let names = names::chosen(asked, self.session.app_names(), "app")?;
        let found = names.into_iter().filter_map(|name| {
            let app = apps.get(&name)?;
            Some((name, app))
        });
        Ok(found.collect())
    }

    async fn apps_now(&self, names: &HashSet<String>) -> Vec<AppStatus> {
        let apps = self.session.state().status().await.apps;
        apps.into_iter()
            .filter(|app| names.contains(&app.name))
            .collect()
    }
}

impl Methods for Control {
    async fn status(&self, params: Status) -> Result<ProjectStatus, RpcError> {
        let mut status = self.session.state().status().await;
        if !params.names.is_empty() {
            let mut known = self.session.app_names();
            known.extend(self.session.forward_names());
            let names = names::chosen(&params.names, known, "app or forward")?;
            status.apps.retain(|app| names.contains(&app.name));
            status
                .forwards
                .retain(|forward| names.contains(&forward.name));
        }
        if params.traffic {
            traffic::add(&self.session, &mut status).await;
        }
        if params.usage {
            usage::add(&mut status).await;
        }
        Ok(status)
    }

    async fn restart(&self, params: Restart) -> Result<Apps, RpcError> {
        let mut under_way = JoinSet::new();
        for (name, app) in self.apps(&params.names)? {
            under_way.spawn(async move { (name, app.restart().await) });
        }
        let mut restarted = HashMap::new();
        while let Some(done) = under_way.join_next().await {
            match done {
                Ok((name, state)) => {
                    restarted.insert(name, state?);
                }
                Err(error) => return Err(RpcError::new(ErrorKind::Internal, error.to_string())),
            }
        }
        // The events that tell the same may be still on their way, so the state is what was replied.
        let apps = self.session.state().status().await.apps;
        let asked = apps.into_iter().filter_map(|app| {
            let state = restarted.get(&app.name)?.clone();
            // One that never came up begins again from its dependencies: nothing was replied about its process.
            let state = if state.phase == Phase::Idle {
                app.state.clone()
            } else {
                state
            };
            Some(AppStatus { state, ..app })
        });
        Ok(Apps {
            apps: asked.collect(),
        })
    }

    async fn start(&self, params: Start) -> Result<Apps, RpcError> {
        let mut names = HashSet::new();
        let mut under_way = JoinSet::new();
        for (name, app) in self.apps(&params.names)? {
            names.insert(name);
            under_way.spawn(async move { app.start_again().await });
        }
        for started in under_way.join_all().await {
            started?;
        }
        self.session.state().settled().await;
        Ok(Apps {
            apps: self.apps_now(&names).await,
        })
    }

    async fn stop(&self, params: Stop) -> Result<Apps, RpcError> {
        let apps = self.apps(&params.names)?;
        let names: HashSet<String> = apps.into_iter().map(|(name, _)| name).collect();
        self.session.halt(&names, params.timeout).await;
        self.session.state().settled().await;
        Ok(Apps {
            apps: self.apps_now(&names).await,
        })
    }

    async fn signal(&self, params: Signal) -> Result<Done, RpcError> {
        if params.names.is_empty() {
            return Err(RpcError::invalid_params(
                "signal",
                "name at least one app in `names`",
            ));
        }
        for (name, app) in self.apps(&params.names)? {
            app.signal(params.signal.clone())
                .await
                .map_err(|mut error| {
                    error.message = format!("{name}: {}", error.message);
                    error
                })?;
        }
        Ok(Done {})
    }

    async fn reconnect(&self, params: Reconnect) -> Result<Forwards, RpcError> {
        let names = names::chosen(&params.names, self.session.forward_names(), "forward")?;
        for name in &names {
            self.session.reconnect(name).await?;
        }
        self.session.state().settled().await;
        let forwards = self.session.state().status().await.forwards;
        Ok(Forwards {
            forwards: forwards
                .into_iter()
                .filter(|forward| names.contains(&forward.name))
                .collect(),
        })
    }

    async fn reload(&self, _: Reload) -> Result<Reloaded, RpcError> {
        self.session.reload().await
    }

    async fn switch(&self, params: Switch) -> Result<Reloaded, RpcError> {
        Arc::clone(&self.session)
            .switch(params.name, params.to)
            .await
    }

    async fn wait(&self, params: Wait) -> Result<ProjectStatus, RpcError> {
        wait(&self.session, params).await
    }
}
