//! Where a project's host names go: decided, and a password asked for, before anything is shown.
//!
//! ```text
//! what the plan needs -> escalate::settle -> how monday-ipalias is started, and what the project's processes see as
//!                                            their hosts file
//! ```

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use monday_shared::platform::private_hosts;
use monday_shared::protocol::ipalias;

use crate::error::Error;
use crate::escalate::decide::Names;
use crate::escalate::{Query, Settled, Wish, settle};
use crate::plan::Plan;
use crate::sidecar::launch::{Escalation, Launch};
use crate::sidecar::locate::Locator;

/// The project's own hosts file, in its runtime folder.
pub const PRIVATE_FILE: &str = "hosts";

/// Where a project's host names go, and how monday-ipalias is started for that.
#[derive(Clone, Debug)]
pub struct Naming {
    settled: Settled,
    /// How monday-ipalias may become root.
    wish: Wish,
    /// The hosts file that was meant.
    hosts_file: PathBuf,
    /// The one that only the project's processes see.
    private: PathBuf,
}

impl Naming {
    /// Decides. Blocks for as long as sudo asks for a password on the terminal. `folder` is the project's.
    ///
    /// # Errors
    /// [`Error::Executable`] if the project has host names and there is no monday-ipalias.
    pub fn settle(
        plan: &Plan,
        wish: Wish,
        hosts_file: PathBuf,
        folder: &Path,
    ) -> Result<Self, Error> {
        let mut naming = Self {
            settled: settle(&query(plan, wish, &hosts_file, true)?),
            wish,
            hosts_file,
            private: folder.join(PRIVATE_FILE),
        };
        naming.make_private_file();
        Ok(naming)
    }

    /// Decides anew for what a running project becomes, without asking anybody; nothing if all stays as it is. Names that
    /// only the project's processes see stay so: they would have to be started again for others.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub fn settle_again(&self, plan: &Plan) -> Result<Option<Self>, Error> {
        if plan.hostnames.is_empty() || self.escalates() || self.names() == Names::Private {
            return Ok(None);
        }
        let mut naming = Self {
            settled: settle(&query(plan, self.wish, &self.hosts_file, false)?),
            ..self.clone()
        };
        if naming.settled == self.settled {
            return Ok(None);
        }
        naming.make_private_file();
        Ok(Some(naming))
    }

    /// Whether monday-ipalias is started in another way than by `other`.
    #[must_use]
    pub fn starts_otherwise(&self, other: &Self) -> bool {
        self.settled.prefix != other.settled.prefix || self.private_file() != other.private_file()
    }

    /// The project's own hosts file begins with what the machine's holds.
    fn make_private_file(&mut self) {
        if self.settled.names != Names::Private {
            return;
        }
        if let Err(error) = private_hosts::copy_of_system(&self.private) {
            self.settled.names = Names::Nowhere;
            self.settled.warning = Some(format!(
                "host names work by address only, because {} cannot be written: {error}",
                self.private.display()
            ));
        }
    }

    /// Where the names go.
    #[must_use]
    pub fn names(&self) -> Names {
        self.settled.names
    }

    /// What a user should know, in one line.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.settled.warning.as_deref()
    }

    /// Why monday-ipalias is not root, where that is missed.
    #[must_use]
    pub fn no_root(&self) -> Option<&str> {
        self.settled.no_root.as_deref()
    }

    /// Whether monday-ipalias is root and we are not, so that it may bind what we may not.
    #[must_use]
    pub fn escalates(&self) -> bool {
        self.settled.escalates()
    }

    /// What the project's processes see in the place of `/etc/hosts`.
    #[must_use]
    pub fn private_file(&self) -> Option<&Path> {
        (self.settled.names == Names::Private).then_some(self.private.as_path())
    }

    /// How monday-ipalias is started.
    pub fn apply(&self, launch: &mut Launch) {
        if self.escalates() {
            // As root it writes the machine's file and no other.
            launch.escalation = Some(Escalation {
                prefix: self.settled.prefix.clone(),
                args_without: over(&self.hosts_file),
            });
            return;
        }
        launch.args = match self.private_file() {
            // It is mounted somewhere: a new file of the same name would not be seen there.
            Some(file) => [over(file), vec!["--in-place".into()]].concat(),
            None => over(&self.hosts_file),
        };
    }

    /// Removes what was made for the project.
    pub fn clear_away(&self) {
        if let Some(file) = self.private_file()
            && let Err(error) = std::fs::remove_file(file)
        {
            tracing::debug!(%error, file = %file.display(), "the project's hosts file stays");
        }
    }
}

fn query(plan: &Plan, wish: Wish, hosts_file: &Path, may_ask: bool) -> Result<Query, Error> {
    let has_names = !plan.hostnames.is_empty();
    let helper = if has_names {
        Locator::from_env().find(ipalias::NAME)?
    } else {
        PathBuf::new()
    };
    Ok(Query {
        wish,
        hosts: plan.settings.hosts,
        hosts_file: hosts_file.to_owned(),
        has_names,
        low_port: plan.low_port(),
        helper,
        may_ask,
    })
}

fn over(hosts_file: &Path) -> Vec<OsString> {
    vec!["--hosts-file".into(), hosts_file.into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(names: Names, prefix: &[&str]) -> Naming {
        Naming {
            settled: Settled {
                prefix: prefix.iter().map(OsString::from).collect(),
                names,
                warning: None,
                no_root: None,
            },
            wish: Wish::Auto,
            hosts_file: "/etc/hosts".into(),
            private: "/run/shop/hosts".into(),
        }
    }

    fn launched(naming: &Naming) -> Launch {
        let mut launch = Launch {
            name: ipalias::NAME,
            executable: "/usr/bin/monday-ipalias".into(),
            escalation: None,
            socket: "/run/shop/ipalias.sock".into(),
            app: None,
            args: Vec::new(),
            hidden: &[],
        };
        naming.apply(&mut launch);
        launch
    }

    #[test]
    fn as_root_it_is_told_no_path_and_without_it_the_one_that_was_meant() {
        let launch = launched(&naming(Names::System, &["sudo", "-n", "--"]));
        let escalation = launch.escalation.unwrap();
        assert_eq!(escalation.prefix, ["sudo", "-n", "--"]);
        assert_eq!(escalation.args_without, ["--hosts-file", "/etc/hosts"]);
        assert!(launch.args.is_empty());
        for names in [Names::System, Names::Nowhere] {
            let launch = launched(&naming(names, &[]));
            assert!(launch.escalation.is_none());
            assert_eq!(launch.args, ["--hosts-file", "/etc/hosts"]);
        }
    }

    #[test]
    fn a_private_file_is_written_in_place() {
        let naming = naming(Names::Private, &[]);
        let words = ["--hosts-file", "/run/shop/hosts", "--in-place"];
        assert_eq!(launched(&naming).args, words);
        assert_eq!(naming.private_file(), Some(Path::new("/run/shop/hosts")));
    }
}
