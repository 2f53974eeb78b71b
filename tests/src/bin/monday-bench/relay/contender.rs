//! Those who relay: how each is started in front of a server, on a port that nobody has to guess.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tempfile::TempDir;

use crate::cpu;
use crate::error::{Doing as _, Error};

/// How long a relay may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// A way from a client to a server.
#[derive(Debug)]
pub(crate) struct Contender {
    label: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// No relay at all.
    Raw,
    Tcpproxy(PathBuf, &'static [&'static str]),
    Toxiproxy,
    Haproxy,
    Socat,
}

/// What came of starting one.
#[derive(Debug)]
pub(crate) enum Start {
    Running(Relay),
    /// It is not installed; the text says so.
    Missing(String),
}

/// A relay in front of a server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    /// Where its second route listens.
    other: Option<SocketAddr>,
    child: Option<Child>,
    /// Its configuration, if it needs one.
    _folder: Option<TempDir>,
}

impl Relay {
    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The CPU seconds that it has used so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.child
            .as_ref()
            .map_or(0.0, |child| cpu::seconds_of_tree(child.id()))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may be gone already, which is just as well.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Contender {
    /// The client is connected to the server directly.
    pub(crate) fn raw() -> Self {
        Self {
            label: "raw loopback".to_owned(),
            kind: Kind::Raw,
        }
    }

    /// A build of monday-tcpproxy.
    ///
    /// # Errors
    /// There is no such executable.
    pub(crate) fn tcpproxy(label: &str, path: PathBuf) -> Result<Self, Error> {
        if !path.is_file() {
            return Err(Error::NotBuilt(path));
        }
        Ok(Self {
            label: label.to_owned(),
            kind: Kind::Tcpproxy(path, &[]),
        })
    }

    /// A build of monday-tcpproxy with a fault that does nothing, so that every byte takes the way of those with faults.
    ///
    /// # Errors
    /// There is no such executable.
    pub(crate) fn tcpproxy_with_fault(path: PathBuf) -> Result<Self, Error> {
        let mut contender = Self::tcpproxy("with one fault", path.clone())?;
        contender.kind = Kind::Tcpproxy(path, &["--fault", "ROUTE1:latency=0"]);
        Ok(contender)
    }

    /// toxiproxy, as `make peers` installs it.
    pub(crate) fn toxiproxy() -> Self {
        Self {
            label: "toxiproxy".to_owned(),
            kind: Kind::Toxiproxy,
        }
    }

    /// haproxy in TCP mode with splicing and two threads.
    pub(crate) fn haproxy() -> Self {
        Self {
            label: "haproxy".to_owned(),
            kind: Kind::Haproxy,
        }
    }

    /// socat, a process per connection.
    pub(crate) fn socat() -> Self {
        Self {
            label: "socat".to_owned(),
            kind: Kind::Socat,
        }
    }

    /// What it is called in the table.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Starts it in front of that server.
    ///
    /// # Errors
    /// It is there and does not work.
    pub(crate) fn start(&self, server: SocketAddr) -> Result<Start, Error> {
        match &self.kind {
            Kind::Raw => Ok(Start::Running(Relay {
                address: server,
                other: None,
                child: None,
                _folder: None,
            })),
            Kind::Tcpproxy(path, more) => self.start_tcpproxy(path, more, server),
            Kind::Toxiproxy => self.start_toxiproxy(server),
            Kind::Haproxy => self.start_haproxy(server),
            Kind::Socat => self.start_socat(server),
        }
    }

    fn start_tcpproxy(
        &self,
        path: &Path,
        more: &[&str],
        server: SocketAddr,
    ) -> Result<Start, Error> {
        let mut child = Command::new(path)
            .args(["--output", "json", &format!("127.0.0.1:0={server}")])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .doing(format!("start {}", path.display()))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .doing(format!("read what {} says", path.display()))?;
        }
        let mut relay = Relay {
            address: server,
            other: None,
            child: Some(child),
            _folder: None,
        };
        relay.other = listen_of_ready_line(&line, 1);
        relay.address = listen_of_ready_line(&line, 0)
            .ok_or_else(|| self.broken(format!("its first line is no ready line: {line:?}")))?;
        Ok(Start::Running(relay))
    }

