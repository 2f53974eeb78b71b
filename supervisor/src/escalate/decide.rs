//! The decision, of what is known.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Query, Wish};
use crate::config::project::Hosts;

/// The file that every program asks.
const SYSTEM_FILE: &str = "/etc/hosts";

/// What this machine allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether we are root.
    pub is_root: bool,
    /// Whether we may write the hosts file.
    pub hosts_writable: bool,
    /// Why nobody can write the hosts file, root included, if that is so.
    pub hosts_fixed: Option<&'static str>,
    /// Whether we may bind the project's low port.
    pub low_port_allowed: bool,
    /// sudo.
    pub sudo: Tool,
    /// doas.
    pub doas: Tool,
    /// Whether there is a terminal on which somebody can be asked now.
    pub terminal: bool,
    /// Whether apps can have hosts files of their own; if not, why.
    pub private: Result<(), String>,
}

/// A way to become root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// It was not looked for, or it is not installed.
    #[default]
    Missing,
    /// It starts monday-ipalias without a password.
    Silent(PathBuf),
    /// It would ask for a password, or refuse.
    Asks(PathBuf),
}

/// Where host names go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Into the hosts file: every program on the machine sees them.
    System,
    /// Into a file that only the project's apps see as their hosts file.
    Private,
    /// Nowhere: addresses work, names do not.
    Nowhere,
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Private => "private",
            Self::Nowhere => "nowhere",
        })
    }
}

/// How monday-ipalias is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Escalation {
    /// As the user that we are.
    Plain,
    /// As root.
    Through {
        /// sudo or doas, by its path.
        tool: PathBuf,
        /// Whether sudo has to ask for the password first.
        ask: bool,
    },
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How monday-ipalias is started.
    pub escalation: Escalation,
    /// Where host names go then.
    pub names: Names,
    /// Where they go if it cannot be started so.
    pub otherwise: Names,
    /// What has to be left out, in one line.
    pub warning: Option<String>,
    /// Why nothing is started as root, where that is missed.
    pub no_root: Option<String>,
}

/// What root's rights would be for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    /// To write names into the hosts file.
    pub names: bool,
    /// To bind the low port.
    pub low_port: bool,
}

impl Lacking {
    /// What the project needs and we may not do.
    #[must_use]
    pub fn of(query: &Query, is_root: bool, hosts_writable: bool, low_port_allowed: bool) -> Self {
        Self {
            names: query.has_names && query.hosts != Hosts::Private && !is_root && !hosts_writable,
            low_port: query.low_port.is_some() && !is_root && !low_port_allowed,
        }
    }

    /// Whether anything is lacking.
    #[must_use]
    pub fn any(self) -> bool {
        self.names || self.low_port
    }
}

/// Why root is not asked for anything, whatever is lacking. Names that only apps see take no rights, and since root would
/// put them where everybody sees them, it is not asked for ports either then.
#[must_use]
pub fn never(query: &Query, hosts_fixed: Option<&str>) -> Option<String> {
    if !query.has_names {
        return None;
    }
    let file = query.hosts_file.display();
    match (query.hosts, hosts_fixed) {
        (Hosts::Private, _) => Some("with `hosts: private` nothing becomes root".to_owned()),
        (_, Some(why)) => Some(format!("nobody can write {file}, root included ({why})")),
        _ if query.hosts_file != Path::new(SYSTEM_FILE) => Some(format!(
            "with `--hosts-file {file}` nothing becomes root, which writes {SYSTEM_FILE} only"
        )),
        _ => None,
    }
}

/// Decides how monday-ipalias is started and where names go.
#[must_use]
pub fn decide(query: &Query, facts: &Facts) -> Decision {
    let lacking = Lacking::of(
        query,
        facts.is_root,
        facts.hosts_writable,
        facts.low_port_allowed,
    );
    let names = without_rights(query, facts);
    let plain = Decision {
        escalation: Escalation::Plain,
        names,
        otherwise: names,
        warning: None,
        no_root: None,
    };
    let never = never(query, facts.hosts_fixed);
    let names_are_missed = lacking.names || query.has_names && facts.hosts_fixed.is_some();
    if lacking.any() && never.is_none() {
        return match escalation(query, facts) {
            Ok(escalation) => Decision {
                escalation,
                names: Names::System,
                ..plain
            },
            Err(why) => Decision {
                warning: Some(went_on_without(query, facts, names, &why)),
                no_root: Some(why),
                ..plain
            },
        };
    }
    let left_out = LeftOut {
        names: names_are_missed.then_some(names),
        low_port: query.low_port.filter(|_| lacking.low_port),
        is_root: facts.is_root,
    };
    let warnings = [
        no_private_file(query, facts, names),
        left_out
            .in_words()
            .zip(never.as_ref())
            .map(|(what, why)| format!("{what}, because {why}")),
    ];
    let warnings: Vec<String> = warnings.into_iter().flatten().collect();
    Decision {
        warning: (!warnings.is_empty()).then(|| warnings.join("; ")),
        no_root: never.filter(|_| lacking.low_port),
        ..plain
    }
}

