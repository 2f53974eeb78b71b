//! A lease on processes: what a guardian leaves in a file, so that whoever comes after it can end what survived it.
//!
//! A guardian ends its processes, and one above it ends them if the guardian is killed. If both are killed at once,
//! nobody is left to act at that moment: then this file is what the next start, or a clean-up, goes by.
//!
//! A process is only ever touched if it **carries the lease's mark** in its environment, which the guardian gives to
//! all that it starts and which is passed on from parent to child, or is the command itself, by number and start time,
//! in the same boot. A number alone means nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::platform::process_tree::{Identity, Process, Table, environment_has, kill_round};

/// The variable that carries the mark, and after a colon each those of the guardians that the guardian itself runs
/// under.
pub const MARK_VARIABLE: &str = "MONDAY_RUN_MARK";

/// How long killed processes may take to vanish.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause between two rounds: about what a killed process needs to vanish.
const PAUSE: Duration = Duration::from_millis(5);

/// What is written in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The value of [`MARK_VARIABLE`].
    pub mark: String,
    /// The command's process number, which is that of its group and session as well.
    pub pid: u32,
    /// When it started, in the unit of [`Identity::started`].
    pub started: u64,
    /// In which boot of the machine that was; empty where the system does not tell.
    pub boot: String,
    /// The guardian's process number.
    pub guardian: u32,
    /// When the guardian started.
    pub guardian_started: u64,
}

/// Why a lease cannot be kept or ended.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} the lease {}: {source}", path.display())]
pub struct LeaseError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// What ending a lease came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Who had survived, and is gone now.
    pub ended: Vec<Process>,
    /// Who could not be ended: the lease stays.
    pub survivors: Vec<Process>,
}

impl Lease {
    /// A lease of this process on a command that it has just started.
    #[must_use]
    pub fn of(mark: &str, pid: u32) -> Self {
        let own = std::process::id();
        let started = |pid| Identity::of(pid).map_or(0, |id| id.started);
        Self {
            mark: mark.to_owned(),
            pid,
            started: started(pid),
            boot: boot(),
            guardian: own,
            guardian_started: started(own),
        }
    }

    /// The same before the command is started: what carries the mark is named by it already.
    #[must_use]
    pub fn before_start(mark: &str) -> Self {
        Self {
            pid: 0,
            started: 0,
            ..Self::of(mark, 0)
        }
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`LeaseError`] with what the file system says.
    pub fn write(&self, path: &Path) -> Result<(), LeaseError> {
        let error = |source| LeaseError {
            what: "write",
            path: path.to_owned(),
            source,
        };
        let text = serde_json::to_vec(self).map_err(|e| error(e.into()))?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        fs::write(&temporary, text).map_err(error)?;
        fs::rename(&temporary, path).map_err(|source| {
            // Nothing else can be done about a file that nobody reads.
            let _ = fs::remove_file(&temporary);
            error(source)
        })
    }

    /// Whether the guardian is alive, so that its processes are nobody else's business.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let guardian = Identity {
            pid: self.guardian,
            started: self.guardian_started,
        };
        // A zombie, whom nobody has waited for yet, does nothing any more; it is not among the living. If they cannot be
        // listed, everybody counts as alive.
        let lives = || {
            let table = Table::read();
            table.map_or(true, |table| {
                !table.living(|process| process.id == guardian).is_empty()
            })
        };
        self.boot == boot() && guardian.exists() && lives()
    }

    /// Who has survived.
    ///
    /// # Errors
    /// The list of processes cannot be read.
    pub fn survivors(&self) -> io::Result<Vec<Process>> {
        if self.boot != boot() {
            return Ok(Vec::new());
        }
        let command = Identity {
            pid: self.pid,
            started: self.started,
        };
        let carries = |marks: &str| marks.split(':').any(|mark| mark == self.mark);
        let ours = |process: &Process| {
            process.id == command || environment_has(process.id, MARK_VARIABLE, carries)
        };
        Ok(Table::read()?.living(ours))
    }
}

/// Ends who has survived the lease of that file, and removes the file. Nothing is done if there is none, or if its
/// guardian is alive.
///
/// # Errors
/// [`LeaseError`] if the file cannot be read or removed, or processes cannot be listed.
pub fn end(path: &Path) -> Result<Ended, LeaseError> {
    let error = |what: &'static str| {
        move |source| LeaseError {
            what,
            path: path.to_owned(),
            source,
        }
    };
    let text = match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Ended::default()),
        read => read.map_err(error("read"))?,
    };
    // A file that is no lease names nobody.
    let lease: Option<Lease> = serde_json::from_slice(&text).ok();
    if lease.as_ref().is_some_and(Lease::is_held) {
        return Ok(Ended::default());
    }
    let mut ended = Ended::default();
    if let Some(lease) = lease {
        ended = end_survivors(&lease).map_err(error("end"))?;
    }
    if ended.survivors.is_empty() {
        fs::remove_file(path).map_err(error("remove"))?;
    }
    Ok(ended)
}

/// The end of the name of every lease.
pub const EXTENSION: &str = "lease";

