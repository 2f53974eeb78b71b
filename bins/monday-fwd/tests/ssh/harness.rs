//! A real sshd on a port of loopback, servers behind it, and the built executable in front of it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Nothing on loopback takes this long unless it hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

const SSHD: &str = "/usr/sbin/sshd";

/// Whether there is an sshd; says so if there is not, and fails where it has to be there.
pub(crate) fn has_sshd() -> bool {
    if Path::new(SSHD).exists() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{SSHD} is missing: install openssh-server"
    );
    eprintln!("SKIPPED: {SSHD} is missing: install openssh-server");
    false
}

/// The user that these tests log in as: whoever runs them.
pub(crate) fn user() -> String {
    let uid = nix::unistd::Uid::effective();
    nix::unistd::User::from_uid(uid).unwrap().unwrap().name
}

/// Makes a key; `passphrase` encrypts it.
pub(crate) fn keygen(path: &Path, kind: &str, passphrase: &str) {
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"])
        .arg(path));
}

/// Runs a program that has to succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with a key, a home folder, and servers.
pub(crate) struct World {
    pub(crate) folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self { folder };
        fs::create_dir_all(world.path("home/.ssh")).unwrap();
        keygen(&world.path("id"), "ed25519", "");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `-i KEY -p PORT -F none`, as arguments.
    pub(crate) fn args(&self, sshd: &Sshd) -> Vec<String> {
        vec![
            "-i".into(),
            self.path("id").display().to_string(),
            "-p".into(),
            sshd.port.to_string(),
            "-F".into(),
            "none".into(),
        ]
    }

    /// Starts an sshd that lets the key in; `extra` is put before its configuration.
    pub(crate) fn sshd(&self, name: &str, extra: &str) -> Sshd {
        Sshd::start(self, name, free_port(), extra)
    }

    /// The executable, for this world's home folder.
    pub(crate) fn fwd(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monday-fwd"));
        command
            .env("HOME", self.path("home"))
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `monday-fwd ssh ME@127.0.0.1 ... RULES`, which becomes ready.
    pub(crate) fn forward(&self, sshd: &Sshd, more: &[&str]) -> Fwd {
        self.start("ssh", sshd, more)
    }

    /// The same for any kind.
    pub(crate) fn start(&self, kind: &str, sshd: &Sshd, more: &[&str]) -> Fwd {
        let mut command = self.fwd();
        command
            .args([kind, "--output", "json"])
            .args(self.args(sshd))
            .arg(format!("{}@127.0.0.1", user()))
            .args(more);
        Fwd::start(command)
    }

    /// The same, which has to fail, and what it says.
    pub(crate) fn fails(&self, kind: &str, args: &[String], more: &[&str]) -> String {
        let mut command = self.fwd();
        command.arg(kind).args(args).args(more);
        failure(command)
    }
}

/// Runs a command that has to end with 1 by itself, and returns what it says.
pub(crate) fn failure(mut command: Command) -> String {
    let mut child = Stopped(command.spawn().unwrap());
    let until = Instant::now() + HANGS;
    let status = loop {
        match child.0.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            None => panic!("{command:?} does not end"),
        }
    };
    let mut said = String::new();
    child
        .0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    said
}

