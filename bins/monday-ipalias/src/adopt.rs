//! `adopt`: takes lines over that the older Go tool has left, so that their names can be given addresses again.

use std::cell::RefCell;
use std::fmt;

use serde::Serialize;

use crate::error::Error;
use crate::hosts::adoption::{Taken, Without, without};
use crate::hosts::file::HostsFile;
use crate::machine::{is_own, own_name};
use crate::settings::Settings;
use monday_shared::hostname::Hostname;

/// A name that was on somebody else's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Adopted {
    /// The name.
    pub name: String,
    /// The address that the line gave.
    pub ip: String,
    /// Which line that was, counted from 1.
    pub line: usize,
}

/// What `adopt` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Adoption {
    /// The hosts file.
    pub hosts_file: String,
    /// What was taken over.
    pub adopted: Vec<Adopted>,
    /// The names for which there was nothing to take over.
    pub not_found: Vec<String>,
    /// Whether it was only looked at.
    pub dry_run: bool,
}

/// Takes the lines of the Go tool for these names out of the hosts file; a `monday-ipalias` that has one of the names, now
/// or later, writes its own line then. With `dry_run` nothing is changed.
///
/// # Errors
/// What keeps the file from being read or written, and [`Error::OwnName`] for a name of this machine.
pub fn adopt(settings: Settings, names: &[String], dry_run: bool) -> Result<Adoption, Error> {
    let names = names
        .iter()
        .map(|name| {
            name.parse().map_err(|flaw| Error::Hostname {
                name: name.clone(),
                flaw,
            })
        })
        .collect::<Result<Vec<Hostname>, Error>>()?;
    let path = settings.hosts_file;
    let mut file = HostsFile::new(path.clone(), settings.how);
    let own = own_name();
    let is_own = |name: &str| is_own(&own, name);
    let without = |content: Option<&[u8]>| without(content.unwrap_or_default(), &names, &is_own);
    let done = if dry_run {
        file.read_as(without)?
    } else {
        // The edit is made again where others write meanwhile; the last one that took something counts, and one that may
        // not take all of it takes nothing.
        let last = RefCell::new(None::<Without>);
        file.update_and_wait_for_late_writes(&|content| {
            let done = without(content)?;
            let new = if done.kept.is_empty() {
                content.is_some().then(|| done.content.clone())
            } else {
                content.map(<[u8]>::to_vec)
            };
            let counts = |last: &Without| {
                done.taken.is_empty() && done.kept.is_empty() && !last.taken.is_empty()
            };
            if !last.borrow().as_ref().is_some_and(counts) {
                last.replace(Some(done));
            }
            Ok(new)
        })
        .map_err(|error| {
            let names: Vec<&str> = names.iter().map(Hostname::as_str).collect();
            error.or_as_root(&format!("adopt {}", names.join(" ")), &path)
        })?;
        last.into_inner()
            .map_or_else(|| file.read_as(without), Ok)?
    };
    if let Some(Taken { line, name, .. }) = done.kept.first() {
        return Err(Error::OwnName {
            file: path,
            line: *line,
            name: name.to_string(),
            own,
        });
    }
    let taken = done.taken;
    let not_found = names
        .iter()
        .filter(|name| !taken.iter().any(|taken| taken.name == **name))
        .map(ToString::to_string)
        .collect();
    Ok(Adoption {
        hosts_file: path.display().to_string(),
        adopted: taken.into_iter().map(Adopted::from).collect(),
        not_found,
        dry_run,
    })
}

impl From<Taken> for Adopted {
    fn from(taken: Taken) -> Self {
        Self {
            name: taken.name.to_string(),
            ip: taken.ip.to_string(),
            line: taken.line,
        }
    }
}

impl fmt::Display for Adoption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = if self.dry_run {
            "would be taken"
        } else {
            "taken"
        };
        for Adopted { name, ip, line } in &self.adopted {
            writeln!(
                f,
                "{name}: {done} from line {line} of {}, which gave it {ip}",
                self.hosts_file
            )?;
        }
        for name in &self.not_found {
            writeln!(
                f,
                "{name}: no line of the Go tool has it (its addresses are 127.0.1.x)"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::LeaseFolder;

    fn adopt_in(content: &str, names: &[&str], dry_run: bool) -> (Result<Adoption, Error>, String) {
        let folder = tempfile::tempdir().unwrap();
        let hosts = folder.path().join("hosts");
        std::fs::write(&hosts, content).unwrap();
        let leases = LeaseFolder::at(folder.path().join("leases")).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let adopted = adopt(Settings::new(hosts.clone(), leases), &names, dry_run);
        (adopted, std::fs::read_to_string(hosts).unwrap())
    }

    const FILE: &str = "127.0.0.1 localhost\n127.0.1.2 api.local\n10.0.0.1 db.local\n";

    #[test]
    fn the_lines_go_and_what_was_there_is_told() {
        let (adopted, now) = adopt_in(FILE, &["API.local", "db.local"], false);
        let adopted = adopted.unwrap();
        assert_eq!(now, "127.0.0.1 localhost\n10.0.0.1 db.local\n");
        assert_eq!(adopted.adopted.len(), 1);
        assert_eq!(adopted.not_found, ["db.local"]);
        let text = adopted.to_string();
        assert!(
            text.contains("line 2") && text.contains("127.0.1.2"),
            "{text}"
        );
    }

    #[test]
    fn a_dry_run_changes_nothing() {
        let (adopted, now) = adopt_in(FILE, &["api.local"], true);
        assert_eq!(now, FILE);
        assert!(adopted.unwrap().to_string().contains("would be taken"));
    }

    #[test]
    fn the_machines_own_name_stays() {
        let own = nix::unistd::gethostname().unwrap();
        let Ok(own) = own.to_string_lossy().parse::<Hostname>() else {
            return; // a machine without a name of its own
        };
        let file = format!("127.0.1.1 {own}\n127.0.1.2 api.local\n");
        let (refused, now) = adopt_in(&file, &["api.local", own.as_str()], false);
        assert!(matches!(refused, Err(Error::OwnName { line: 1, .. })));
        assert_eq!(now, file, "all or nothing");
        // Nor is anything else taken from that line, which is Debian's.
        let file = format!("127.0.1.1 {own} api.local\n");
        let (refused, now) = adopt_in(&file, &["api.local"], false);
        assert!(matches!(refused, Err(Error::OwnName { line: 1, .. })));
        assert_eq!(now, file);
    }
}
