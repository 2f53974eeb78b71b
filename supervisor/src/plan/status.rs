//! What a plan looks like before anything of it is true.

use monday_shared::protocol::supervisor::{AppStatus, ForwardStatus, ProjectStatus};

use super::Plan;

impl Plan {
    /// Everything as it is before the first process runs; `pid` is the supervisor's.
    #[must_use]
    pub fn initial_status(&self, pid: u32) -> ProjectStatus {
        ProjectStatus {
            project: self.project.clone(),
            pid,
            names: false,
            private_names: false,
            apps: self
                .apps
                .iter()
                .map(|app| AppStatus {
                    name: app.name.clone(),
                    hostname: app.hostname.clone(),
                    ..AppStatus::default()
                })
                .collect(),
            forwards: self
                .forwards
                .iter()
                .map(|forward| ForwardStatus {
                    name: forward.name.clone(),
                    kind: forward.kind.name().to_owned(),
                    hostname: forward.hostname.clone(),
                    routes: Vec::new(),
                    tunnels: Vec::new(),
                    error: None,
                })
                .collect(),
            sidecars: Vec::new(),
        }
    }
}
