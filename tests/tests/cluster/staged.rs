//! A `monday-fwd` before a fake API server whose pod leads to a server of the test.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use monday_tests::fake_api::{Behaviour, FakeApi};
use monday_tests::process::Process;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;

use crate::forwarder::{connect, start};
use crate::talk;

/// The words that most tests forward with.
pub(crate) const WORDS: [&str; 3] = ["-l", "app=web", "0:echo"];

/// One pod `web-1` with a port `echo`, and a forward to it.
pub(crate) struct Staged {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) fake: FakeApi,
    pub(crate) world: World,
}

impl Staged {
    /// With a server that behaves like that from the beginning.
    pub(crate) fn behaving(change: impl FnOnce(&mut Behaviour)) -> Self {
        Self::with(&WORDS, change)
    }

    pub(crate) fn with(words: &[&str], change: impl FnOnce(&mut Behaviour)) -> Self {
        let (world, fake) = (World::new(), FakeApi::start());
        fake.behave(change);
        fake.pod("web-1", "web", &[("echo", 7001, echo())]);
        let mut process = start(&world, &fake.kubeconfig(&world), words);
        let ready = process.event("ready");
        let listen = ready["forwards"][0]["listen"].as_str().unwrap();
        Self {
            address: listen.parse().unwrap(),
            process,
            fake,
            world,
        }
    }

    /// A byte there and back on a connection of its own.
    pub(crate) fn exchange(&self) {
        talk::echo_once(&connect(self.address), b'x');
    }

    /// The same, where it may fail.
    pub(crate) fn try_exchange(&self) -> bool {
        let mut stream = connect(self.address);
        stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok()
    }

    /// The upgrades that were accepted so far.
    pub(crate) fn sessions(&self) -> usize {
        let seen = self.fake.seen();
        seen.iter()
            .filter(|(request, status)| request.contains("/portforward") && *status == 101)
            .count()
    }

    /// It lives, and ends as it should: whatever was done to it.
    pub(crate) fn end(mut self) {
        self.process.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(self.process.wait(), 143, "{}", self.process.transcript());
        let said = self.process.transcript();
        assert!(!said.contains("panicked"), "{said}");
        self.world.assert_no_survivors(Duration::from_secs(2));
    }
}

/// A server that sends back what it gets, until the test's end.
pub(crate) fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || sent_back(stream));
        }
    });
    address
}

fn sent_back(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(6 * PATIENCE));
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}
