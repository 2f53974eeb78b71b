//! A `monday-fwd` of a test.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use monday_tests::process::Process;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;
use nix::sys::signal::Signal;
use serde_json::Value;

/// A forwarder that is ready. It ends with its world when it is dropped.
pub(crate) struct Forwarder {
    pub(crate) process: Process,
    pub(crate) ready: Value,
    pub(crate) world: World,
}

impl Forwarder {
    /// `monday-fwd kubernetes WORDS...` with that configuration, once it is ready.
    pub(crate) fn ready(kubeconfig: &Path, words: &[&str]) -> Self {
        let world = World::new();
        let mut process = start(&world, kubeconfig, words);
        let ready = process.event("ready");
        Self {
            process,
            ready,
            world,
        }
    }

    /// Where its only forward listens, or its first.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listen(0)
    }

    /// Where the forward at this place of its command line listens.
    pub(crate) fn listen(&self, at: usize) -> SocketAddr {
        let listen = self.ready["forwards"][at]["listen"].as_str();
        let listen = listen.unwrap_or_else(|| panic!("no forward {at} in {}", self.ready));
        listen.parse().expect("an address")
    }

    /// The pod that its first forward has chosen.
    pub(crate) fn via(&self) -> &str {
        self.ready["forwards"][0]["via"]
            .as_str()
            .expect("a pod was chosen")
    }

    /// Ends it and checks that it ends as it should.
    pub(crate) fn end(mut self) {
        self.process.signal(Signal::SIGTERM);
        assert_eq!(self.process.wait(), 143, "{}", self.process.transcript());
        self.world.assert_no_survivors(Duration::from_secs(2));
    }
}

/// `monday-fwd kubernetes --output json WORDS...` with that configuration.
pub(crate) fn start(world: &World, kubeconfig: &Path, words: &[&str]) -> Process {
    let mut command = world.command("monday-fwd");
    command
        .args(["kubernetes", "--output", "json"])
        .args(words)
        .env("KUBECONFIG", kubeconfig);
    if let Some(level) = std::env::var_os("MONDAY_LOG") {
        command.env("MONDAY_LOG", level);
    }
    Process::start(command)
}

/// A connection that fails instead of hanging.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the listener is open");
    stream.set_read_timeout(Some(3 * PATIENCE)).unwrap();
    stream.set_write_timeout(Some(3 * PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
