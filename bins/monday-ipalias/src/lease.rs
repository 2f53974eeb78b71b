//! Who has which name, address and port: a folder of the user's with one file for each `monday-ipalias` that runs.
//!
//! The hosts file cannot say it all: it may not be writable, and it knows no ports. Leases are advice among our own
//! processes; the file of a process that died is not believed and is removed.
//!
//! Root that serves a user keeps its leases in that user's folder, beside those of the user's own processes, and does all
//! of it as that user. What stands there may have been written by that user, so it is believed no further than what the
//! user could ask for anyway: a name with an address that is never given out is left out when a lease is read.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use monday_shared::identity::Identity;
use monday_shared::socket::runtime_dir::{runtime_dir, runtime_dir_of};
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::hosts::folder_lock::FolderLock;
use crate::owner::{InstanceId, Owner};
use crate::range::avoided;
use monday_shared::hostname::Hostname;

/// The folder's name within the runtime folder. No project's folder begins with a dot.
const FOLDER: &str = ".ipalias";

/// The largest lease that is read, in bytes: a thousand names with some ports each have a tenth of it.
const MAX_BYTES: u64 = 1024 * 1024;

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
    /// The addresses that it has on the loopback interface as aliases of ours, where they have to be added.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aliases: BTreeSet<Ipv4Addr>,
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
    /// Without the addresses that none of us ever has: whoever wrote those wants to trick us.
    fn of_ours_only(mut self) -> Self {
        self.names.retain(|leased| avoided(leased.ip).is_none());
        self.aliases.retain(|ip| avoided(*ip).is_none());
        self
    }

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
    /// Whose it is, if that is not who we are.
    user: Option<Identity>,
}

impl LeaseFolder {
    /// The one of that user, or of the user that we are.
    ///
    /// # Errors
    /// [`Error::Leases`] if the runtime folder cannot be trusted, or the folder cannot be made in it.
    pub fn of(user: Option<Identity>) -> Result<Self, Error> {
        let runtime = match user {
            Some(user) => runtime_dir_of(user),
            None => runtime_dir(),
        };
        let runtime = runtime.map_err(|error| Error::Leases {
            what: "make a folder",
            folder: PathBuf::from(FOLDER),
            source: io::Error::other(error),
        })?;
        Self::made(runtime.join(FOLDER), user)
    }

    /// That folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Leases`] if it cannot be made.
    pub fn at(folder: PathBuf) -> Result<Self, Error> {
        Self::made(folder, None)
    }