    /// One process with two routes: the first as it is written, the second to that server.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start_two(
        &self,
        first: &str,
        second: SocketAddr,
    ) -> Result<Option<(Relay, Relay)>, Error> {
        let Kind::Tcpproxy(path, _) = &self.kind else {
            return Ok(None);
        };
        let Start::Running(second) = self.start_tcpproxy(path, &[first], second)? else {
            return Ok(None);
        };
        let Some(other) = second.other else {
            return Ok(None);
        };
        let first = Relay {
            address: other,
            other: None,
            child: None,
            _folder: None,
        };
        Ok(Some((first, second)))
    }

    /// toxiproxy cannot say which port its interface got, nor take over a listener, so its ports are free ones a moment
    /// before.
    fn start_toxiproxy(&self, server: SocketAddr) -> Result<Start, Error> {
        let free = || -> Result<u16, Error> { Ok(Inherited::bind()?.address()?.port()) };
        let (port, api) = (free()?, free()?);
        let folder = tempfile::tempdir().doing("make a folder for toxiproxy's configuration")?;
        let config = folder.path().join("toxiproxy.json");
        let listen = format!("127.0.0.1:{port}");
        let proxies = serde_json::json!([{
            "name": "bench", "listen": listen, "upstream": server.to_string(), "enabled": true,
        }]);
        fs::write(&config, proxies.to_string()).doing("write toxiproxy's configuration")?;
        let mut command = Command::new("toxiproxy-server");
        command
            .args(["-host", "127.0.0.1", "-port", &api.to_string(), "-config"])
            .arg(&config)
            .env("LOG_LEVEL", "error")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let Some(child) = self.spawn(&mut command)? else {
            return Ok(Start::Missing(
                "not installed, try: make peers (needs Go)".to_owned(),
            ));
        };
        self.wait_until_it_answers(Relay {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            other: None,
            child: Some(child),
            _folder: Some(folder),
        })
    }

    /// haproxy takes over a listener of ours, for it cannot say which free port it got.
    fn start_haproxy(&self, server: SocketAddr) -> Result<Start, Error> {
        let listener = Inherited::bind()?;
        let folder = tempfile::tempdir().doing("make a folder for haproxy's configuration")?;
        let config = folder.path().join("haproxy.cfg");
        fs::write(&config, haproxy_config(listener.fd(), server))
            .doing("write haproxy's configuration")?;
        let mut command = Command::new("haproxy");
        command.args(["-q", "-db", "-f"]).arg(&config);
        let Some(child) = self.spawn(&mut command)? else {
            return Ok(self.missing());
        };
        let relay = Relay {
            address: listener.address()?,
            other: None,
            child: Some(child),
            _folder: Some(folder),
        };
        // From here on the listener is open only if haproxy has it.
        drop(listener);
        self.wait_until_it_answers(relay)
    }

    /// socat names its port only in its log.
    fn start_socat(&self, server: SocketAddr) -> Result<Start, Error> {
        let mut command = Command::new("socat");
        command
            .args(["-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1,backlog=1024,fork"])
            .arg(format!("TCP:{server},nodelay"))
            .stderr(Stdio::piped());
        let Some(mut child) = self.spawn(&mut command)? else {
            return Ok(self.missing());
        };
        let mut line = String::new();
        if let Some(stderr) = child.stderr.take() {
            let mut log = BufReader::new(stderr);
            log.read_line(&mut line).doing("read what socat says")?;
            // It stops when nobody reads its log.
            thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        }
        let mut relay = Relay {
            address: server,
            other: None,
            child: Some(child),
            _folder: None,
        };
        relay.address = line
            .split_whitespace()
            .last()
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| self.broken(format!("its first line names no port: {line:?}")))?;
        Ok(Start::Running(relay))
    }

    /// `None`: there is no such program.
    fn spawn(&self, command: &mut Command) -> Result<Option<Child>, Error> {
        match command.stdin(Stdio::null()).spawn() {
            Ok(child) => Ok(Some(child)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io {
                doing: format!("start {}", self.label),
                source,
            }),
        }
    }

    fn missing(&self) -> Start {
        Start::Missing(format!(
            "not installed, try: apt-get install {}",
            self.label
        ))
    }

    fn broken(&self, problem: String) -> Error {
        Error::Contender {
            program: self.label.clone(),
            problem,
        }
    }

    fn wait_until_it_answers(&self, mut relay: Relay) -> Result<Start, Error> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let ended = match &mut relay.child {
                Some(child) => child.try_wait().doing(format!("wait for {}", self.label))?,
                None => None,
            };
            let connected = TcpStream::connect_timeout(&relay.address, START_TIMEOUT);
            match (ended, connected) {
                (None, Ok(_)) => return Ok(Start::Running(relay)),
                (None, Err(_)) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(10));
                }
                (ended, _) => {
                    return Err(self.broken(ended.map_or_else(
                        || "does not accept connections".to_owned(),
                        |status| format!("ended at once with {status}"),
                    )));
                }
            }
        }
    }
}

/// A listener on a free port that a child inherits under the same descriptor number, so that no port is guessed.
#[derive(Debug)]
struct Inherited(TcpListener);

impl Inherited {
    fn bind() -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").doing("listen on 127.0.0.1:0")?;
        fcntl(&listener, FcntlArg::F_SETFD(FdFlag::empty()))
            .map_err(io::Error::from)
            .doing("make a listener inheritable")?;
        Ok(Self(listener))
    }

    fn fd(&self) -> i32 {
        self.0.as_raw_fd()
    }

    fn address(&self) -> Result<SocketAddr, Error> {
        self.0.local_addr().doing("ask a listener for its port")
    }
}

/// `maxconn` stays below what 20,000 file descriptors allow, or haproxy refuses to start.
fn haproxy_config(listener: i32, server: SocketAddr) -> String {
    format!(
        "\
global
    maxconn 4000
    nbthread 2
defaults
    mode tcp
    option splice-request
    option splice-response
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend in
    bind fd@{listener}
    default_backend out
backend out
    server target {server}
"
    )
}

/// The address of the route at that place of a ready line.
fn listen_of_ready_line(line: &str, place: usize) -> Option<SocketAddr> {
    let ready: serde_json::Value = serde_json::from_str(line).ok()?;
    ready
        .pointer(&format!("/routes/{place}/listen"))?
        .as_str()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_ready_line() {
        let line = r#"{"event":"ready","routes":[{"id":"ROUTE1","listen":"127.0.0.1:4711"}]}"#;
        assert_eq!(
            listen_of_ready_line(line, 0),
            Some(SocketAddr::from(([127, 0, 0, 1], 4711)))
        );
        assert_eq!(listen_of_ready_line("listening on 4711", 0), None);
    }
}
