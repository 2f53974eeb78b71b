//! The keys of the files, as types: what may be written, before anything of it is checked or merged.
//!
//! These types are the only list of keys that there is. The reader types the tree with them, the JSON schema for editors
//! and the known keys of "did you mean" come from them, and `config PROJECT` writes them.

pub mod app;
pub mod depends;
pub mod either;
pub mod env;
pub mod forward;
pub mod list;
pub mod scalar;
pub mod section;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use app::App;
pub use either::Either;
pub use env::Env;
pub use forward::Forward;
pub use list::List;
pub(super) use scalar::no_word;
use scalar::words;
pub use scalar::{Count, Flag, Text, Time};
pub use section::{Build, Defaults, Run, Setup, WatchDefaults};

/// A configuration of monday: all of its files together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map with `projects`")]
pub struct Config {
    /// GOPATH of every app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gopath: Option<Text>,
    /// The kubeconfig to use instead of the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<Text>,
    /// Defaults of every app's `setup`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup: Option<Defaults>,
    /// Defaults of every app's `build`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Defaults>,
    /// Defaults of every app's `run`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Defaults>,
    /// Defaults of every app's `watch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchDefaults>,
    /// Where host names are put. Default: `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Hosts>,
    /// The only Kubernetes contexts in which a workload may be replaced. Default: all whose name contains neither `prod`
    /// nor `live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_remote: Option<List<Text>>,
    /// Apps that are put before those of every project.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub local: List<App>,
    /// Forwards that are put before those of every project.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub forward: List<Forward>,
    /// The projects.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub projects: List<Project>,
}

words! {
    /// Where host names are put.
    #[derive(Default)]
    Hosts, "a place for host names" {
        /// The machine's hosts file where it can be written, else nowhere.
        #[default]
        Auto = "auto",
        /// The machine's hosts file.
        System = "system",
        /// Only the apps of the project see them.
        Private = "private",
    }
}

/// A project: what runs together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map that describes a project")]
pub struct Project {
    /// Unique over all files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The apps that run on this machine.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub local: List<App>,
    /// The forwards.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub forward: List<Forward>,
}
