//! What `~/.ssh/config`, `/etc/ssh/ssh_config` and the arguments of ssh(1) say about a host (`ssh_config(5)`).

#[cfg(test)]
mod anything_tests;
#[cfg(test)]
mod compare_tests;
mod expand;
mod keys;
mod line;
mod pattern;
mod settings;
mod walk;
mod world;

pub(super) use expand::{Tokens, tilde};
pub(super) use pattern::{matches, matches_list};
pub(super) use settings::{Agent, Check, Family, Proxy, Settings};
pub(super) use walk::{ConfigError, Ignored, Query, World};
pub(super) use world::{System, query};

use std::path::PathBuf;

use super::args::{Args, File};
use line::Line;
use walk::{Collected, host_name, walk};

/// Where the system's file is.
const SYSTEM_FILE: &str = "/etc/ssh/ssh_config";

/// What applies to a host.
///
/// # Errors
/// [`ConfigError`] for the first line that makes no sense.
pub(super) fn resolve(
    args: &Args,
    query: &Query,
    world: &impl World,
) -> Result<Settings, ConfigError> {
    let mut collected = Collected::default();
    for (place, text) in args.directives() {
        let line = line::read(&text).map_err(|reason| ConfigError {
            place: place.clone(),
            reason: reason.to_owned(),
        })?;
        if let Some(line) = line {
            collected.take(line, &place)?;
        }
    }
    let files: Vec<(PathBuf, bool)> = match &args.file {
        File::Usual => vec![
            (query.home.join(".ssh/config"), false),
            (SYSTEM_FILE.into(), false),
        ],
        File::This(path) => vec![(tilde(path, &query.home).into(), true)],
        File::None => vec![],
    };
    let collected = walk(query, &files, collected, world)?;
    settings::of(query, &collected, world)
}

/// What percent signs stand for, as far as it is known.
fn tokens(query: &Query, collected: &Collected) -> Tokens {
    let host = host_name(query, collected);
    let port = collected.first("port").and_then(|port| port.parse().ok());
    Tokens {
        key_alias: collected.first("hostkeyalias").unwrap_or(&host).to_owned(),
        host,
        original_host: query.host.clone(),
        port: port.unwrap_or(settings::PORT),
        user: collected
            .first("user")
            .unwrap_or(&query.local_user)
            .to_owned(),
        local_user: query.local_user.clone(),
        home: query.home.display().to_string(),
        uid: query.uid,
        local_host: query.local_host.clone(),
        jump: collected.first("proxyjump").unwrap_or_default().to_owned(),
    }
}

/// A directive of the command line.
fn directive(keyword: &str, value: &str) -> Line {
    Line {
        keyword: keyword.to_owned(),
        arguments: vec![value.to_owned()],
        rest: value.to_owned(),
    }
}
