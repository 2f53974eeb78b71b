//! What has to be true while a project runs: pure data, made from a checked project without any I/O.
//!
//! [`plan()`] decides; the wiring makes it true. Everything that a restarted sidecar has to be told again is here, so
//! that it can be told again.

pub mod app;
pub mod command;
pub mod difference;
pub mod environment;
pub mod forward;
pub mod hostname;
pub mod route;
mod status;
pub mod tunnel;

use std::path::Path;

use crate::config::project::{Project, Settings};

pub use app::{App, Step};
pub use forward::Forward;
pub use hostname::Hostname;
pub use route::{Listen, Route, Target};
pub use tunnel::Tunnel;

/// What has to be true while a project runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The project's name.
    pub project: String,
    /// What the files say for all of their projects.
    pub settings: Settings,
    /// Variables of every step of every app, after the process's own and before the app's: `GOPATH`, if it is set.
    pub env: Vec<(String, String)>,
    /// The host names that get an address; no name twice.
    pub hostnames: Vec<Hostname>,
    /// What listens for the forwards; no id twice.
    pub routes: Vec<Route>,
    /// What the forwards lead through; no id twice.
    pub tunnels: Vec<Tunnel>,
    /// The forwards, in the order of the files: those that work and those that do not yet.
    pub forwards: Vec<Forward>,
    /// The apps, in the order of the files, without those that are disabled.
    pub apps: Vec<App>,
    /// What was left out because something else was chosen: what, and why.
    pub notes: Vec<(String, String)>,
}

impl Plan {
    /// Whether nothing of the project can run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.tunnels.is_empty() && self.apps.is_empty()
    }

    /// Every name that stands before a line of output: the apps' and their steps'.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let mut labels = Vec::new();
        for app in &self.apps {
            let steps = [(&app.setup, "setup"), (&app.build, "build")];
            let steps = steps.iter().filter(|(step, _)| step.is_some());
            labels.extend(steps.map(|(_, step)| format!("{}:{step}", app.name)));
            labels.push(app.name.clone());
        }
        labels
    }

    /// Every process of every app shall see this file in the place of `/etc/hosts`.
    pub fn see_hosts(&mut self, file: &Path) {
        self.see_hosts_in(file, |_| true);
    }

    /// Every process of these apps shall see this file in the place of `/etc/hosts`.
    pub fn see_hosts_in(&mut self, file: &Path, which: impl Fn(&App) -> bool) {
        let apps = self.apps.iter_mut().filter(|app| which(app));
        for step in apps.flat_map(App::steps_mut) {
            step.hosts_file = Some(file.to_owned());
        }
    }

    /// The lowest port below 1024 that is listened on at the address of a host name.
    #[must_use]
    pub fn low_port(&self) -> Option<u16> {
        let low = self.routes.iter().filter(|route| route.listen.is_low());
        low.map(|route| route.listen.port).min()
    }

    /// The routes of a forward, in the order of its ports.
    pub fn routes_of<'a>(&'a self, forward: &'a str) -> impl Iterator<Item = &'a Route> {
        self.routes
            .iter()
            .filter(move |route| route.forward == forward)
    }

    /// The tunnels of a forward, in the order of its ports.
    pub fn tunnels_of<'a>(&'a self, forward: &'a str) -> impl Iterator<Item = &'a Tunnel> {
        self.tunnels
            .iter()
            .filter(move |tunnel| tunnel.forward == forward)
    }
}

/// Decides what has to be true while this project runs.
#[must_use]
pub fn plan(project: &Project) -> Plan {
    let forwards: Vec<Forward> = project.forwards.iter().map(Forward::of).collect();
    let apps: Vec<App> = project
        .apps
        .iter()
        .filter(|app| !app.disabled)
        .map(App::of)
        .collect();
    Plan {
        project: project.name.clone(),
        settings: project.settings.clone(),
        env: environment::of_all_apps(&project.settings),
        hostnames: hostname::all(&apps, &forwards),
        routes: forwards.iter().flat_map(route::of).collect(),
        tunnels: forwards
            .iter()
            .flat_map(|forward| tunnel::of(forward, &project.settings))
            .collect(),
        notes: Vec::new(),
        forwards,
        apps,
    }
}
