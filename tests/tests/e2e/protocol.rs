//! `shared/PROTOCOL.md` is true: every line of it is sent to the real executables, and what comes back is compared with
//! what it says. And it is complete: no method, event or kind of error is left out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::TcpStream;

use monday_shared::protocol::common::{Hello, Subscribe};
use monday_shared::protocol::error::ErrorKind;
use monday_shared::protocol::{ipalias, run, supervisor, tcpproxy};
use monday_tests::control::Control;
use monday_tests::document::{self, Block};
use monday_tests::executable;
use monday_tests::needs_programs;
use monday_tests::process::Process;
use monday_tests::world::World;
use serde_json::{Value, json};

use crate::happening;
use crate::ready;

/// Numbers that the machine chooses. Those within texts are compared as "a number".
const CHOSEN: [&str; 5] = ["pid", "seq", "port", "dropped", "open_files_limit"];

/// The search path of the examples.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

#[test]
fn every_example_of_monday_run_is_true() {
    play("monday-run");
}

#[test]
fn every_example_of_monday_tcpproxy_is_true() {
    play("monday-tcpproxy");
}

#[test]
fn every_example_of_monday_ipalias_is_true() {
    play("monday-ipalias");
}

#[test]
fn every_example_of_monday_supervisor_is_true() {
    play("monday-supervisor");
}

#[test]
fn every_method_has_an_example() {
    for name in executable::SIDECARS
        .into_iter()
        .chain([executable::SUPERVISOR])
    {
        let shown: BTreeSet<String> = lines_of(name)
            .filter_map(|line| match line {
                Line::Request(text) => serde_json::from_str::<Value>(&text).ok(),
                _ => None,
            })
            .filter_map(|request| Some(request["method"].as_str()?.to_owned()))
            .collect();
        let common = ["hello", "subscribe", "shutdown"];
        let sidecar = crate::sidecar::Sidecar::start(name);
        let hello = sidecar.connect().ask("hello");
        for method in hello["methods"].as_array().expect("a list") {
            let method = method.as_str().expect("a text");
            assert!(
                shown.contains(method) || common.contains(&method),
                "PROTOCOL.md has no example of `{method}` of {name}"
            );
        }
    }
}

#[test]
fn every_event_has_an_example() {
    let mut all = vec![("monday-run", vec!["lagged".to_owned()])];
    all.push(("monday-run", variants::<run::Event>()));
    all.push(("monday-tcpproxy", variants::<tcpproxy::Event>()));
    all.push(("monday-ipalias", variants::<ipalias::Event>()));
    all.push(("monday-supervisor", variants::<supervisor::Event>()));
    for (name, events) in all {
        assert!(!events.is_empty());
        let shown: BTreeSet<String> = lines_of(name)
            .filter_map(|line| match line {
                Line::Answer(text) => serde_json::from_str::<Value>(&text).ok(),
                _ => None,
            })
            .filter_map(|line| {
                let event = line
                    .get("event")
                    .or_else(|| line.get("params")?.get("event"));
                Some(event?.as_str()?.to_owned())
            })
            .collect();
        for event in events {
            assert!(
                shown.contains(&event),
                "PROTOCOL.md has no example of the event `{event}` of {name}"
            );
        }
    }
}

/// The events of an executable: serde names them all when it is given one that does not exist.
fn variants<E: serde::de::DeserializeOwned>() -> Vec<String> {
    let refused = serde_json::from_value::<E>(json!({"event": "?"}));
    let error = refused.err().expect("there is no such event").to_string();
    expected(&error)
}

/// The names in "unknown `?`, expected one of `a`, `b`".
fn expected(error: &str) -> Vec<String> {
    let names = error.split('`').skip(3).step_by(2);
    names.map(str::to_owned).collect()
}

