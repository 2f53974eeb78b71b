//! Where the variables of a process come from, and which one wins.
//!
//! Last wins: the process's own environment, what holds for all apps (`GOPATH`, the addresses of the project), the
//! files' global section, the app's section, the app's `env_file`. The first is not here: a child inherits it.

use std::io;
use std::path::PathBuf;

use super::Step;
use crate::config::env_file;
use crate::config::project::Settings;

/// One variable: its name and its value.
pub type Variable = (String, String);

/// An `env_file` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It cannot be read.
    #[error("cannot read the env_file {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no env file.
    #[error("{}:{}: {}", path.display(), error.line, error.reason)]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where and why.
        error: env_file::Error,
    },
}

/// What every app gets from the settings.
pub(super) fn of_all_apps(settings: &Settings) -> Vec<Variable> {
    let gopath = settings.gopath.as_ref();
    gopath
        .map(|value| ("GOPATH".to_owned(), value.clone()))
        .into_iter()
        .collect()
}

impl Step {
    /// What to add to the process's own environment, each name once.
    ///
    /// `common` is what every app of the project gets; `texts` are those of the `env_files`, in their order.
    ///
    /// # Errors
    /// An `env_file` that cannot be read or understood: the step cannot run, other apps can.
    pub fn environment(
        &self,
        common: &[Variable],
        texts: impl IntoIterator<Item = io::Result<String>>,
    ) -> Result<Vec<Variable>, EnvFileError> {
        let mut layers = vec![common.to_vec(), self.env.clone()];
        for (path, text) in self.env_files.iter().zip(texts) {
            let text = text.map_err(|source| EnvFileError::Unreadable {
                path: path.clone(),
                source,
            })?;
            layers.push(
                env_file::parse(&text).map_err(|error| EnvFileError::Malformed {
                    path: path.clone(),
                    error,
                })?,
            );
        }
        Ok(last_wins(layers.into_iter().flatten()))
    }
}

/// Each name once, where it first was, with its last value.
fn last_wins(variables: impl Iterator<Item = Variable>) -> Vec<Variable> {
    let mut merged = indexmap::IndexMap::new();
    merged.extend(variables);
    merged.into_iter().collect()
}