/// Where names go with the rights that we have.
fn without_rights(query: &Query, facts: &Facts) -> Names {
    let writable = facts.hosts_fixed.is_none() && (facts.is_root || facts.hosts_writable);
    let private = if facts.private.is_ok() {
        Names::Private
    } else {
        Names::Nowhere
    };
    match query.hosts {
        Hosts::Private => private,
        _ if writable || !query.has_names => Names::System,
        // Whoever wants the machine's file does not want another one instead.
        Hosts::System => Names::Nowhere,
        Hosts::Auto => private,
    }
}

/// Private names were wanted, and there are none.
fn no_private_file(query: &Query, facts: &Facts, names: Names) -> Option<String> {
    let why = facts.private.as_ref().err()?;
    // Whoever wants the machine's file does not want another one instead.
    let wanted = query.hosts != Hosts::System && query.has_names && names == Names::Nowhere;
    wanted.then(|| format!("host names work by address only, because apps cannot have a hosts file of their own: {why}"))
}

/// The way to become root, or why there is none.
fn escalation(query: &Query, facts: &Facts) -> Result<Escalation, String> {
    let silent = |tool: &PathBuf| Escalation::Through {
        tool: tool.clone(),
        ask: false,
    };
    let asking = |tool: &PathBuf| Escalation::Through {
        tool: tool.clone(),
        ask: true,
    };
    match (query.wish, &facts.sudo, &facts.doas) {
        (Wish::None, ..) => Err("--escalate is none".to_owned()),
        (Wish::Auto | Wish::Sudo, Tool::Silent(sudo), _) => Ok(silent(sudo)),
        (Wish::Auto | Wish::Doas, _, Tool::Silent(doas)) => Ok(silent(doas)),
        (Wish::Auto | Wish::Sudo, Tool::Asks(sudo), _) if facts.terminal => Ok(asking(sudo)),
        (Wish::Auto | Wish::Sudo, Tool::Asks(_), _) if !query.may_ask => Err(
            "sudo wants a password, which is asked for only when a project starts: start it anew to be asked".to_owned(),
        ),
        (Wish::Auto | Wish::Sudo, Tool::Asks(_), _) => Err(
            "sudo wants a password and there is no terminal to ask on (`monday-ipalias setup --print` says how to do without)"
                .to_owned(),
        ),
        (Wish::Auto, Tool::Missing, Tool::Missing) => {
            Err("neither sudo nor doas is installed".to_owned())
        }
        (Wish::Auto | Wish::Doas, _, Tool::Asks(_)) => Err(
            "doas has no rule for it, or wants a password each time, which nobody can be asked for later \
             (`monday-ipalias setup --print` has a rule for /etc/doas.conf)"
                .to_owned(),
        ),
        (Wish::Sudo, Tool::Missing, _) => Err("sudo is not installed".to_owned()),
        (Wish::Doas, _, Tool::Missing) => Err("doas is not installed".to_owned()),
    }
}

/// The one line where it goes on without root.
pub(super) fn went_on_without(query: &Query, facts: &Facts, names: Names, why: &str) -> String {
    let left_out = LeftOut {
        names: query.has_names.then_some(names),
        low_port: query.low_port,
        is_root: facts.is_root,
    };
    let left_out = left_out.in_words().unwrap_or_default();
    let no_private_file = match &facts.private {
        Err(why) if query.has_names && query.hosts == Hosts::Auto && names == Names::Nowhere => {
            format!("; nor can apps have a hosts file of their own: {why}")
        }
        _ => String::new(),
    };
    format!("without root: {left_out}, because {why}{no_private_file}")
}

/// What does not work.
struct LeftOut {
    /// Where names go, which may not be where they should.
    names: Option<Names>,
    /// The lowest port that cannot be listened on.
    low_port: Option<u16>,
    is_root: bool,
}

const PRIVATE: &str = "only the project's own apps see its host names";
const PRIVATE_AND_NO_SUDO: &str =
    "only the project's own apps see its host names, and sudo does not work in them";

impl LeftOut {
    fn in_words(&self) -> Option<String> {
        let names = match self.names {
            None | Some(Names::System) => None,
            Some(Names::Private) if self.is_root => Some(PRIVATE),
            // In a user namespace.
            Some(Names::Private) => Some(PRIVATE_AND_NO_SUDO),
            Some(Names::Nowhere) => Some("host names work by address only"),
        };
        let port = self
            .low_port
            .map(|port| format!("port {port} and others below 1024 cannot be listened on"));
        let all: Vec<String> = names.map(str::to_owned).into_iter().chain(port).collect();
        (!all.is_empty()).then(|| all.join(", and "))
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
