//! What killed runs have left in the runtime folder: processes that survived their guardian, and sockets that nobody
//! serves.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use monday_shared::lease::{self, Lease};
use monday_shared::platform::process_tree::{Identity, Process};
use monday_shared::socket;
use monday_shared::socket::runtime_dir::{RuntimeDirError, runtime_dir};

/// The control socket of a project's supervisor, in the project's folder.
const SUPERVISOR_SOCKET: &str = "supervisor.sock";

/// The files that a run makes in its folder, beside sockets and leases.
const OWN_FILES: [&str; 2] = [crate::detach::LOG, crate::naming::PRIVATE_FILE];

/// The folder of a project.
#[derive(Clone, Debug)]
pub struct ProjectFolder {
    /// The project's name, shortened where it is long.
    pub name: String,
    path: PathBuf,
}

/// A run that is over, and what is left of it.
#[derive(Clone, Debug)]
pub struct DeadRun {
    /// Whose.
    pub folder: ProjectFolder,
    /// The processes that are still alive.
    pub survivors: Vec<Process>,
    leases: Vec<PathBuf>,
    sockets: Vec<PathBuf>,
    /// Other files that it made.
    files: Vec<PathBuf>,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// Those that were ended.
    pub ended: Vec<Process>,
    /// Those that could not be.
    pub survivors: Vec<Process>,
    /// The sockets and files that were removed.
    pub removed: Vec<PathBuf>,
    /// What else went wrong.
    pub errors: Vec<String>,
}

/// What is in the runtime folder.
#[derive(Clone, Debug, Default)]
pub struct Leftovers {
    /// Projects that run, each with the pid of whoever serves it: nothing of them is touched.
    pub running: Vec<(ProjectFolder, String)>,
    /// What is left of runs that are over.
    pub dead: Vec<DeadRun>,
    /// Sockets on which dead guardians waited to be told that a program is ready.
    pub notify_sockets: Vec<PathBuf>,
}

impl Leftovers {
    /// Looks for them; nothing is changed.
    ///
    /// # Errors
    /// The runtime folder cannot be used.
    pub fn find() -> Result<Self, RuntimeDirError> {
        let root = runtime_dir()?;
        let mut found = Self::default();
        for path in entries(&root) {
            let name = name_of(&path);
            if path.is_dir() && !name.starts_with('.') {
                found.look_at(ProjectFolder { name, path });
            } else if is_socket(&path)
                && notifier(&name).is_some_and(|pid| Identity::of(pid).is_none())
            {
                found.notify_sockets.push(path);
            }
        }
        Ok(found)
    }

    fn look_at(&mut self, folder: ProjectFolder) {
        let files = entries(&folder.path);
        let sockets: Vec<PathBuf> = files
            .iter()
            .filter(|path| is_socket(path))
            .cloned()
            .collect();
        let supervisor = folder.path.join(SUPERVISOR_SOCKET);
        // A supervisor that serves its socket elsewhere still has sidecars that serve theirs here.
        let owner = std::iter::once(&supervisor)
            .chain(&sockets)
            .find_map(|path| socket::owner(path));
        if let Some(pid) = owner {
            self.running.push((folder, pid));
            return;
        }
        let is_lease =
            |path: &&PathBuf| path.extension().is_some_and(|end| end == lease::EXTENSION);
        let leases: Vec<PathBuf> = files
            .iter()
            .filter(is_lease)
            .filter(|path| !is_held(path))
            .cloned()
            .collect();
        let survivors = leases.iter().flat_map(|path| survivors(path)).collect();
        self.dead.push(DeadRun {
            folder,
            survivors,
            leases,
            sockets,
            files: files
                .into_iter()
                .filter(|path| OWN_FILES.contains(&name_of(path).as_str()))
                .collect(),
        });
    }
}

impl DeadRun {
    /// Whether there is nothing of it but an empty folder.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty() && self.sockets.is_empty() && self.files.is_empty()
    }

    /// Ends the processes and removes the rest.
    #[must_use]
    pub fn clean(&self) -> Cleaned {
        let (ended, errors) = lease::end_all(&self.folder.path);
        let mut cleaned = Cleaned {
            ended: ended.ended,
            survivors: ended.survivors,
            removed: Vec::new(),
            errors: errors.iter().map(ToString::to_string).collect(),
        };
        for path in &self.sockets {
            match socket::remove_dead(path) {
                Ok(()) => cleaned.removed.push(path.clone()),
                Err(error) => cleaned.errors.push(error.to_string()),
            }
        }
        for path in &self.files {
            match fs::remove_file(path) {
                Ok(()) => cleaned.removed.push(path.clone()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => cleaned
                    .errors
                    .push(format!("cannot remove {}: {error}", path.display())),
            }
        }
        // Not empty: something in it is not ours, or is needed.
        let _ = fs::remove_dir(&self.folder.path);
        cleaned
    }
}

/// Removes a socket of which [`Leftovers::find`] says that nobody waits on it.
///
/// # Errors
/// What the file system says.
pub fn remove_notify_socket(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The process that made a socket `notify-PID-NUMBER`.
fn notifier(name: &str) -> Option<u32> {
    name.strip_prefix("notify-")?
        .split_once('-')?
        .0
        .parse()
        .ok()
}

fn survivors(path: &Path) -> Vec<Process> {
    read(path)
        .and_then(|lease| lease.survivors().ok())
        .unwrap_or_default()
}

fn is_held(path: &Path) -> bool {
    read(path).is_some_and(|lease| lease.is_held())
}

fn read(path: &Path) -> Option<Lease> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket())
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What is in a folder, in order; nothing where it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_of_a_notify_socket_is_in_its_name() {
        assert_eq!(notifier("notify-16730-1"), Some(16730));
        assert_eq!(notifier("notify-x-1"), None);
        assert_eq!(notifier("supervisor.sock"), None);
    }
}
