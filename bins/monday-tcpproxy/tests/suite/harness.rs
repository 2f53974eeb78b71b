//! A proxy inside the test, servers and clients with deadlines, and the built executable.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use monday_shared::protocol::tcpproxy::{Applied, Event, LiveConnections, RouteSpec, RouteStatus};
use monday_shared::rpc::hub::Hub;
use monday_tcpproxy::CopyPath;
use monday_tcpproxy::error::Error;
use monday_tcpproxy::table::{self, Change, Running, Table};
use monday_tcpproxy::workers::Workers;
use tokio::runtime::{Builder, Runtime};

/// Nothing on loopback takes this long unless it hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

/// Runs each of these cases on every copy path.
macro_rules! on_every_path {
    ($($case:ident),+ $(,)?) => {
        mod through_the_buffer {
            $(#[test] fn $case() { super::$case(monday_tcpproxy::CopyPath::Buffer); })+
        }
        mod through_pipes {
            $(#[test] fn $case() { super::$case(monday_tcpproxy::CopyPath::Splice); })+
        }
        mod as_it_comes {
            $(#[test] fn $case() { super::$case(monday_tcpproxy::CopyPath::Auto); })+
        }
    };
}
pub(crate) use on_every_path;

/// A proxy in this process, on one thread of its own, so that connections really share it.
pub(crate) struct Proxy {
    runtime: Runtime,
    pub(crate) hub: Hub<Event>,
    pub(crate) table: Table,
    running: Option<Running>,
}

impl Proxy {
    pub(crate) fn start(path: CopyPath) -> Self {
        Self::start_with(table::Settings {
            path,
            ..table::Settings::default()
        })
    }

    pub(crate) fn with_seed(seed: u64) -> Self {
        Self::start_with(table::Settings {
            seed,
            ..table::Settings::default()
        })
    }

    fn start_with(settings: table::Settings) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let hub = Hub::new();
        let workers = Workers::start_threads(1).unwrap();
        let (table, running) =
            runtime.block_on(async { table::start(workers, settings, hub.clone()) });
        table.accept();
        Self {
            runtime,
            hub,
            table,
            running: Some(running),
        }
    }

    /// A proxy with one route, `r`, and where that listens.
    pub(crate) fn to(target: SocketAddr, path: CopyPath) -> (Self, SocketAddr) {
        let proxy = Self::start(path);
        let address = proxy.open(vec![route("r", target)]).unwrap()[0]
            .listen
            .ip()
            .unwrap();
        (proxy, address)
    }

    pub(crate) fn open(&self, routes: Vec<RouteSpec>) -> Result<Vec<RouteStatus>, Error> {
        self.runtime
            .block_on(self.table.open(routes, LiveConnections::default()))
    }

    pub(crate) fn open_with(&self, routes: Vec<RouteSpec>, live: LiveConnections) {
        self.runtime
            .block_on(self.table.open(routes, live))
            .unwrap();
    }

    pub(crate) fn change(&self, change: Change) {
        let changed = self.table.change(Vec::new(), change);
        self.runtime.block_on(changed).unwrap();
    }

    /// Adds a fault, written as in a flag.
    pub(crate) fn fault(&self, text: &str) {
        self.change(Change::AddFault(text.parse().unwrap()));
    }

    pub(crate) fn clear(&self) {
        self.clear_named(&[]);
    }

    pub(crate) fn clear_named(&self, names: &[&str]) {
        let names = names.iter().map(ToString::to_string).collect();
        self.change(Change::ClearFaults(names));
    }

    pub(crate) fn apply(&self, routes: Vec<RouteSpec>) -> Result<Applied, Error> {
        let live = LiveConnections::default();
        self.runtime.block_on(self.table.apply(routes, live))
    }

    pub(crate) fn close(&self, ids: &[&str]) -> Vec<String> {
        let ids = ids.iter().map(ToString::to_string).collect();
        self.runtime
            .block_on(self.table.close(ids, LiveConnections::default()))
            .unwrap()
    }

    pub(crate) fn list(&self) -> Vec<RouteStatus> {
        self.runtime.block_on(self.table.list()).unwrap()
    }

    /// Waits until the only route looks like that.
    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn(&RouteStatus) -> bool) {
        wait_until(what, || condition(&self.list()[0]));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.end());
        }
    }
}

/// A route on a free port.
pub(crate) fn route(id: &str, target: SocketAddr) -> RouteSpec {
    RouteSpec::new(id, "127.0.0.1:0", target.to_string())
}

/// Looks again and again, for as long as nothing that works takes.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + HANGS;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A listener of the test, standing for the target.
pub(crate) struct Server(TcpListener);

impl Server {
    pub(crate) fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (Self(listener), address)
    }

    /// That listener.
    pub(crate) fn of(listener: TcpListener) -> Self {
        Self(listener)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn accept(&self) -> TcpStream {
        with_deadline(self.0.accept().unwrap().0)
    }

    /// A connection through the proxy: the client's end and the target's.
    pub(crate) fn connection(&self, proxy: SocketAddr) -> (TcpStream, TcpStream) {
        let client = connect(proxy);
        (client, self.accept())
    }
}

