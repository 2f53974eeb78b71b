//! Where control sockets live, and who may bind, replace and use them.
//!
//! A socket belongs to whoever holds the lock beside it ([`lock`]): only the holder removes what a dead process left
//! and binds anew. The file has mode 0600; the folder that monday itself makes ([`runtime_dir`]) has mode 0700 and is
//! checked for owner, mode and symbolic links before it is trusted.
//!
//! A process that runs as root for a user serves sockets in that user's folder, and does all of this as that user
//! ([`Identity`]): then the socket is the user's, and whoever chose the path has reached nothing with it that was not
//! theirs ([`own_folder`] looks at it beforehand).

pub mod lock;
pub mod own_folder;
pub mod runtime_dir;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::StreamCommon as _;
use interprocess::local_socket::traits::tokio::{Listener as _, Stream as _};
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Name, ToFsName as _};
use interprocess::os::unix::local_socket::ListenerOptionsExt as _;

use crate::identity::Identity;
use lock::{Lock, LockError};

/// The longest path of a socket in bytes, the terminating NUL not counted: `sun_path` of `sockaddr_un` has 108 bytes
/// on Linux (unix(7)) and 104 on macOS.
pub const MAX_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Why a socket could not be served or reached.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The path does not fit into a socket address.
    #[error(
        "cannot use {path} as a socket: the path has {bytes} bytes and the operating system allows {MAX_PATH_BYTES}; choose a shorter one"
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// A living process serves it.
    #[error(
        "cannot serve {path}: the process with pid {pid} serves it already; stop that one or choose another path"
    )]
    InUse {
        /// The socket.
        path: PathBuf,
        /// Who serves it.
        pid: String,
    },
    /// Something that is not a socket of ours is in the way.
    #[error(
        "cannot serve {path}: there is a file of that name that is not a socket; it was left as it is, choose another path"
    )]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// Nobody serves it.
    #[error("nothing is running behind {path}")]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The runtime folder cannot be trusted.
    #[error(transparent)]
    RuntimeDir(#[from] runtime_dir::RuntimeDirError),
    /// The operating system refused.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// A control socket that this process serves. Dropping it removes the socket and its lock.
#[derive(Debug)]
pub struct ControlSocket {
    listener: Listener,
    path: PathBuf,
    /// Whose it is, if that is not who we are.
    user: Option<Identity>,
    /// Dropped last: only its holder may remove the socket.
    lock: Option<Lock>,
}

impl ControlSocket {
    /// Takes the lock, removes what a dead process left and binds the socket with mode 0600.
    ///
    /// # Errors
    /// [`SocketError::InUse`] if a living process serves it; [`SocketError::NotASocket`] if something else is there;
    /// [`SocketError::PathTooLong`]; [`SocketError::Io`] with what the operating system says.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        Self::bind_for(path, None)
    }

    /// The same for a user whom this process serves: the socket is that user's, and nobody else but root is let in.
    ///
    /// # Errors
    /// Those of [`bind`](Self::bind), with that user's rights.
    pub fn bind_for(path: &Path, user: Option<Identity>) -> Result<Self, SocketError> {
        Identity::act_for(user, || Self::bind_here(path, user))
            .map_err(|source| io_error("serve", path, source))?
    }

    fn bind_here(path: &Path, user: Option<Identity>) -> Result<Self, SocketError> {
        check_length(path)?;
        let lock = lock_to_serve(path)?;
        remove_stale(path)?;
        let listener = ListenerOptions::new()
            .name(name(path)?)
            .mode(0o600)
            // We do this ourselves, under the lock.
            .reclaim_name(false)
            .create_tokio()
            .map_err(|source| io_error("bind the socket", path, source))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            user,
            lock: Some(lock),
        })
    }

    /// The user who is let in, besides root.
    #[must_use]
    pub fn serves(&self) -> u32 {
        self.user.unwrap_or_else(Identity::own).uid
    }

    /// Whether that client may be served.
    ///
    /// # Errors
    /// `PermissionDenied` with who the client is.
    pub fn check_peer(&self, client: &Stream) -> io::Result<()> {
        let ours = self.serves();
        match client.peer_creds()?.euid() {
            Some(peer) if peer == ours || peer == 0 => Ok(()),
            Some(peer) => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("the peer's uid is {peer}, only {ours} is served"),
            )),
            None => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the peer's uid is not known",
            )),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next client.
    ///
    /// # Errors
    /// What the operating system says; later calls may succeed.
    pub async fn accept(&self) -> io::Result<Stream> {
        self.listener.accept().await
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let (path, lock) = (&self.path, self.lock.take());
        let removed = Identity::act_for(self.user, || {
            let removed = std::fs::remove_file(path);
            drop(lock);
            removed
        });
        if let Err(error) = removed.and_then(|removed| removed)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "the control socket cannot be removed");
        }
    }
}

