//! Who forwards.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::cpu::seconds_of_tree;
use crate::error::{Doing as _, Error};
use monday_tests::sshd::Sshd;

/// How long a forward may take to listen.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// A program that forwards.
pub(super) enum Contender {
    /// The one under test.
    Fwd(PathBuf),
    /// ssh(1).
    OpenSsh,
}

/// A running forward. It ends with this.
pub(super) struct Running {
    address: SocketAddr,
    child: Child,
}

impl Contender {
    /// Starts a forward through the server at that address.
    ///
    /// # Errors
    /// It does not listen.
    pub(super) fn start(
        &self,
        sshd: &Sshd,
        server: SocketAddr,
        target: SocketAddr,
        cipher: &str,
    ) -> Result<Running, Error> {
        let listen = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .doing("find a free port")?;
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective())
            .ok()
            .flatten()
            .map_or_else(|| "root".to_owned(), |user| user.name);
        let destination = format!("{user}@127.0.0.1");
        let known = format!("UserKnownHostsFile={}", sshd.known_hosts().display());
        let cipher = format!("Ciphers={cipher}");
        let port = server.port().to_string();
        let (name, mut command) = match self {
            Self::Fwd(path) => {
                if !path.exists() {
                    return Err(Error::NotBuilt(path.clone()));
                }
                let mut command = Command::new(path);
                command.arg("ssh");
                ("monday-fwd", command)
            }
            Self::OpenSsh => ("ssh", Command::new("ssh")),
        };
        command
            .args(["-F", "none", "-p", &port, "-i"])
            .arg(sshd.key())
            .args(["-o", &known, "-o", &cipher])
            .args(["-o", "StrictHostKeyChecking=accept-new"]);
        match self {
            Self::Fwd(_) => {
                command
                    .arg(destination)
                    .arg(format!("{}:{}", listen.port(), target.port()));
            }
            Self::OpenSsh => {
                command
                    .args(["-N", "-L"])
                    .arg(format!("{listen}:127.0.0.1:{}", target.port()))
                    .arg(destination);
            }
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env_remove("SSH_AUTH_SOCK")
            .spawn()
            .doing(format!("run {name}"))?;
        let running = Running {
            address: listen,
            child,
        };
        // Ours listens before its tunnel is there, so a connection alone says nothing; a byte that comes back would
        // need a server that answers. A while after it listens both have everything.
        let until = Instant::now() + STARTS_WITHIN;
        while TcpStream::connect(listen).is_err() {
            if Instant::now() > until {
                return Err(Error::Contender {
                    program: name.to_owned(),
                    problem: "it does not listen".to_owned(),
                });
            }
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(Duration::from_millis(500));
        Ok(running)
    }
}

impl Running {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU seconds so far.
    pub(super) fn cpu_seconds(&self) -> f64 {
        seconds_of_tree(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
