//! Who has which name, address and port: a folder of the user's with one file for each `monday-ipalias` that runs.
//!
//! The hosts file cannot say it all: it may not be writable, and it knows no ports. Leases are advice among our own
//! processes; the file of a process that died is not believed and is removed.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use monday_shared::socket::runtime_dir::runtime_dir;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::hostname::Hostname;
use crate::hosts::folder_lock::FolderLock;
use crate::owner::{InstanceId, Owner};

/// The folder's name within the runtime folder. No project's folder begins with a dot.
const FOLDER: &str = ".ipalias";

/// What one instance has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Which instance.
    pub instance: InstanceId,
    /// Its process.
    pub owner: Owner,
    /// Who started it, for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// The hosts file that it writes.
    pub hosts_file: PathBuf,
    /// Its names.
    pub names: Vec<LeasedName>,
}

/// One name of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasedName {
    /// The name.
    pub name: Hostname,
    /// Its address.
    pub ip: Ipv4Addr,
    /// The ports that are going to be bound on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
}

impl Lease {
    /// Whose it is, for people.
    #[must_use]
    pub fn holder(&self) -> String {
        let pid = self.owner.pid;
        match &self.started_by {
            Some(starter) => format!("monday-ipalias with pid {pid} (started by {starter})"),
            None => format!("monday-ipalias with pid {pid}"),
        }
    }
}

/// The folder.
#[derive(Clone, Debug)]
pub struct LeaseFolder {
    folder: PathBuf,
}

impl LeaseFolder {
    /// The one of this user.
    ///
    /// # Errors
    /// [`Error::Leases`] if the runtime folder cannot be trusted, or the folder cannot be made in it.
    pub fn of_this_user() -> Result<Self, Error> {
        let runtime = runtime_dir().map_err(|error| Error::Leases {
            what: "make a folder",
            folder: PathBuf::from(FOLDER),
            source: io::Error::other(error),
        })?;
        Self::at(runtime.join(FOLDER))
    }

    /// That folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Leases`] if it cannot be made.
    pub fn at(folder: PathBuf) -> Result<Self, Error> {
        let leases = Self { folder };
        match fs::DirBuilder::new().mode(0o700).create(&leases.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(leases.failed("make a folder", error))
            }
            _ => Ok(leases),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.folder
    }

    /// Keeps others from taking or giving back addresses meanwhile.
    ///
    /// # Errors
    /// [`Error::Leases`] if the lock cannot be had within a few seconds.
    pub fn lock(&self) -> Result<FolderLock, Error> {
        FolderLock::acquire(&self.folder).map_err(|error| self.failed("get the lock", error))
    }

    /// What every instance has that runs. Leases of the dead are left out; [`remove_dead`](Self::remove_dead) removes
    /// them.
    ///
    /// # Errors
    /// [`Error::Leases`] if the folder cannot be read.
    pub fn living(&self) -> Result<Vec<Lease>, Error> {
        let mut leases = self.all()?;
        leases.retain(|lease| lease.owner.is_alive());
        Ok(leases)
    }

    /// Removes what the dead have left. The lock must be held.
    ///
    /// # Errors
    /// [`Error::Leases`] if that is impossible.
    pub fn remove_dead(&self) -> Result<(), Error> {
        for lease in self.all()?.iter().filter(|lease| !lease.owner.is_alive()) {
            self.remove(&lease.instance)?;
        }
        Ok(())
    }

    /// Writes down what an instance has. The lock must be held.
    ///
    /// # Errors
    /// [`Error::Leases`] if that is impossible; what was written down before stays then.
    pub fn write(&self, lease: &Lease) -> Result<(), Error> {
        let (file, new) = (self.file(&lease.instance), self.folder.join("new"));
        serde_json::to_vec(lease)
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&new, text))
            .and_then(|()| fs::rename(&new, &file))
            .map_err(|error| self.failed("write a lease", error))
    }

    /// An instance has nothing any more.
    ///
    /// # Errors
    /// [`Error::Leases`] if its file cannot be removed.
    pub fn remove(&self, instance: &InstanceId) -> Result<(), Error> {
        match fs::remove_file(self.file(instance)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove a lease", error))
            }
            _ => Ok(()),
        }
    }

    fn all(&self) -> Result<Vec<Lease>, Error> {
        let entries = fs::read_dir(&self.folder).map_err(|error| self.failed("read", error))?;
        let mut leases: Vec<Lease> = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|is| is == "json"))
            .filter_map(|entry| {
                let text = fs::read(entry.path()).ok()?;
                let lease: Result<Lease, _> = serde_json::from_slice(&text);
                lease
                    .inspect_err(|error| {
                        tracing::warn!(file = %entry.path().display(), %error, "a lease that cannot be read is left out");
                    })
                    .ok()
            })
            .collect();
        leases.sort_by(|one, other| one.instance.cmp(&other.instance));
        Ok(leases)
    }

    fn file(&self, instance: &InstanceId) -> PathBuf {
        self.folder.join(format!("{instance}.json"))
    }

    fn failed(&self, what: &'static str, source: io::Error) -> Error {
        Error::Leases {
            what,
            folder: self.folder.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(owner: Owner) -> Lease {
        Lease {
            instance: InstanceId::new(&owner),
            owner,
            started_by: Some("`monday-supervisor shop`, pid 7".to_owned()),
            hosts_file: "/etc/hosts".into(),
            names: vec![LeasedName {
                name: "api.local".parse().unwrap(),
                ip: [127, 77, 0, 1].into(),
                ports: vec![80, 443],
            }],
        }
    }

    #[test]
    fn leases_of_the_living_are_found_and_those_of_the_dead_go() {
        let folder = tempfile::tempdir().unwrap();
        let leases = LeaseFolder::at(folder.path().join("leases")).unwrap();
        let living = lease(Owner::this_process());
        let dead = lease(Owner {
            started: 1,
            ..Owner::this_process()
        });
        for lease in [&living, &dead] {
            leases.write(lease).unwrap();
        }
        fs::write(leases.path().join("garbage.json"), "{").unwrap();
        assert_eq!(leases.living().unwrap(), std::slice::from_ref(&living));
        leases.remove_dead().unwrap();
        assert_eq!(fs::read_dir(leases.path()).unwrap().count(), 2);
        leases.remove(&living.instance).unwrap();
        leases.remove(&living.instance).unwrap();
        assert_eq!(leases.living().unwrap(), []);
    }

    #[test]
    fn the_holder_of_a_lease_is_named_with_its_pid_and_its_starter() {
        let lease = lease(Owner::this_process());
        let holder = lease.holder();
        assert!(holder.contains(&format!("pid {}", lease.owner.pid)));
        assert!(holder.contains("monday-supervisor shop"));
    }
}
