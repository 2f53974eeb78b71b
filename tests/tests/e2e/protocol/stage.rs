//! Plays a scene of the reference with a real executable.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use monday_tests::control::Control;
use monday_tests::document::Block;
use monday_tests::process::Process;
use monday_tests::wait::Deadline;
use monday_tests::world::World;
use serde_json::Value;

use super::happening;
use super::same::same;
use super::scene::{Line, Scene, lines};
use crate::ready;

/// The search path of the examples.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// An executable that is being asked what the reference asks.
pub(super) struct Stage {
    pub(super) control: Control,
    pub(super) process: Process,
    /// What else runs.
    pub(super) others: Vec<Process>,
    /// Connections that are kept open.
    pub(super) clients: Vec<TcpStream>,
    /// Dropped last: it ends what is left.
    pub(super) world: World,
}

impl Stage {
    pub(super) fn set(scene: &Scene) -> Self {
        let world = World::new();
        for (name, content) in &scene.files {
            world.write(&format!("home/{name}"), content);
        }
        let (program, arguments) = scene.command.split_first().expect("a command");
        let mut command = world.command(program);
        command.args(arguments).env("PATH", PATH);
        let at = arguments.iter().position(|word| word == "--control");
        let socket = match at {
            Some(at) => world.home().join(&arguments[at + 1]),
            None => world.supervisor_socket("shop"),
        };
        let process = if scene.gets_ready {
            ready::start(&world, command)
        } else {
            let process = Process::start(command);
            let deadline = Deadline::patient();
            while UnixStream::connect(&socket).is_err() {
                assert!(!deadline.passed(), "{} is not served", socket.display());
                std::thread::sleep(Duration::from_millis(10));
            }
            process
        };
        let control = Control::connect(&socket);
        Self {
            control,
            process,
            others: Vec::new(),
            clients: Vec::new(),
            world,
        }
    }

    pub(super) fn play(mut self, blocks: &[Block]) {
        for block in blocks {
            let place = format!("PROTOCOL.md:{}", block.line);
            match (block.language.as_str(), block.directive.as_deref()) {
                ("sh", Some(directive)) => {
                    let expected = directive.strip_prefix("prints ").expect("what it prints");
                    let told = self.world.sh(&block.text).expect_code(0);
                    assert_eq!(told.stdout.trim_end(), expected, "{place}");
                }
                ("text", Some("standard output")) => {
                    for line in lines(block) {
                        let Line::Answer(expected) = line else {
                            panic!("{place}: only `←` is printed");
                        };
                        self.await_printed(&place, &expected);
                    }
                }
                ("text", None) => {
                    for line in lines(block) {
                        self.play_line(&place, line);
                    }
                }
                other => panic!("{place}: what is this block? {other:?}"),
            }
        }
    }

    /// The next line on standard output that fits; others may come in between.
    fn await_printed(&mut self, place: &str, expected: &str) {
        let deadline = Deadline::patient();
        loop {
            // It fails by itself when no line comes any more.
            let real = self.process.next_line();
            match self.fits(expected, &real) {
                Ok(()) => return,
                Err(why) => assert!(!deadline.passed(), "{place}: {expected}: {why}"),
            }
        }
    }

    fn play_line(&mut self, place: &str, line: Line) {
        match line {
            Line::Request(text) => self.control.send_line(&text),
            Line::Happening(what) => happening::happen(self, &what),
            Line::Answer(expected) => {
                let shown: Value = serde_json::from_str(&expected)
                    .unwrap_or_else(|error| panic!("{place}: {error} in {expected}"));
                if shown["method"] == "event" {
                    self.await_event(place, &expected);
                } else {
                    let Some(reply) = self.control.try_next_reply() else {
                        panic!("{place}: no reply came; shown is {expected}");
                    };
                    let reply = reply.to_string();
                    if let Err(why) = self.fits(&expected, &reply) {
                        panic!("{place}: {why}\nshown: {expected}\nreal:  {reply}");
                    }
                }
            }
        }
    }

    /// The next event that fits; others may come in between, the order of events and replies being open.
    fn await_event(&mut self, place: &str, expected: &str) {
        let deadline = Deadline::patient();
        let mut passed_over = String::new();
        while !deadline.passed() {
            let Some(event) = self.control.next_event() else {
                break;
            };
            match self.fits(expected, &event.to_string()) {
                Ok(()) => return,
                Err(why) => {
                    let _ = writeln!(passed_over, "{event}\n  ({why})");
                }
            }
        }
        panic!("{place}: no such event came: {expected}\nbut these:\n{passed_over}");
    }

    /// Whether a real line is what was shown.
    fn fits(&self, shown: &str, real: &str) -> Result<(), String> {
        // What belongs to this run, as the reference writes it.
        let folder = self.world.folder().display().to_string();
        let real = real
            .replace(&format!("{folder}/home"), "/home/me")
            .replace(&format!("{folder}/r"), "/run/user/1000")
            .replace(env!("CARGO_PKG_VERSION"), "0.1.0");
        let parse = |text: &str| serde_json::from_str(text).map_err(|error| error.to_string());
        same("", &parse(shown)?, &parse(&real)?)
    }
}