#[test]
fn every_parameter_is_explained() {
    let explained = text();
    let all = [
        fields::<Hello>(),
        fields::<Subscribe>(),
        fields::<run::RunSpec>(),
        fields::<run::RestartPolicy>(),
        fields::<run::Readiness>(),
        fields::<run::LogFile>(),
        fields::<run::Stop>(),
        fields::<run::Signal>(),
        fields::<tcpproxy::RouteSpec>(),
        fields::<tcpproxy::Close>(),
        fields::<ipalias::NameSpec>(),
        fields::<ipalias::Release>(),
        fields::<supervisor::Restart>(),
    ];
    for field in all.iter().flatten() {
        assert!(
            explained.contains(&format!("`{field}`"))
                || explained.contains(&format!("\"{field}\":")),
            "PROTOCOL.md does not explain `{field}`"
        );
    }
    assert!(all.iter().all(|fields| !fields.is_empty()));
}

/// The members of parameters: serde names them all when it is given one that does not exist.
fn fields<P: serde::de::DeserializeOwned>() -> Vec<String> {
    let refused = serde_json::from_value::<P>(json!({"?": 0}));
    let error = refused.err().expect("there is no such member").to_string();
    expected(&error)
}

#[test]
fn every_kind_of_error_is_listed_with_its_number() {
    let text = text();
    let rows: Vec<(String, String)> = document::rows_below(&text, "Errors")
        .into_iter()
        .map(|row| (row[0].to_owned(), row[1].to_owned()))
        .collect();
    let kinds: Vec<(String, String)> = ErrorKind::ALL
        .into_iter()
        .map(|kind| {
            let name = json!(kind).as_str().expect("a kind is a text").to_owned();
            (name, kind.code().to_string())
        })
        .collect();
    assert_eq!(rows, kinds);
}

fn text() -> String {
    let path = executable::workspace().join("shared/PROTOCOL.md");
    std::fs::read_to_string(path).expect("the reference can be read")
}

/// One life of one executable, as the reference shows it.
struct Scene {
    /// The words that start it.
    command: Vec<String>,
    /// Files to write into its folder before: name and content.
    files: Vec<(String, String)>,
    blocks: Vec<Block>,
}

fn scenes() -> Vec<Scene> {
    let mut scenes: Vec<Scene> = Vec::new();
    let mut files = Vec::new();
    for block in document::blocks(&text()) {
        match block.directive.as_deref() {
            Some("start") => scenes.push(Scene {
                command: block.text.split_whitespace().map(str::to_owned).collect(),
                files: std::mem::take(&mut files),
                blocks: Vec::new(),
            }),
            Some(directive) if directive.starts_with("file ") => {
                files.push((directive["file ".len()..].to_owned(), block.text));
            }
            _ => scenes
                .last_mut()
                .expect("a block comes after a start")
                .blocks
                .push(block),
        }
    }
    scenes
}

fn lines_of(name: &str) -> impl Iterator<Item = Line> {
    scenes()
        .into_iter()
        .filter(move |scene| scene.command[0] == name)
        .flat_map(|scene| scene.blocks)
        .filter(|block| block.language == "text")
        .flat_map(|block| lines(&block))
}

/// One line of an example.
#[derive(Debug)]
enum Line {
    /// What a client sends.
    Request(String),
    /// What it gets.
    Answer(String),
    /// What happens meanwhile.
    Happening(String),
}

fn lines(block: &Block) -> Vec<Line> {
    let mut lines = Vec::new();
    for (at, text) in block.text.lines().enumerate() {
        if let Some(request) = text.strip_prefix("→ ") {
            lines.push(Line::Request(request.to_owned()));
        } else if let Some(answer) = text.strip_prefix("← ") {
            lines.push(Line::Answer(answer.to_owned()));
        } else if let Some(happening) = text.strip_prefix("# ") {
            lines.push(Line::Happening(happening.to_owned()));
        } else if let (Some(more), Some(Line::Answer(answer))) =
            (text.strip_prefix("   "), lines.last_mut())
        {
            answer.push_str(more);
        } else {
            panic!("PROTOCOL.md:{}: what is this line? {text}", block.line + at);
        }
    }
    lines
}

