//! `list`, `clean` and `--dry-run`: what is printed once, without a life.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;

use monday_shared::life::OutputFormat;
use monday_shared::protocol::ipalias::{NameSpec, Names};
use serde::Serialize;

use crate::alias::held::Held;
use crate::error::Error;
use crate::hosts::block::edited;
use crate::hosts::file::HostsFile;
use crate::hosts::view::View;
use crate::lease::Lease;
use crate::ledger::Ledger;
use crate::lines::is_dead;
use crate::settings::Settings;

/// One name, as `list` and `clean` print it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The name.
    pub name: String,
    /// Its address.
    pub ip: IpAddr,
    /// The process that has assigned it.
    pub pid: u32,
    /// Whether that process runs.
    pub running: bool,
    /// Whether the hosts file holds it.
    pub in_hosts_file: bool,
}

/// What `list` and `clean` print.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The hosts file.
    pub hosts_file: String,
    /// The names; for `clean` those that were removed.
    pub names: Vec<Row>,
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .names
            .iter()
            .map(|row| row.name.len())
            .max()
            .unwrap_or(0);
        for row in &self.names {
            let ip = row.ip.to_string();
            write!(f, "{ip:<15}  {:<width$}  pid {}", row.name, row.pid)?;
            if !row.running {
                f.write_str(", which does not run any more")?;
            }
            if !row.in_hosts_file {
                write!(f, ", not in {}", self.hosts_file)?;
            }
            f.write_char('\n')?;
        }
        Ok(())
    }
}

/// Who has which name. Of a hosts file whose markers make no sense it is said what is wrong, and the rest is told.
///
/// # Errors
/// What reading the hosts file and the lease folder says.
pub fn list(settings: Settings) -> Result<Listing, Error> {
    read(
        settings,
        Some(&|error| tracing::warn!("which of its lines are whose cannot be said: {error}")),
    )
}

/// `malformed` is told of a hosts file that makes no sense, which otherwise is an error.
fn read(settings: Settings, malformed: Option<&dyn Fn(&Error)>) -> Result<Listing, Error> {
    let file = HostsFile::new(settings.hosts_file, settings.how);
    let view = match file.read_as(|bytes| View::new(bytes.unwrap_or_default(), None)) {
        Err(error @ Error::Malformed { .. }) => {
            malformed.map(|tell| tell(&error)).ok_or(error)?;
            View::default()
        }
        view => view?,
    };
    let path = file.path();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut leases = settings.leases.living()?;
    leases.retain(|lease| lease.hosts_file == absolute);
    Ok(listing(path, &view, &leases))
}

fn listing(file: &Path, view: &View, leases: &[Lease]) -> Listing {
    let in_file = view.mappings().iter().filter_map(|mapping| {
        let owner = mapping.owner.as_ref()?;
        Some(Row {
            name: mapping.name.clone(),
            ip: mapping.ip,
            pid: owner.pid,
            running: owner.is_alive(),
            in_hosts_file: true,
        })
    });
    let mut names: Vec<Row> = in_file.collect();
    for lease in leases {
        for leased in &lease.names {
            let row = Row {
                name: leased.name.to_string(),
                ip: IpAddr::V4(leased.ip),
                pid: lease.owner.pid,
                running: true,
                in_hosts_file: false,
            };
            let known = |other: &Row| other.name == row.name && other.pid == row.pid;
            if !names.iter().any(known) {
                names.push(row);
            }
        }
    }
    names.sort_by(|one, other| (&one.name, one.pid).cmp(&(&other.name, other.pid)));
    Listing {
        hosts_file: file.display().to_string(),
        names,
    }
}

/// What `clean` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cleaning {
    /// What was removed.
    #[serde(flatten)]
    pub gone: Listing,
    /// Whether it was only looked at.
    pub dry_run: bool,
}

impl fmt::Display for Cleaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = if self.dry_run {
            "would be removed"
        } else {
            "removed"
        };
        for Row { name, ip, pid, .. } in &self.gone.names {
            writeln!(f, "{done}: {name} ({ip}), left by pid {pid}")?;
        }
        Ok(())
    }
}

/// Removes what the dead have left, in the hosts file and elsewhere, and returns it.
///
/// # Errors
/// What keeps it from being removed.
pub fn clean(settings: Settings, dry_run: bool) -> Result<Cleaning, Error> {
    let mut gone = read(settings.clone(), None)?;
    gone.names.retain(|row| !row.running);
    if !dry_run {
        let _lock = settings.leases.lock()?;
        let dead = settings.leases.remove_dead()?;
        Held::new(settings.loopback).clear_away(&dead, &settings.leases)?;
        let path = settings.hosts_file;
        HostsFile::new(path.clone(), settings.how)
            .update_and_wait_for_late_writes(&|content| edited(content, None, &is_dead))
            .map_err(|error| error.or_as_root("clean", &path))?;
    }
    Ok(Cleaning { gone, dry_run })
}

