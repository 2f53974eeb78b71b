//! The file of a Unix-domain socket that a route listens on: who may have it, and that it goes when the listener does.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::socket::lock::{Lock, LockError};
use socket2::{Domain, SockAddr, Socket, Type};

/// Like our control socket, it is for its owner: others of this machine have no business with it unless the owner lets
/// them (`chmod`).
const MODE: u32 = 0o600;

/// A socket file of ours. Dropping it removes the file, unless another one is there by now.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// Why there is no socket at a path.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Somebody serves it: this process, if it is known.
    InUse(Option<i32>),
    /// Something else is there.
    NotASocket,
    /// The operating system refused.
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Refusal {
    /// As an error for people and for programs.
    pub(crate) fn explain(self, what: &str, path: &Path) -> RpcError {
        let path = path.display();
        match self {
            Self::InUse(pid) => {
                let who = pid.map_or_else(
                    || "somebody else".to_owned(),
                    |pid| format!("the process with pid {pid}"),
                );
                RpcError::new(
                    ErrorKind::PortInUse,
                    format!(
                        "{what}: cannot listen on {path}: {who} serves it; stop that one or choose another path"
                    ),
                )
                .with("pid", pid)
            }
            Self::NotASocket => RpcError::new(
                ErrorKind::Conflict,
                format!(
                    "{what}: cannot listen on {path}: there is a file of that name that is not a socket; it was left as it is, choose another path"
                ),
            ),
            Self::Io(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::NotFound => ErrorKind::NotFound,
                    io::ErrorKind::PermissionDenied => ErrorKind::Denied,
                    _ => ErrorKind::Os,
                };
                let hint = match error.kind() {
                    io::ErrorKind::NotFound => "; make its folder first",
                    _ => "",
                };
                RpcError::new(
                    kind,
                    format!("{what}: cannot listen on {path}: {error}{hint}"),
                )
            }
        }
    }
}

/// Binds a socket to a path. A socket that a dead process left there is replaced; it refuses clients until it listens.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn bind(path: &Path) -> Result<(Socket, SocketFile), Refusal> {
    // Two who find the same stale socket would remove each other's new one.
    let _lock = Lock::acquire(path).map_err(|error| match error {
        LockError::Held { pid } => Refusal::InUse(pid.parse().ok()),
        LockError::Io(error) => Refusal::Io(error),
    })?;
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Nobody can connect before it listens, so nobody can before this.
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    let meta = fs::symlink_metadata(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: (meta.dev(), meta.ino()),
    };
    Ok((socket, file))
}

fn remove_stale(path: &Path) -> Result<(), Refusal> {
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => return Err(Refusal::NotASocket),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A server whose queue is full must not hold us up.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path)?;
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error.into()),
        _ => Err(Refusal::InUse(owner(&probe))),
    }
}

fn owner(probe: &Socket) -> Option<i32> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let credentials =
            nix::sys::socket::getsockopt(probe, nix::sys::socket::sockopt::PeerCredentials).ok()?;
        Some(credentials.pid()).filter(|pid| *pid > 0)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = probe;
        None
    }
}

impl SocketFile {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.identity);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a socket cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_a_dead_process_is_replaced_and_ours_goes_with_us() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (socket, file) = bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        socket.listen(1).unwrap();
        assert!(matches!(bind(&path), Err(Refusal::InUse(_))));
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_is_not_ours_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        fs::write(&path, "data").unwrap();
        assert!(matches!(bind(&path), Err(Refusal::NotASocket)));
        fs::remove_file(&path).unwrap();
        let (_socket, file) = bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "data").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    }
}
