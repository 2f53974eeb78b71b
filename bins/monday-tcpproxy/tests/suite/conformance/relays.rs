//! What the cases run over: this relay on each of its copy paths, and haproxy for reference.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tempfile::TempDir;

use crate::harness::{Server, connect, settled, wait_until};

/// A program that relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relay {
    /// This one, with that for `--copy-path`.
    Monday(&'static str),
    /// haproxy of the system, in its TCP mode, with splice(2).
    Haproxy,
}

/// Where a relay is known to do something else than is asked of this one. What it does instead is in the cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deviation {
    /// A reset on one side is a clean end on the other, so that a part looks like the whole.
    ResetBecomesAnEnd,
    /// A target that refuses is a clean end of an empty stream.
    RefusalBecomesAnEnd,
    /// A peer that has closed for good is taken for one that has half-closed: its sockets stay until the other side ends, or
    /// for a time-out.
    KeepsWhatIsClosedForGood,
    /// A client that was accepted when no descriptor was left for its target is dropped.
    DropsWhatItCannotServe,
    /// Now and then a connection of which both sides end their streams is reset, with something still on its way.
    MayResetAtTheEnd,
}

impl Relay {
    pub(super) fn has(self, deviation: Deviation) -> bool {
        match self {
            Self::Monday(_) => false,
            Self::Haproxy => matches!(
                deviation,
                Deviation::ResetBecomesAnEnd
                    | Deviation::RefusalBecomesAnEnd
                    | Deviation::KeepsWhatIsClosedForGood
                    | Deviation::DropsWhatItCannotServe
                    | Deviation::MayResetAtTheEnd
            ),
        }
    }
}

/// A relay that runs, between clients and one target.
pub(super) struct Relayed {
    pub(super) relay: Relay,
    /// Where clients connect.
    pub(super) address: SocketAddr,
    /// The target, unless a case has taken it.
    pub(super) server: Option<Server>,
    pub(super) target: SocketAddr,
    child: Child,
    /// How many sockets it had before the first client.
    before: usize,
    /// What [`Relayed::limit_descriptors`] has set.
    most_descriptors: u64,
    _folder: TempDir,
}

impl Relayed {
    /// Starts it before a target of its own. `None`: there is no such program here, which is said.
    pub(super) fn start(relay: Relay) -> Option<Self> {
        let (server, target) = Server::start();
        Self::launch(relay, target, Some(server))
    }

    /// Starts it before that target.
    pub(super) fn before(relay: Relay, target: SocketAddr) -> Option<Self> {
        Self::launch(relay, target, None)
    }

    fn launch(relay: Relay, target: SocketAddr, server: Option<Server>) -> Option<Self> {
        // Both take a listener that is there already, so nobody else gets its port and no client comes too early.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        match relay {
            Relay::Monday(path) => command.args([
                "-c",
                "exec 3<&0 0</dev/null; export LISTEN_FDS=1; exec \"$0\" \"$@\"",
                env!("CARGO_BIN_EXE_monday-tcpproxy"),
                "--copy-path",
                path,
                "--log-level",
                "error",
                &format!("fd:3={target}"),
            ]),
            Relay::Haproxy => {
                if !is_installed("haproxy") {
                    return None;
                }
                let config = folder.path().join("haproxy.cfg");
                fs::write(&config, configuration(target)).unwrap();
                command.args(["-c", "exec 3<&0 0</dev/null; exec haproxy -q -db -f \"$0\""]);
                command.arg(config)
            }
        };
        let child = command
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut relayed = Self {
            relay,
            address,
            server,
            target,
            child,
            before: 0,
            most_descriptors: 0,
            _folder: folder,
        };
        relayed.before = relayed.settled_sockets();
        Some(relayed)
    }

    /// A connection: the client's end and the target's.
    pub(super) fn connection(&self) -> (TcpStream, TcpStream) {
        self.server().connection(self.address)
    }

    pub(super) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// How many sockets it has, beyond those that it had before the first client. Its pipes are none: they may wait for
    /// whoever needs one next.
    pub(super) fn sockets(&self) -> usize {
        self.all_sockets().saturating_sub(self.before)
    }

    /// Every connection is over, so nothing of it may be left.
    pub(super) fn assert_nothing_left(&self) {
        wait_until("no socket is left", || self.sockets() == 0);
    }

    /// Leaves it so many descriptors more than it has now.
    pub(super) fn limit_descriptors(&mut self, more: usize) {
        let taken: HashSet<u64> = self.descriptors().map(|(number, _)| number).collect();
        let last = (0..).filter(|number| !taken.contains(number)).nth(more - 1);
        self.most_descriptors = last.unwrap() + 1;
        let limit = Rlimit {
            current: Some(self.most_descriptors),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).unwrap();
    }

    /// How many descriptors it still can have.
    pub(super) fn descriptors_left(&self) -> u64 {
        let most = self.most_descriptors;
        let taken = self.descriptors().filter(|(number, _)| *number < most);
        most - taken.count() as u64
    }

    fn all_sockets(&self) -> usize {
        self.descriptors()
            .filter(|(_, what)| what.starts_with("socket:"))
            .count()
    }

    /// Its descriptors, and what each is.
    fn descriptors(&self) -> impl Iterator<Item = (u64, String)> {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        folder.filter_map(|entry| {
            // It may be closed by now.
            let entry = entry.ok()?;
            let what = fs::read_link(entry.path()).ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, what.to_string_lossy().into_owned()))
        })
    }

    /// How many sockets it has once it serves and that number stays: every thread takes the listener for itself.
    fn settled_sockets(&self) -> usize {
        // Whoever gets through is served by a thread that has begun; what it leaves behind is gone when the number stays.
        drop(connect(self.address));
        if let Some(server) = &self.server {
            drop(server.accept());
        }
        settled(|| self.all_sockets())
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No time-out of haproxy's is to end what this relay lets go on.
fn configuration(target: SocketAddr) -> String {
    format!(
        "global\n maxconn 100\n\
         defaults\n mode tcp\n option splice-request\n option splice-response\n option redispatch\n retries 0\n \
         timeout connect 10s\n timeout client 10m\n timeout server 10m\n\
         listen all\n bind fd@3\n server target {target}\n"
    )
}

fn is_installed(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", "command -v \"$0\"", program])
        .stdout(Stdio::null())
        .status();
    if found.is_ok_and(|status| status.success()) {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{program} is not installed"
    );
    let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed");
    false
}