/// Sends back what comes in, to everybody, for as long as the test lasts.
pub(crate) fn echo_server() -> SocketAddr {
    let (server, address) = Server::start();
    std::thread::spawn(move || {
        for stream in server.0.incoming().flatten() {
            std::thread::Builder::new()
                .stack_size(64 * 1024)
                .spawn(move || {
                    let mut reader = stream.try_clone().unwrap();
                    // Whoever resets ends this, which is as well.
                    let _ = std::io::copy(&mut reader, &mut &stream);
                    let _ = stream.shutdown(Shutdown::Write);
                })
                .unwrap();
        }
    });
    address
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    with_deadline(TcpStream::connect(address).unwrap())
}

fn with_deadline(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(HANGS)).unwrap();
    stream.set_write_timeout(Some(HANGS)).unwrap();
    stream
}

/// Sends some bytes and expects them back.
pub(crate) fn assert_echoes(stream: &mut (impl Read + Write)) {
    stream.write_all(b"ping").unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ping");
}

/// Closes so that the peer sees a reset.
pub(crate) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

/// The next read meets a reset, after whatever arrived before it.
pub(crate) fn assert_reset(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
        Ok(_) => panic!("the stream ended cleanly"),
    }
}

/// Bytes that do not repeat in any way that would hide a mistake.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    // xorshift64*, a period far above any length here.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Reads to the end and compares on the way, without keeping it all.
pub(crate) fn assert_receives(stream: &mut impl Read, mut expected: &[u8]) {
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        let (now, later) = expected.split_at(read);
        assert!(now == &buffer[..read], "wrong bytes");
        expected = later;
    }
    assert!(expected.is_empty(), "{} bytes are missing", expected.len());
}

/// Writes until nothing more is taken, although others had time to make room, and returns how much was.
pub(crate) fn fill(stream: &TcpStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let (mut sent, mut refused) = (0, 0);
    // The relay makes room by moving bytes on; it has when it is asked a hundred times with pauses between.
    while refused < 100 {
        let chunk: Vec<u8> = (sent..sent + 65536).map(pattern).collect();
        match (&*stream).write(&chunk) {
            Ok(written) => (sent, refused) = (sent + written, 0),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                refused += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_nonblocking(false).unwrap();
    sent
}

/// A byte that tells its place well enough: 251 is prime, and no buffer is a multiple of it.
pub(crate) fn pattern(place: usize) -> u8 {
    u8::try_from(place % 251).unwrap()
}

/// The built executable. It ends with this.
pub(crate) struct Executable {
    pub(crate) child: Child,
    /// The IP addresses that its routes listen on.
    pub(crate) routes: Vec<SocketAddr>,
    /// The first line that it wrote.
    pub(crate) ready_line: String,
}

impl Executable {
    /// Starts it without COMMAND and waits for its ready line.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_command(command().args(arguments))
    }

    pub(crate) fn start_command(command: &mut Command) -> Self {
        Self::start_prepared(command.stdin(Stdio::null()))
    }

    /// The same, with whatever its other streams are.
    pub(crate) fn start_prepared(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["event"], "ready", "{line}");
        let routes = ready["routes"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|route| route["listen"].as_str().unwrap().parse().ok())
            .collect();
        Self {
            child,
            routes,
            ready_line: line,
        }
    }

    /// Sends it a signal, named without SIG.
    pub(crate) fn signal(&self, name: &str) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        let signal: nix::sys::signal::Signal = format!("SIG{name}").parse().unwrap();
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Asks it to end, as a person or a CI job does.
    pub(crate) fn terminate(&mut self) {
        self.signal("TERM");
        self.child.wait().unwrap();
    }

    /// How many descriptors it has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .unwrap()
            .count()
    }

    /// How many descriptors it has open once every thread has taken the listeners over, a moment after it is ready.
    pub(crate) fn settled_open_files(&self) -> usize {
        settled(|| self.open_files())
    }
}

/// A number once it stays the same for a while.
pub(crate) fn settled(number: impl Fn() -> usize) -> usize {
    let (mut seen, mut since) = (number(), Instant::now());
    while since.elapsed() < Duration::from_millis(300) {
        std::thread::sleep(Duration::from_millis(10));
        let now = number();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
    seen
}

impl Drop for Executable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks an executable as a script does: its exit status, and what it answers or complains of.
pub(crate) fn ctl(socket: &Path, words: &[&str]) -> (Option<i32>, String) {
    let ended = Command::new(env!("CARGO_BIN_EXE_monday-tcpproxy"))
        .arg("ctl")
        .arg(socket)
        .args(words)
        .output()
        .unwrap();
    let said = if ended.status.success() {
        ended.stdout
    } else {
        ended.stderr
    };
    (ended.status.code(), String::from_utf8(said).unwrap())
}

/// The executable with JSON output.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monday-tcpproxy"));
    command.args(["--output", "json"]);
    command
}
