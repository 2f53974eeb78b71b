//! How monday-ipalias is started: as the user that we are, or, where that is not enough, as root through sudo or doas. It
//! is the only piece that is ever started so.
//!
//! ```text
//! Query (what the project needs) -> facts (what this machine allows) -> decide -> prepare (asks for the password) -> Settled
//! ```
//!
//! [`decide()`](decide::decide) is a pure function of what is known; [`facts`] finds that out, and asks neither sudo nor doas
//! unless something needs them; [`prepare`] asks for the password, on the terminal and before anything else is shown there.
//! A password never passes through us. [`settle`] does all of it in this order, and is what a session calls:
//!
//! - [`Settled::prefix`] are the words to put before the path of monday-ipalias. Such a start never asks: should it be
//!   started again after sudo has forgotten the password, it fails at once, and goes on without.
//! - [`Settled::names`] says where the host names go, which decides how monday-ipalias and the apps are started.
//! - [`Settled::warning`] is the one line that a user reads where something had to be left out.
//!
//! Through sudo or doas monday-ipalias takes no `--hosts-file`, and its control socket has to be in a folder of mode 0700
//! of the user's own, as every project's folder is. Where we are root ourselves, [`CALLER_VARIABLES`] have to be taken from
//! its environment: otherwise it serves whoever opened the root shell that we were started from.

pub mod decide;
pub mod facts;
pub mod prepare;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::config::project::Hosts;
use decide::{Decision, Names, decide};

/// By these variables monday-ipalias recognises who called it through sudo, doas or pkexec.
pub const CALLER_VARIABLES: [&str; 6] = [
    "SUDO_UID",
    "SUDO_GID",
    "SUDO_USER",
    "SUDO_COMMAND",
    "DOAS_USER",
    "PKEXEC_UID",
];

/// `--escalate`: how monday-ipalias may become root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Wish {
    /// Where it is needed: whichever of the two needs no password, else sudo
    #[default]
    Auto,
    /// Through sudo, where it is needed
    Sudo,
    /// Through doas, where it is needed
    Doas,
    /// Never: without names and ports below 1024, where that takes root
    None,
}

/// What a project needs of monday-ipalias, and what the user wants.
#[derive(Clone, Debug)]
pub struct Query {
    /// `--escalate`.
    pub wish: Wish,
    /// Where the configuration wants host names to be.
    pub hosts: Hosts,
    /// The hosts file that is meant.
    pub hosts_file: PathBuf,
    /// Whether the project has host names.
    pub has_names: bool,
    /// The lowest port that is listened on for the project, if it is below 1024.
    pub low_port: Option<u16>,
    /// The executable of monday-ipalias, by its absolute path.
    pub helper: PathBuf,
    /// Whether a password may be asked for now, on the terminal: not while a project runs.
    pub may_ask: bool,
}

/// How monday-ipalias is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The words before its path; none where it is started as it is.
    pub prefix: Vec<OsString>,
    /// Where host names go.
    pub names: Names,
    /// What a user should know, in one line.
    pub warning: Option<String>,
    /// Why it is not started as root, where that is missed.
    pub no_root: Option<String>,
}

/// Finds out, decides and asks. Blocks while a password is being typed, so it is called before anything is shown.
#[must_use]
pub fn settle(query: &Query) -> Settled {
    let facts = facts::gather(query);
    let Decision {
        escalation,
        names,
        otherwise,
        warning,
        no_root,
    } = decide(query, &facts);
    match prepare::prepare(&escalation, &query.helper) {
        Ok(prefix) => Settled {
            prefix,
            names,
            warning,
            no_root,
        },
        Err(refused) => {
            let why = refused.to_string();
            Settled {
                prefix: Vec::new(),
                names: otherwise,
                warning: Some(decide::went_on_without(query, &facts, otherwise, &why)),
                no_root: Some(why),
            }
        }
    }
}

impl Settled {
    /// Whether monday-ipalias is started as root by somebody who is not.
    #[must_use]
    pub fn escalates(&self) -> bool {
        !self.prefix.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    /// Makes a shell script that can be run. Another process writes it: a file that a child of another test still has
    /// open for writing could not be run.
    pub(crate) fn program(path: &Path, script: &str) {
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let written = Command::new("sh")
            .args(["-c", write])
            .arg(path)
            .arg(script)
            .status()
            .unwrap();
        assert!(written.success());
    }

    pub(crate) fn query(folder: &Path, hosts_file: &Path) -> Query {
        Query {
            wish: Wish::Auto,
            hosts: Hosts::Auto,
            hosts_file: hosts_file.to_owned(),
            has_names: true,
            low_port: None,
            helper: folder.join("monday-ipalias"),
            may_ask: true,
        }
    }

    #[test]
    fn where_nothing_is_needed_the_helper_is_started_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let hosts_file = folder.path().join("hosts");
        fs::write(&hosts_file, "").unwrap();
        let settled = settle(&query(folder.path(), &hosts_file));
        assert!(!settled.escalates());
        assert_eq!(settled.names, Names::System);
        assert_eq!(settled.warning, None);
    }
}
