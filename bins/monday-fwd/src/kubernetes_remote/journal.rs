//! What is about to be changed in clusters, noted on this machine before it is: so that whoever comes after a process that
//! died knows what to put back.
//!
//! An entry is a file of its own. Whoever acts on it holds its lock, which the kernel frees with the holder.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use monday_shared::platform::process_tree::Identity;
use monday_shared::protocol::fwd::KubernetesRemoteSpec;
use monday_shared::socket::lock::{Lock, LockError};
use monday_shared::state_dir::remote_journal;
use serde::{Deserialize, Serialize};

/// How the files end.
const SUFFIX: &str = ".json";

/// A process for all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pid: u32,
    started: u64,
}

impl From<Identity> for Process {
    fn from(id: Identity) -> Self {
        Self {
            pid: id.pid,
            started: id.started,
        }
    }
}

impl Process {
    /// This process.
    pub(crate) fn own() -> Self {
        let pid = std::process::id();
        // It is there as long as it asks.
        Identity::of(pid).map_or(Self { pid, started: 0 }, Self::from)
    }

    /// Is it still there?
    pub(crate) fn exists(self) -> bool {
        let (pid, started) = (self.pid, self.started);
        Identity { pid, started }.exists()
    }

    /// Its number.
    pub(crate) fn pid(self) -> u32 {
        self.pid
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.pid, self.started)
    }
}

impl std::str::FromStr for Process {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once(':')
            .and_then(|(pid, started)| Some((pid.parse().ok()?, started.parse().ok()?)));
        let (pid, started) = parsed.ok_or_else(|| format!("`{text}` is no process"))?;
        Ok(Self { pid, started })
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The session.
    pub(crate) id: String,
    /// As it was wished for; the cluster is in it.
    pub(crate) spec: KubernetesRemoteSpec,
    /// The context that was meant, whichever is current later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<String>,
    /// The kubeconfig that was meant, if it was one file, whatever the environment says later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The API server.
    pub(crate) server: String,
    /// The namespace.
    pub(crate) namespace: String,
    /// What is changed.
    pub(crate) object: super::objects::Name,
    /// Which of that name.
    pub(crate) uid: String,
    /// The seed of the key with which the agents let us in, in base64.
    pub(crate) key: String,
    /// Whose it is.
    pub(crate) holder: Process,
    /// Who starts that one again when it dies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) supervisor: Option<Process>,
}

/// Where the entries are.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// There is no place for it.
    #[error(
        "there is no place for the journal of what is changed in clusters: neither XDG_STATE_HOME nor HOME is an absolute path"
    )]
    Nowhere,
    /// The system refused.
    #[error("cannot {what} {}: {source}; nothing is changed in a cluster that is not noted there first", .path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Another process acts on it.
    #[error("process {pid} has that session")]
    Held { pid: String },
}

impl Journal {
    /// The one of this user.
    ///
    /// # Errors
    /// [`JournalError::Nowhere`]
    pub(crate) fn own() -> Result<Self, JournalError> {
        let folder = remote_journal().ok_or(JournalError::Nowhere)?;
        Ok(Self { folder })
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}{SUFFIX}"))
    }

    /// Writes an entry, for a power failure as well.
    ///
    /// # Errors
    /// [`JournalError::Io`]
    pub(crate) fn write(&self, entry: &Entry) -> Result<(), JournalError> {
        let path = self.path(&entry.id);
        let written = || {
            self.make_folder()?;
            let temporary = path.with_extension("new");
            let mut file = File::options()
                .write(true)
                .create(true)
                .truncate(true)
                // It holds a key.
                .mode(0o600)
                .open(&temporary)?;
            let text = serde_json::to_vec_pretty(entry)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        written().map_err(|source| JournalError::Io {
            what: "write",
            path: path.clone(),
            source,
        })
    }

    fn make_folder(&self) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
    }

    /// An entry; nothing if there is none (any more).
    pub(crate) fn read(&self, id: &str) -> Option<Entry> {
        read(&self.path(id))
    }

    /// All entries. What cannot be understood is none.
    pub(crate) fn all(&self) -> Vec<Entry> {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut entries: Vec<Entry> = files
            .filter(|file| file.file_name().to_string_lossy().ends_with(SUFFIX))
            .filter_map(|file| read(&file.path()))
            .collect();
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        entries
    }

    /// Takes the right to act on an entry.
    ///
    /// # Errors
    /// [`JournalError`]
    pub(crate) fn lock(&self, id: &str) -> Result<Lock, JournalError> {
        let path = self.path(id);
        let io = |source| JournalError::Io {
            what: "lock",
            path: path.clone(),
            source,
        };
        self.make_folder().map_err(io)?;
        Lock::acquire(&path).map_err(|error| match error {
            LockError::Held { pid } => JournalError::Held { pid },
            LockError::Io(source) => io(source),
        })
    }

    /// There is nothing left to put back.
    pub(crate) fn remove(&self, id: &str) {
        if let Err(error) = fs::remove_file(self.path(id))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(id, %error, "an entry of the journal cannot be removed");
        }
    }
}

fn read(path: &Path) -> Option<Entry> {
    let text = fs::read(path).ok()?;
    match serde_json::from_slice(&text) {
        Ok(entry) => Some(entry),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "an entry of the journal cannot be understood");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes_remote::objects::{Kind, Name};

    fn entry(id: &str) -> Entry {
        Entry {
            id: id.to_owned(),
            spec: serde_json::from_value(serde_json::json!({
                "id": "a", "deployment": "web", "ports": [{"port": 80, "target": "127.0.0.1:8080"}],
            }))
            .unwrap(),
            context: Some("dev".to_owned()),
            kubeconfig: Some("/k".into()),
            server: "https://s".to_owned(),
            namespace: "shop".to_owned(),
            object: Name {
                kind: Kind::Deployment,
                name: "web".to_owned(),
            },
            uid: "u".to_owned(),
            key: String::new(),
            holder: Process::own(),
            supervisor: None,
        }
    }

    #[test]
    fn what_is_written_is_found_again_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal {
            folder: folder.path().join("a/b"),
        };
        assert_eq!(journal.all(), []);
        for id in ["one", "two"] {
            journal.write(&entry(id)).unwrap();
        }
        fs::write(journal.path("three"), "{").unwrap();
        assert_eq!(journal.all(), [entry("one"), entry("two")]);
        journal.remove("one");
        assert_eq!(journal.read("one"), None);
        assert_eq!(journal.all().len(), 1);
    }

    #[test]
    fn one_at_a_time_acts_on_an_entry() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal {
            folder: folder.path().to_owned(),
        };
        let lock = journal.lock("one").unwrap();
        assert!(matches!(
            journal.lock("one"),
            Err(JournalError::Held { .. })
        ));
        drop(lock);
        assert!(journal.lock("one").is_ok());
    }

    #[test]
    fn a_process_can_be_written_down() {
        let own = Process::own();
        assert!(own.exists());
        assert_eq!(own.to_string().parse(), Ok(own));
        let gone = Process {
            started: own.started + 1,
            ..own
        };
        assert!(!gone.exists());
    }
}
