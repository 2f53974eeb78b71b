//! Waits for readiness in the way that service managers do (`sd_notify(3)`), which works with every kind of output.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use monday_tests::process::Process;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;

/// A socket that an executable tells of its readiness.
pub(crate) struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// Makes the socket and names it to the command.
    pub(crate) fn of(world: &World, command: &mut Command) -> Self {
        let path = world.path("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket can be bound in a fresh folder");
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket takes a time-out");
        command.env("NOTIFY_SOCKET", &path);
        Self { socket }
    }

    /// Waits for the next message that says that it is ready.
    pub(crate) fn await_ready(&self, process: &mut Process) {
        let mut buffer = [0; 256];
        let received = loop {
            match self.socket.recv(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received,
            }
        };
        match received {
            Ok(bytes) => {
                let told = String::from_utf8_lossy(&buffer[..bytes]);
                assert!(told.lines().any(|line| line == "READY=1"), "{told}");
            }
            Err(error) => process.fail(&format!("it does not tell that it is ready ({error})")),
        }
    }
}

/// Starts the command and waits until it is ready.
pub(crate) fn start(world: &World, mut command: Command) -> Process {
    let manager = Manager::of(world, &mut command);
    let mut process = Process::start(command);
    manager.await_ready(&mut process);
    process
}