/// Ends who has survived any lease in that folder, which whoever starts there anew, or cleans up, does first. Leases
/// whose guardians are alive are left alone. A folder that is not there has none.
///
/// What goes wrong with one lease does not keep the others from being ended, so it is returned beside the result.
#[must_use]
pub fn end_all(folder: &Path) -> (Ended, Vec<LeaseError>) {
    let (mut all, mut errors) = (Ended::default(), Vec::new());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return (all, errors),
        Err(source) => {
            errors.push(LeaseError {
                what: "look for",
                path: folder.join(format!("*.{EXTENSION}")),
                source,
            });
            return (all, errors);
        }
    };
    let leases = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == EXTENSION));
    for path in leases {
        match end(&path) {
            Ok(ended) => {
                all.ended.extend(ended.ended);
                all.survivors.extend(ended.survivors);
            }
            Err(error) => errors.push(error),
        }
    }
    (all, errors)
}

fn end_survivors(lease: &Lease) -> io::Result<Ended> {
    let mut ended = Ended::default();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = lease.survivors()?;
        ended.ended.extend(
            left.iter()
                .filter(|p| !ended.ended.contains(p))
                .cloned()
                .collect::<Vec<_>>(),
        );
        let denied = kill_round(&left);
        if left.len() == denied.len() || Instant::now() >= deadline {
            ended.ended.retain(|process| !left.contains(process));
            ended.survivors = left;
            return Ok(ended);
        }
        // Whoever forked meanwhile is met in the next round.
        std::thread::sleep(PAUSE);
    }
}

/// Which boot of the machine this is.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn marked(mark: &str) -> Child {
        Command::new("sleep")
            .arg("1000")
            .env(MARK_VARIABLE, mark)
            .spawn()
            .unwrap()
    }

    /// A lease of a guardian that is dead.
    fn abandoned(mark: &str, pid: u32) -> Lease {
        Lease {
            guardian_started: 1,
            ..Lease::of(mark, pid)
        }
    }

    #[test]
    fn survivors_with_the_mark_are_ended_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.lease");
        let mark = format!("one-{}", std::process::id());
        // A guardian under a guardian: each has its mark on what the inner one started.
        let mut ours = marked(&format!("inner:{mark}:outer"));
        let mut other = marked(&format!("another-{}", std::process::id()));
        // The command itself is long gone, and its number is somebody else's by now.
        let lease = Lease {
            started: 1,
            ..abandoned(&mark, other.id())
        };
        // The child has the mark only once it is itself, and not a copy of this process.
        while lease.survivors().unwrap().is_empty() {
            std::thread::yield_now();
        }
        lease.write(&path).unwrap();
        let waiter = std::thread::spawn(move || ours.wait().unwrap());
        let ended = end(&path).unwrap();
        assert_eq!((ended.ended.len(), ended.survivors.len()), (1, 0));
        assert!(!waiter.join().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        assert!(!path.exists());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn the_lease_of_a_living_guardian_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.lease");
        let mut child = marked(&format!("held-{}", std::process::id()));
        let lease = Lease::of("held", child.id());
        lease.write(&path).unwrap();
        assert_eq!(end(&path).unwrap(), Ended::default());
        assert!(path.exists() && child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_guardian_whom_nobody_has_waited_for_holds_nothing_any_more() {
        let mut guardian = Command::new("sleep").arg("1000").spawn().unwrap();
        let id = Identity::of(guardian.id()).unwrap();
        let lease = Lease {
            guardian: id.pid,
            guardian_started: id.started,
            ..Lease::of("held", 0)
        };
        assert!(lease.is_held());
        guardian.kill().unwrap();
        while lease.is_held() {
            std::thread::yield_now();
        }
        assert!(id.exists(), "it was not waited for");
        guardian.wait().unwrap();
    }

    #[test]
    fn all_leases_of_a_folder_are_ended_and_a_folder_that_is_not_there_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut waiters = Vec::new();
        for name in ["api", "db"] {
            let mark = format!("all-{name}-{}", std::process::id());
            let mut ours = marked(&mark);
            let lease = abandoned(&mark, ours.id());
            while lease.survivors().unwrap().is_empty() {
                std::thread::yield_now();
            }
            lease
                .write(&folder.path().join(name).with_extension(EXTENSION))
                .unwrap();
            waiters.push(std::thread::spawn(move || ours.wait().unwrap()));
        }
        let (ended, errors) = end_all(folder.path());
        assert_eq!((ended.ended.len(), errors.len()), (2, 0));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        for waiter in waiters {
            assert!(!waiter.join().unwrap().success());
        }
        let (ended, errors) = end_all(&folder.path().join("nothing"));
        assert!(ended == Ended::default() && errors.is_empty());
    }

    #[test]
    fn a_lease_of_another_boot_and_a_file_that_is_none_name_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.lease");
        let mut child = marked(&format!("boot-{}", std::process::id()));
        let lease = Lease {
            boot: "another".to_owned(),
            ..Lease::of("boot", child.id())
        };
        lease.write(&path).unwrap();
        assert_eq!(end(&path).unwrap(), Ended::default());
        assert!(!path.exists() && child.try_wait().unwrap().is_none());
        fs::write(&path, "{\"mark\":").unwrap();
        assert_eq!(end(&path).unwrap(), Ended::default());
        assert!(!path.exists());
        assert_eq!(end(&path).unwrap(), Ended::default(), "there is none");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