/// Plays every scene of an executable.
fn play(name: &str) {
    needs_programs!("nc", "jq");
    let scenes = scenes()
        .into_iter()
        .filter(|scene| scene.command[0] == name);
    let mut played = 0;
    for scene in scenes {
        Stage::set(&scene).play(&scene.blocks);
        played += 1;
    }
    assert!(played > 0, "PROTOCOL.md does not start {name}");
}

/// An executable that is being asked what the reference asks.
pub(crate) struct Stage {
    pub(crate) control: Control,
    pub(crate) process: Process,
    /// What else runs.
    pub(crate) others: Vec<Process>,
    /// Connections that are kept open.
    pub(crate) clients: Vec<TcpStream>,
    /// Dropped last: it ends what is left.
    pub(crate) world: World,
}

impl Stage {
    fn set(scene: &Scene) -> Self {
        let world = World::new();
        for (name, content) in &scene.files {
            world.write(&format!("home/{name}"), content);
        }
        let (program, arguments) = scene.command.split_first().expect("a command");
        let mut command = world.command(program);
        command.args(arguments).env("PATH", PATH);
        let process = ready::start(&world, command);
        let at = arguments.iter().position(|word| word == "--control");
        let socket = match at {
            Some(at) => world.home().join(&arguments[at + 1]),
            None => world.supervisor_socket("shop"),
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

    fn play(mut self, blocks: &[Block]) {
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
                        // It fails by itself when no line comes any more.
                        let mut real = self.process.next_line();
                        while self.fits(&expected, &real).is_err() {
                            real = self.process.next_line();
                        }
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
        let mut passed_over = String::new();
        loop {
            let Some(event) = self.control.next_event() else {
                panic!("{place}: no such event came: {expected}\nbut these:\n{passed_over}");
            };
            match self.fits(expected, &event.to_string()) {
                Ok(()) => return,
                Err(why) => {
                    let _ = writeln!(passed_over, "{event}\n  ({why})");
                }
            }
        }
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

/// Compares what was shown with what is real.
fn same(at: &str, shown: &Value, real: &Value) -> Result<(), String> {
    match (shown, real) {
        (Value::Object(shown), Value::Object(real)) => {
            let names = |object: &serde_json::Map<String, Value>| -> BTreeSet<String> {
                object.keys().cloned().collect()
            };
            if names(shown) != names(real) {
                return Err(format!(
                    "{at} has the members {:?}, shown are {:?}",
                    names(real),
                    names(shown)
                ));
            }
            shown
                .iter()
                .try_for_each(|(name, value)| same(name, value, &real[name]))
        }
        // They are told in the order in which they were started, all at once.
        (Value::Array(shown), Value::Array(real)) if at == "sidecars" => {
            let fits = |one: &Value| real.iter().any(|other| same(at, one, other).is_ok());
            match shown.iter().find(|one| !fits(one)) {
                Some(missing) => Err(format!("{missing} is not among {real:?}")),
                None if shown.len() == real.len() => Ok(()),
                None => Err(format!("there are {} of `{at}`", real.len())),
            }
        }
        (Value::Array(shown), Value::Array(real)) if shown.len() == real.len() => shown
            .iter()
            .zip(real)
            .try_for_each(|(shown, real)| same(at, shown, real)),
        (Value::Number(_), Value::Number(_)) if CHOSEN.contains(&at) => Ok(()),
        (Value::String(shown), Value::String(real)) if unnumbered(shown) == unnumbered(real) => {
            Ok(())
        }
        (shown, real) if shown == real => Ok(()),
        (shown, real) => Err(format!("`{at}` is {real}, shown is {shown}")),
    }
}

/// A text with every number in it replaced by `0`.
fn unnumbered(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('0') => {}
            '0'..='9' => out.push('0'),
            other => out.push(other),
        }
    }
    out
}
