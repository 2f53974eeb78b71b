//! The socket on which a command says itself that it is ready (`sd_notify(3)`).

use std::io;
use std::path::{Path, PathBuf};

use monday_shared::socket::runtime_dir::runtime_dir;
use tokio::net::UnixDatagram;

/// A message is a few short lines; what is longer is cut off.
const MESSAGE_BYTES: usize = 4096;

/// The socket. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl NotifySocket {
    /// Makes one in the runtime folder of this user, which nobody else can enter.
    ///
    /// # Errors
    /// What the system says about the folder or the socket.
    pub(crate) fn bind(generation: u64) -> io::Result<Self> {
        let folder = runtime_dir().map_err(io::Error::other)?;
        Self::bind_in(&folder, generation)
    }

    fn bind_in(folder: &Path, generation: u64) -> io::Result<Self> {
        let path = folder.join(format!("notify-{}-{generation}", std::process::id()));
        // Left by a process that had our number and was killed.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(&path)?;
        Ok(Self { socket, path })
    }

    /// What the command finds in `NOTIFY_SOCKET`.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the command says that it is ready.
    ///
    /// # Errors
    /// What the system says, in words.
    pub(crate) async fn ready(&mut self) -> Result<(), String> {
        let mut message = vec![0; MESSAGE_BYTES];
        loop {
            let bytes = self
                .socket
                .recv(&mut message)
                .await
                .map_err(|error| format!("its notification socket cannot be read: {error}"))?;
            let message = message.get(..bytes).unwrap_or_default();
            if message
                .split(|&byte| byte == b'\n')
                .any(|line| line == b"READY=1")
            {
                return Ok(());
            }
        }
    }

    /// Goes on reading what the command says, so that it never waits, until it is dropped.
    pub(crate) async fn ignore(self) {
        let mut message = [0; 1];
        while self.socket.recv(&mut message).await.is_ok() {}
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // If it cannot be removed, the next one with this name removes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_is_one_line_among_others_and_the_socket_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let mut socket = NotifySocket::bind_in(folder.path(), 1).unwrap();
        let path = socket.path().to_owned();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"STATUS=READY=1 soon", &path).await.unwrap();
        sender
            .send_to(b"STATUS=up\nREADY=1\n", &path)
            .await
            .unwrap();
        assert_eq!(socket.ready().await, Ok(()));
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_of_a_dead_process_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let first = NotifySocket::bind_in(folder.path(), 1).unwrap();
        std::mem::forget(first);
        assert!(NotifySocket::bind_in(folder.path(), 1).is_ok());
    }
}
