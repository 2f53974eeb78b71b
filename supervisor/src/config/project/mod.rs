//! A project as it was declared, checked: every name unique, every port a port, every reference to something that exists.
//!
//! The globals of the files (their default environment, their apps and forwards) are part of it already, and paths are
//! expanded. What is left to do is in no file: that is [`crate::plan`].

pub mod app;
pub mod forward;

use std::path::PathBuf;

pub use super::model::Hosts;

pub use app::{
    App, Condition, Dependency, FileSpec, Monitoring, Probe, ProbeKind, Restart, RestartPolicy,
    Section, Stop, Watch,
};
pub use forward::{
    Cluster, Forward, ForwardKind, Options, Pair, RemotePort, Ssh, Transport, Workload,
};

/// One project, ready to be planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// What the files say for all of their projects.
    pub settings: Settings,
    /// The local apps, in the order of the files.
    pub apps: Vec<App>,
    /// The forwards, in the order of the files.
    pub forwards: Vec<Forward>,
}

/// What the files say for all of their projects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `GOPATH` of every app.
    pub gopath: Option<String>,
    /// Which kubeconfig to use instead of the usual one.
    pub kubeconfig: Option<PathBuf>,
    /// Where host names are put.
    pub hosts: Hosts,
    /// The Kubernetes contexts in which a workload may be replaced; nothing: all but those that look like production.
    pub allow_remote: Option<Vec<String>>,
}
