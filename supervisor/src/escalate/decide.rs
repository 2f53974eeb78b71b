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
    /// What the project needs and we may not do. Names that only its apps are to see take no rights; and since root would
    /// put them where everybody sees them, root is not asked for ports either then.
    #[must_use]
    pub fn of(query: &Query, is_root: bool, hosts_writable: bool, low_port_allowed: bool) -> Self {
        if is_root || (query.hosts == Hosts::Private && query.has_names) {
            return Self::default();
        }
        Self {
            names: query.has_names && !hosts_writable,
            low_port: query.low_port.is_some() && !low_port_allowed,
        }
    }

    /// Whether anything is lacking.
    #[must_use]
    pub fn any(self) -> bool {
        self.names || self.low_port
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
    let otherwise = without_rights(query, facts);
    if !lacking.any() {
        return Decision {
            escalation: Escalation::Plain,
            names: otherwise,
            otherwise,
            warning: no_private_file(query, facts, otherwise),
        };
    }
    match escalation(query, facts) {
        Ok(escalation) => Decision {
            escalation,
            names: Names::System,
            otherwise,
            warning: None,
        },
        Err(why) => Decision {
            escalation: Escalation::Plain,
            names: otherwise,
            otherwise,
            warning: Some(went_on_without(query, otherwise, &why)),
        },
    }
}

/// Where names go with the rights that we have.
fn without_rights(query: &Query, facts: &Facts) -> Names {
    let writable = facts.is_root || facts.hosts_writable;
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
    let wanted = query.hosts == Hosts::Private && query.has_names && names == Names::Nowhere;
    wanted.then(|| format!("host names work by address only, because apps cannot have a hosts file of their own: {why}"))
}

/// The way to become root, or why there is none.
fn escalation(query: &Query, facts: &Facts) -> Result<Escalation, String> {
    if query.hosts_file != Path::new(SYSTEM_FILE) {
        return Err(format!(
            "{} cannot be written, and as root only {SYSTEM_FILE} is",
            query.hosts_file.display()
        ));
    }
    let silent = |tool: &PathBuf| Escalation::Through {
        tool: tool.clone(),
        ask: false,
    };
    let asking = |tool: &PathBuf| Escalation::Through {
        tool: tool.clone(),
        ask: true,
    };
    let doas_asks = "doas wants a password each time, which nobody can be asked for later (`monday-ipalias setup --print` \
                     says how to do without)";
    match (query.wish, &facts.sudo, &facts.doas) {
        (Wish::None, ..) => Err("--escalate is none".to_owned()),
        (Wish::Auto | Wish::Sudo, Tool::Silent(sudo), _) => Ok(silent(sudo)),
        (Wish::Auto | Wish::Doas, _, Tool::Silent(doas)) => Ok(silent(doas)),
        (Wish::Auto | Wish::Sudo, Tool::Asks(sudo), _) if facts.terminal => Ok(asking(sudo)),
        (Wish::Auto | Wish::Sudo, Tool::Asks(_), _) => Err(
            "sudo wants a password and there is no terminal to ask on (`monday-ipalias setup --print` says how to do without)"
                .to_owned(),
        ),
        (Wish::Auto, Tool::Missing, Tool::Missing) => {
            Err("neither sudo nor doas is installed".to_owned())
        }
        (Wish::Auto | Wish::Doas, _, Tool::Asks(_)) => Err(doas_asks.to_owned()),
        (Wish::Sudo, Tool::Missing, _) => Err("sudo is not installed".to_owned()),
        (Wish::Doas, _, Tool::Missing) => Err("doas is not installed".to_owned()),
    }
}

/// The one line where it goes on without root.
pub(super) fn went_on_without(query: &Query, names: Names, why: &str) -> String {
    let names = match names {
        _ if !query.has_names => None,
        Names::System => None,
        Names::Private => Some("only the project's own apps see its host names"),
        Names::Nowhere => Some("host names work by address only"),
    };
    let port = query
        .low_port
        .map(|port| format!("port {port} and others below 1024 cannot be listened on"));
    let without: Vec<String> = names.map(str::to_owned).into_iter().chain(port).collect();
    format!("without root: {}, because {why}", without.join(", and "))
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
