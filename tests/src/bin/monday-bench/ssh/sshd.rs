//! An sshd of the benchmark's own.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::error::{Doing as _, Error};

const SSHD: &str = "/usr/sbin/sshd";

/// How long it may take to listen.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// A running sshd with a key that opens it.
pub(super) struct Sshd {
    folder: TempDir,
    address: SocketAddr,
    child: Child,
}

impl Sshd {
    /// Starts it.
    ///
    /// # Errors
    /// A program is missing, or it does not listen.
    pub(super) fn start() -> Result<Self, Error> {
        let folder = tempfile::tempdir().doing("make a folder")?;
        for key in ["host", "id"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.path().join(key))
                .status()
                .doing("run ssh-keygen")?;
            if !made.success() {
                return Err(failed("ssh-keygen made no key"));
            }
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .doing("find a free port")?;
        let text = format!(
            "ListenAddress {port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/id.pub\nStrictModes no\nUsePAM no\nPidFile none\nMaxStartups 100\n",
            folder.path().display()
        );
        let config = folder.path().join("sshd_config");
        fs::write(&config, text).doing("write its configuration")?;
        if nix::unistd::Uid::effective().is_root() {
            // sshd wants it, and only the service makes it.
            fs::create_dir_all("/run/sshd").doing("make /run/sshd")?;
        }
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .doing(format!("run {SSHD}"))?;
        let sshd = Self {
            folder,
            address: port,
            child,
        };
        let until = Instant::now() + STARTS_WITHIN;
        while TcpStream::connect(port).is_err() {
            if Instant::now() > until {
                return Err(failed("it does not listen"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(sshd)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that opens it.
    pub(super) fn key(&self) -> PathBuf {
        self.folder.path().join("id")
    }

    /// A file of hosts that nobody else writes.
    pub(super) fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn failed(problem: &str) -> Error {
    Error::Contender {
        program: SSHD.to_owned(),
        problem: problem.to_owned(),
    }
}
