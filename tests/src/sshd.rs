//! A real sshd of a test's or benchmark's own.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::wait::ProcessFd;

const SSHD: &str = "/usr/sbin/sshd";

/// How long it may take to listen.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// A running sshd with a key that opens it for whoever started it. It ends with this.
#[derive(Debug)]
pub struct Sshd {
    folder: TempDir,
    address: SocketAddr,
    config: PathBuf,
    child: Child,
}

impl Sshd {
    /// Starts it.
    ///
    /// # Errors
    /// A program is missing, or it does not listen.
    pub fn start() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        for key in ["host", "id"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.path().join(key))
                .status()?;
            if !made.success() {
                return Err(io::Error::other("ssh-keygen made no key"));
            }
        }
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let text = format!(
            "ListenAddress {address}\nHostKey {0}/host\nAuthorizedKeysFile {0}/id.pub\nStrictModes no\nUsePAM no\nPidFile none\nMaxStartups 100\n",
            folder.path().display()
        );
        let config = folder.path().join("sshd_config");
        fs::write(&config, text)?;
        if nix::unistd::Uid::effective().is_root() {
            // sshd wants it, and only the service makes it.
            fs::create_dir_all("/run/sshd")?;
        }
        let child = listening(&config, address)?;
        Ok(Self {
            folder,
            address,
            config,
            child,
        })
    }

    /// Ends it with all of its connections, and starts it again in the same place.
    ///
    /// # Errors
    /// It does not listen again.
    pub fn restart(&mut self, meanwhile: impl FnOnce()) -> io::Result<()> {
        self.end();
        meanwhile();
        self.child = listening(&self.config, self.address)?;
        Ok(())
    }

    /// Ends the server and every process that serves a connection: each of those leads a session of its own.
    fn end(&mut self) {
        let own = self.child.id();
        let list = fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in list.unwrap_or_default().split_whitespace() {
            if let Some(serving) = pid.parse().ok().and_then(ProcessFd::open) {
                serving.kill();
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that opens it.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("id")
    }

    /// A file of hosts that nobody else writes.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts the server and waits until it listens.
fn listening(config: &Path, address: SocketAddr) -> io::Result<Child> {
    let child = Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let until = Instant::now() + STARTS_WITHIN;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > until {
            let problem = format!("{SSHD} does not listen");
            return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(child)
}
