//! `setup`, `build` and `run`: commands with their environment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::either::FromCommands;
use super::env::Env;
use super::list::{List, one_or_many};
use super::scalar::Text;

/// Commands that run when the app's `path` does not exist, in monday's own working directory. A command or a list of
/// commands may stand in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map with `commands`")]
pub struct Setup {
    /// Run in order, in one shell; the first that fails ends it.
    #[serde(alias = "command", skip_serializing_if = "List::is_empty")]
    pub commands: List<Text>,
    /// Variables.
    #[serde(skip_serializing_if = "Env::is_empty")]
    pub env: Env,
    /// Files of more variables (dotenv), which win over `env`.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub env_file: List<Text>,
}

/// Commands that run before the app is started, and again after a change. A command or a list of commands may stand in
/// its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map with `commands`")]
pub struct Build {
    /// `command`; there is no other type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Text>,
    /// The working directory; default: the app's `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Text>,
    /// Run in order, in one shell; the first that fails ends it.
    #[serde(alias = "command", skip_serializing_if = "List::is_empty")]
    pub commands: List<Text>,
    /// Variables.
    #[serde(skip_serializing_if = "Env::is_empty")]
    pub env: Env,
    /// Files of more variables (dotenv), which win over `env`.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub env_file: List<Text>,
}

/// The app itself. A command or a list of commands may stand in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map with `command`")]
pub struct Run {
    /// The command; it reaches `/bin/sh` as it is written.
    #[serde(serialize_with = "one_or_many", skip_serializing_if = "List::is_empty")]
    pub command: List<Text>,
    /// More commands, run after `command` in the same shell; the first that fails ends it.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub commands: List<Text>,
    /// The working directory; default: the app's `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Text>,
    /// Variables.
    #[serde(skip_serializing_if = "Env::is_empty")]
    pub env: Env,
    /// Files of more variables (dotenv), which win over `env`.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub env_file: List<Text>,
    /// Run before the app is asked to stop.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub stop_commands: List<Text>,
}

/// Defaults of a section, for every app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map with `env`")]
pub struct Defaults {
    /// Variables; those of an app win.
    #[serde(skip_serializing_if = "Env::is_empty")]
    pub env: Env,
}

/// What every watch leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a map with `exclude`")]
pub struct WatchDefaults {
    /// Names and patterns, added to `.git`, `node_modules`, `vendor` and `target`.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub exclude: List<Text>,
}

impl FromCommands for Setup {
    fn from_commands(commands: List<Text>) -> Self {
        Self {
            commands,
            ..Self::default()
        }
    }
}

impl FromCommands for Build {
    fn from_commands(commands: List<Text>) -> Self {
        Self {
            commands,
            ..Self::default()
        }
    }
}

impl FromCommands for Run {
    fn from_commands(command: List<Text>) -> Self {
        Self {
            command,
            ..Self::default()
        }
    }
}
