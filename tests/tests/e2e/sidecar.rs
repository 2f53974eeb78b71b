//! Each of monday's executables, started with a control socket and nothing to do.

use std::path::{Path, PathBuf};
use std::process::Command;

use monday_tests::control::Control;
use monday_tests::process::Process;
use monday_tests::world::World;
use serde_json::Value;

/// One executable that runs and is ready.
pub(crate) struct Sidecar {
    pub(crate) name: &'static str,
    pub(crate) process: Process,
    pub(crate) socket: PathBuf,
    /// Dropped last: it ends what is left.
    pub(crate) world: World,
}

impl Sidecar {
    /// Starts it in a world of its own.
    pub(crate) fn start(name: &'static str) -> Self {
        let world = World::new();
        let (process, _) = start_in(&world, name, &[]);
        let socket = socket_in(&world);
        Self {
            name,
            process,
            socket,
            world,
        }
    }

    /// A new connection to it.
    pub(crate) fn connect(&self) -> Control {
        Control::connect(&self.socket)
    }

    /// Asserts that it still answers.
    pub(crate) fn assert_alive(&self) {
        assert_eq!(self.connect().ask("hello")["name"], self.name);
    }
}

/// Its control socket.
pub(crate) fn socket_in(world: &World) -> PathBuf {
    world.path("control.sock")
}

/// The command that serves [`socket_in`] and writes JSON, with more flags.
pub(crate) fn command_in(world: &World, name: &'static str, flags: &[&str]) -> Command {
    command_serving(world, name, &socket_in(world), flags)
}

/// The same with a socket of the caller's own.
pub(crate) fn command_serving(
    world: &World,
    name: &'static str,
    socket: &Path,
    flags: &[&str],
) -> Command {
    let mut command = world.command(name);
    if name == "monday-supervisor" {
        let config = world.configure(
            "projects: [{name: shop, local: [{name: idle, run: {command: exec sleep 1000}}]}]\n",
        );
        command.args(["run", "shop", "--config"]).arg(config);
    }
    if matches!(name, "monday-supervisor" | "monday-ipalias") {
        command.arg("--hosts-file").arg(world.hosts_file());
    }
    command
        .arg("--control")
        .arg(socket)
        .args(["--output", "json"])
        .args(flags);
    command
}

/// Starts [`command_in`] and waits until it is ready; returns the ready line as well.
pub(crate) fn start_in(world: &World, name: &'static str, flags: &[&str]) -> (Process, Value) {
    let mut process = Process::start(command_in(world, name, flags));
    let ready = process.ready();
    (process, ready)
}

/// Makes each function a test of each executable: `life::monday_run::…`.
macro_rules! for_every_executable {
    ($($test:ident),+ $(,)?) => {
        $crate::sidecar::tests_of!(monday_run, "monday-run", $($test),+);
        $crate::sidecar::tests_of!(monday_tcpproxy, "monday-tcpproxy", $($test),+);
        $crate::sidecar::tests_of!(monday_ipalias, "monday-ipalias", $($test),+);
        $crate::sidecar::tests_of!(monday_supervisor, "monday-supervisor", $($test),+);
    };
}

/// Makes each function a test of those executables that run a COMMAND beside their job.
macro_rules! for_every_executable_with_a_command {
    ($($test:ident),+ $(,)?) => {
        $crate::sidecar::tests_of!(monday_tcpproxy, "monday-tcpproxy", $($test),+);
        $crate::sidecar::tests_of!(monday_ipalias, "monday-ipalias", $($test),+);
        $crate::sidecar::tests_of!(monday_supervisor, "monday-supervisor", $($test),+);
    };
}

macro_rules! tests_of {
    ($module:ident, $name:literal, $($test:ident),+) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test($name);
                }
            )+
        }
    };
}

pub(crate) use {for_every_executable, for_every_executable_with_a_command, tests_of};