/// A port that nobody listens on right now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A process that is killed with this.
pub(crate) struct Stopped(pub(crate) Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running sshd.
pub(crate) struct Sshd {
    pub(crate) port: u16,
    config: PathBuf,
    log: PathBuf,
    process: Option<Stopped>,
}

impl Sshd {
    fn start(world: &World, name: &str, port: u16, extra: &str) -> Self {
        let key = world.path(&format!("{name}-host"));
        if !key.exists() {
            keygen(&key, "ed25519", "");
        }
        let authorized = world.path("authorized");
        if !authorized.exists() {
            fs::copy(world.path("id.pub"), &authorized).unwrap();
        }
        let config = world.path(&format!("{name}.conf"));
        // The first value counts.
        let text = format!(
            "{extra}\nListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\nMaxStartups 100\nMaxSessions 100\n",
            key.display(),
            authorized.display(),
        );
        fs::write(&config, text).unwrap();
        if nix::unistd::Uid::effective().is_root() {
            // sshd wants it, and only the service makes it.
            fs::create_dir_all("/run/sshd").unwrap();
            fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut sshd = Self {
            port,
            config,
            log: world.path(&format!("{name}.log")),
            process: None,
        };
        sshd.up();
        sshd
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn up(&mut self) {
        let log = fs::File::create(&self.log).unwrap();
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(Stopped(child));
        eventually("sshd listens", || self.answers());
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        stream.set_read_timeout(Some(HANGS)).unwrap();
        let mut banner = [0; 4];
        stream.read_exact(&mut banner).is_ok() && banner == *b"SSH-"
    }

    /// Kills it, and every connection that it has.
    pub(crate) fn kill(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        let children = descendants(process.0.id());
        drop(process);
        for pid in children {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }

    /// How many connections are logged in.
    pub(crate) fn connections(&self) -> usize {
        let log = fs::read_to_string(&self.log).unwrap();
        log.matches("Accepted publickey").count()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// All processes below one.
fn descendants(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    let mut all = Vec::new();
    for child in children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
    {
        all.push(child);
        all.extend(descendants(child));
    }
    all
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + HANGS;
    while !so() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A running monday-fwd, its events read from standard output.
pub(crate) struct Fwd {
    process: Stopped,
    events: mpsc::Receiver<Value>,
    ready: Value,
}

impl Fwd {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start(command: Command) -> Self {
        let mut fwd = Self::spawn(command);
        fwd.ready = fwd.event("ready");
        fwd
    }

    /// Starts it.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("monday-fwd: {line}");
            }
        });
        Self {
            process: Stopped(child),
            events,
            ready: Value::Null,
        }
    }

    /// The next event of that name.
    pub(crate) fn event(&self, name: &str) -> Value {
        loop {
            let event = self
                .events
                .recv_timeout(HANGS)
                .unwrap_or_else(|error| panic!("no event `{name}`: {error}"));
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Where the forward at that place of the command line listens.
    pub(crate) fn listens(&self, place: usize) -> SocketAddr {
        let listen = &self.ready["forwards"][place]["listen"];
        listen.as_str().unwrap().parse().unwrap()
    }

    /// A connection to the first forward.
    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.listens(0))
    }

    /// Ends it, and returns its exit status.
    pub(crate) fn end(mut self) -> Option<i32> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.0.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.process.0.wait().unwrap().code()
    }
}

/// A connection with deadlines.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANGS)).unwrap();
    stream.set_write_timeout(Some(HANGS)).unwrap();
    stream
}

/// A server, every connection of which is served by this in a thread of its own.
pub(crate) fn server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            stream.set_read_timeout(Some(HANGS)).unwrap();
            stream.set_write_timeout(Some(HANGS)).unwrap();
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A server that sends back what it gets.
pub(crate) fn echo() -> SocketAddr {
    server(|mut stream| {
        let mut back = stream.try_clone().unwrap();
        let _ = std::io::copy(&mut stream, &mut back);
        let _ = back.shutdown(std::net::Shutdown::Write);
    })
}

/// Whether what is said comes back.
pub(crate) fn echoes(stream: &mut TcpStream, said: &[u8]) -> bool {
    let mut heard = vec![0; said.len()];
    stream.write_all(said).is_ok() && stream.read_exact(&mut heard).is_ok() && heard == said
}

/// An agent of ssh that holds keys.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    _process: Stopped,
}

impl Agent {
    pub(crate) fn start(world: &World) -> Self {
        let socket = world.path("agent.sock");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self {
            socket,
            _process: Stopped(child),
        };
        eventually("the agent listens", || agent.socket.exists());
        agent
    }

    pub(crate) fn add(&self, key: &Path) {
        run(Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket));
    }
}