    fn made(folder: PathBuf, user: Option<Identity>) -> Result<Self, Error> {
        let leases = Self { folder, user };
        let made = leases.act(|folder| fs::DirBuilder::new().mode(0o700).create(folder));
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(leases.failed("make a folder", error))
            }
            _ => Ok(leases),
        }
    }

    /// Does something in the folder as whoever it belongs to.
    fn act<T>(&self, deed: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        Identity::act_for(self.user, || deed(&self.folder))?
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Keeps others from taking or giving back addresses meanwhile.
    ///
    /// # Errors
    /// [`Error::Leases`] if the lock cannot be had within a few seconds.
    pub fn lock(&self) -> Result<FolderLock, Error> {
        self.act(FolderLock::acquire)
            .map_err(|error| self.failed("get the lock", error))
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

    /// Removes what the dead have left, and returns it. The lock must be held.
    ///
    /// # Errors
    /// [`Error::Leases`] if that is impossible.
    pub fn remove_dead(&self) -> Result<Vec<Lease>, Error> {
        let mut dead = self.all()?;
        dead.retain(|lease| !lease.owner.is_alive());
        for lease in &dead {
            self.remove(&lease.instance)?;
        }
        Ok(dead)
    }

    /// Writes down what an instance has. The lock must be held.
    ///
    /// # Errors
    /// [`Error::Leases`] if that is impossible; what was written down before stays then.
    pub fn write(&self, lease: &Lease) -> Result<(), Error> {
        let (file, new) = (self.file(&lease.instance), self.folder.join("new"));
        let text = serde_json::to_vec(lease).map_err(io::Error::from);
        text.and_then(|text| {
            self.act(|_| fs::write(&new, text).and_then(|()| fs::rename(&new, &file)))
        })
        .map_err(|error| self.failed("write a lease", error))
    }

    /// An instance has nothing any more.
    ///
    /// # Errors
    /// [`Error::Leases`] if its file cannot be removed.
    pub fn remove(&self, instance: &InstanceId) -> Result<(), Error> {
        match self.act(|_| fs::remove_file(self.file(instance))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove a lease", error))
            }
            _ => Ok(()),
        }
    }

    fn all(&self) -> Result<Vec<Lease>, Error> {
        let read = self.act(|folder| {
            let files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
            let leases = files.filter(|file| file.extension().is_some_and(|is| is == "json"));
            Ok(leases.filter_map(|file| read(&file)).collect())
        });
        let mut leases: Vec<Lease> = read.map_err(|error| self.failed("read", error))?;
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

/// Reads a lease; what is none is left out.
fn read(file: &Path) -> Option<Lease> {
    let lease = read_small(file).and_then(|text| Ok(serde_json::from_slice(&text)?));
    match lease {
        // It has just been removed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        lease => lease
            .inspect_err(|error| {
                tracing::warn!(file = %file.display(), %error, "a lease that cannot be read is left out");
            })
            .ok()
            .map(Lease::of_ours_only),
    }
}

/// Whatever has been put there, it is neither waited for nor read without end.
fn read_small(file: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(file)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not an ordinary file"));
    }
    let mut text = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is too large to be a lease"));
    }
    Ok(text)
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
            aliases: BTreeSet::new(),
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
        assert_eq!(leases.remove_dead().unwrap(), std::slice::from_ref(&dead));
        assert_eq!(fs::read_dir(leases.path()).unwrap().count(), 2);
        leases.remove(&living.instance).unwrap();
        leases.remove(&living.instance).unwrap();
        assert_eq!(leases.living().unwrap(), []);
    }

    #[test]
    fn a_forged_address_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let leases = LeaseFolder::at(folder.path().join("leases")).unwrap();
        let mut forged = lease(Owner::this_process());
        let honest = forged.names.clone();
        for ip in [[203, 0, 113, 5], [0, 0, 0, 0], [127, 0, 0, 1]].map(Ipv4Addr::from) {
            forged.names.push(LeasedName {
                name: "github.com".parse().unwrap(),
                ip,
                ports: Vec::new(),
            });
            forged.aliases.insert(ip);
        }
        leases.write(&forged).unwrap();
        let read = &leases.living().unwrap()[0];
        assert_eq!(read.names, honest);
        assert_eq!(read.aliases, BTreeSet::new());
    }

    #[test]
    fn what_only_looks_like_a_lease_is_neither_read_without_end_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let leases = LeaseFolder::at(folder.path().join("leases")).unwrap();
        let at = |name: &str| leases.path().join(name);
        let mode = nix::sys::stat::Mode::S_IRWXU;
        nix::unistd::mkfifo(&at("fifo.json"), mode).unwrap();
        fs::create_dir(at("folder.json")).unwrap();
        fs::write(at("large.json"), vec![b' '; 2 * 1024 * 1024]).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero.json")).unwrap();
        assert_eq!(leases.living().unwrap(), []);
    }

    #[test]
    fn the_leases_of_a_user_who_is_served_are_the_users() {
        use std::os::unix::fs::MetadataExt as _;

        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(folder.path(), Some(65_534), Some(65_534)).unwrap();
        let user = Identity {
            uid: 65_534,
            gid: 65_534,
        };
        let leases = LeaseFolder::made(folder.path().join("leases"), Some(user)).unwrap();
        let lease = lease(Owner::this_process());
        let _lock = leases.lock().unwrap();
        leases.write(&lease).unwrap();
        for path in [leases.path().to_owned(), leases.file(&lease.instance)] {
            assert_eq!(fs::metadata(path).unwrap().uid(), 65_534);
        }
        assert_eq!(leases.living().unwrap(), std::slice::from_ref(&lease));
        // The user puts a link to a file of root's where the next one is going to be written.
        let precious = folder.path().join("precious");
        fs::write(&precious, "kept").unwrap();
        std::os::unix::fs::symlink(&precious, leases.path().join("new")).unwrap();
        leases.write(&lease).unwrap_err();
        assert_eq!(fs::read(&precious).unwrap(), b"kept");
        leases.remove(&lease.instance).unwrap();
    }

    #[test]
    fn the_holder_of_a_lease_is_named_with_its_pid_and_its_starter() {
        let lease = lease(Owner::this_process());
        let holder = lease.holder();
        assert!(holder.contains(&format!("pid {}", lease.owner.pid)));
        assert!(holder.contains("monday-supervisor shop"));
    }
}