/// What serving these names would write.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The names as they would be.
    #[serde(flatten)]
    pub names: Names,
    /// The lines that would go from the hosts file.
    pub removed: Vec<String>,
    /// The lines that would come into it.
    pub added: Vec<String>,
}

/// Finds out what serving these names would write.
///
/// # Errors
/// Those of [`Ledger::preview`].
pub fn preview(settings: Settings, names: Vec<String>) -> Result<Preview, Error> {
    let before = HostsFile::new(settings.hosts_file.clone(), settings.how.clone()).read()?;
    let specs: Vec<NameSpec> = names.into_iter().map(NameSpec::new).collect();
    let (names, after) = Ledger::untouched(settings).preview(&specs)?;
    let (removed, added) = difference(&before.unwrap_or_default(), &after.unwrap_or_default());
    Ok(Preview {
        names,
        removed,
        added,
    })
}

/// The lines that differ. Blocks go as a whole and one comes at the end, so what is common stands in the same order in
/// both, and a line that is in one only needs no better search.
fn difference(before: &[u8], after: &[u8]) -> (Vec<String>, Vec<String>) {
    let lines = |bytes: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(bytes)
            .lines()
            .map(str::to_owned)
            .collect()
    };
    let (before, after) = (lines(before), lines(after));
    let mut kept = before.iter().peekable();
    let mut removed = Vec::new();
    let mut added = Vec::new();
    for line in &after {
        // Forward to this line, if it comes at all.
        if kept.clone().any(|old| old == line) {
            removed.extend(kept.by_ref().take_while(|old| *old != line).cloned());
        } else {
            added.push(line.clone());
        }
    }
    removed.extend(kept.cloned());
    (removed, added)
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.removed {
            writeln!(f, "-{line}")?;
        }
        for line in &self.added {
            writeln!(f, "+{line}")?;
        }
        for status in &self.names.names {
            if let Some(note) = &status.note {
                writeln!(f, "{}: {note}", status.name)?;
            }
        }
        Ok(())
    }
}

/// Prints something once, in the format that was asked for.
///
/// # Errors
/// If standard output cannot be written.
pub fn print<T: Serialize + fmt::Display>(value: &T, format: OutputFormat) -> io::Result<()> {
    let mut text = match format {
        OutputFormat::Json => serde_json::to_string(value)? + "\n",
        OutputFormat::Text => value.to_string(),
    };
    if text.is_empty() {
        text.push_str("nothing\n");
    }
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        // Who reads only the first line is content.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::LeasedName;
    use crate::owner::{InstanceId, Owner};
    use std::collections::BTreeSet;

    #[test]
    fn a_listing_joins_the_blocks_of_the_file_and_the_leases() {
        let living = Owner::this_process();
        let dead = Owner {
            started: living.started + 1,
            ..living.clone()
        };
        let block = |owner: &Owner, line: &str| {
            let id = InstanceId::new(owner);
            let Owner { pid, started, boot } = owner;
            format!(
                "# monday-ipalias begin {id} pid={pid} started={started} boot={boot}\n{line}\n# monday-ipalias end {id}\n"
            )
        };
        let file = format!(
            "127.0.0.1 localhost\n{}{}",
            block(&living, "127.77.0.1\tb.local"),
            block(&dead, "127.77.0.2\ta.local")
        );
        let lease = Lease {
            instance: InstanceId::new(&living),
            owner: living,
            started_by: None,
            hosts_file: "/etc/hosts".into(),
            aliases: BTreeSet::new(),
            names: ["b.local", "c.local"]
                .map(|name| LeasedName {
                    name: name.parse().unwrap(),
                    ip: [127, 77, 0, 1].into(),
                    ports: Vec::new(),
                })
                .to_vec(),
        };
        let view = View::new(file.as_bytes(), None).unwrap();
        let listing = listing(Path::new("/etc/hosts"), &view, &[lease]);
        let found: Vec<(&str, bool, bool)> = listing
            .names
            .iter()
            .map(|row| (row.name.as_str(), row.running, row.in_hosts_file))
            .collect();
        assert_eq!(
            found,
            [
                ("a.local", false, true),
                ("b.local", true, true),
                ("c.local", true, false)
            ]
        );
        let text = listing.to_string();
        assert!(text.contains("127.77.0.2       a.local  pid"), "{text}");
        assert!(text.contains("does not run any more") && text.contains("not in /etc/hosts"));
    }

    #[test]
    fn a_difference_is_what_goes_and_what_comes() {
        let (removed, added) = difference(b"a\nold\nb\nold2\n", b"a\nb\nnew\n");
        assert_eq!(removed, ["old", "old2"]);
        assert_eq!(added, ["new"]);
        assert_eq!(difference(b"a\n", b"a\n"), (Vec::new(), Vec::new()));
    }
}