/// How often, and how far apart, the lock is tried again while its holder serves nothing: a client that clears away a
/// stale socket holds it for some microseconds.
const LOCK_TRIES: usize = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

fn lock_to_serve(path: &Path) -> Result<Lock, SocketError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match Lock::acquire(path) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Io(source)) => return Err(io_error("lock the socket", path, source)),
            Err(LockError::Held { pid }) => {
                let served = std::os::unix::net::UnixStream::connect(path).is_ok();
                if served || tries == LOCK_TRIES {
                    return Err(SocketError::InUse {
                        path: path.to_owned(),
                        pid,
                    });
                }
                std::thread::sleep(LOCK_PAUSE);
            }
        }
    }
}

/// Connects to a control socket. One that a dead process left behind is removed on the way.
///
/// # Errors
/// [`SocketError::NotRunning`] if nobody serves it, otherwise what the operating system says.
pub async fn connect(path: &Path) -> Result<Stream, SocketError> {
    check_length(path)?;
    match Stream::connect(name(path)?).await {
        Ok(stream) => Ok(stream),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SocketError::NotRunning {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // A free lock proves that the owner is dead; while we hold it nobody binds anew.
            if let Ok(_lock) = Lock::acquire(path) {
                remove_stale(path)?;
            }
            Err(SocketError::NotRunning {
                path: path.to_owned(),
            })
        }
        Err(source) => Err(io_error("connect to", path, source)),
    }
}

/// Who serves the socket, if anybody: the pid that its lock names.
#[must_use]
pub fn owner(path: &Path) -> Option<String> {
    match Lock::acquire(path) {
        Err(LockError::Held { pid }) => Some(pid),
        _ => None,
    }
}

/// Removes a socket, unless somebody serves it.
///
/// # Errors
/// What the operating system says, or that it is no socket.
pub fn remove_dead(path: &Path) -> Result<(), SocketError> {
    match Lock::acquire(path) {
        Ok(_lock) => remove_stale(path),
        Err(LockError::Held { .. }) => Ok(()),
        Err(LockError::Io(source)) => Err(io_error("lock", path, source)),
    }
}

/// Removes a socket that nobody serves. The caller holds the lock.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    use std::os::unix::fs::FileTypeExt as _;

    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(io_error("look at", path, source)),
    };
    if !meta.file_type().is_socket() {
        return Err(SocketError::NotASocket {
            path: path.to_owned(),
        });
    }
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove the stale socket", path, source))
        }
        _ => Ok(()),
    }
}

fn check_length(path: &Path) -> Result<(), SocketError> {
    let bytes = path.as_os_str().len();
    if bytes > MAX_PATH_BYTES {
        return Err(SocketError::PathTooLong {
            path: path.to_owned(),
            bytes,
        });
    }
    Ok(())
}

fn name(path: &Path) -> Result<Name<'_>, SocketError> {
    path.to_fs_name::<GenericFilePath>()
        .map_err(|source| io_error("use as a socket", path, source))
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> SocketError {
    SocketError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn a_socket_is_ours_alone_and_goes_with_its_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let socket = ControlSocket::bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(connect(&path).await.unwrap());
        drop(socket);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(matches!(
            connect(&path).await,
            Err(SocketError::NotRunning { .. })
        ));
    }

    #[tokio::test]
    async fn a_socket_that_is_served_is_refused_with_the_pid_of_its_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let _socket = ControlSocket::bind(&path).unwrap();
        let error = ControlSocket::bind(&path).unwrap_err().to_string();
        assert!(
            error.contains(&format!("pid {}", std::process::id())),
            "{error}"
        );
        assert_eq!(owner(&path), Some(std::process::id().to_string()));
    }

    #[tokio::test]
    async fn a_socket_of_a_dead_process_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(matches!(
            connect(&path).await,
            Err(SocketError::NotRunning { .. })
        ));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let _socket = ControlSocket::bind(&path).unwrap();
        connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        std::fs::write(&path, "data").unwrap();
        assert!(matches!(
            ControlSocket::bind(&path),
            Err(SocketError::NotASocket { .. })
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused_with_its_length() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(200)));
        let error = check_length(&path).unwrap_err().to_string();
        assert!(error.contains("205 bytes"), "{error}");
    }
}
