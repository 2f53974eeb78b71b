//! A project that a supervisor runs.

use std::path::Path;
use std::process::Command;

use monday_tests::control::Control;
use monday_tests::process::Process;
use monday_tests::world::World;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The command that runs a project and tells events as JSON.
pub(crate) fn command(world: &World, project: &str, config: &Path) -> Command {
    let mut command = world.command("monday-supervisor");
    command
        .args(["run", project, "--output", "json", "--config"])
        .arg(config);
    if !world.has_private_hosts() {
        command.arg("--hosts-file").arg(world.hosts_file());
    }
    command
}

/// Runs the project `shop` of this configuration and waits until it is ready.
pub(crate) fn start(world: &World, yaml: &str) -> (Process, Value) {
    start_named(world, "shop", yaml)
}

/// Runs a project of this configuration and waits until it is ready.
pub(crate) fn start_named(world: &World, project: &str, yaml: &str) -> (Process, Value) {
    let config = world.file(&format!("config/{project}.yaml"), yaml);
    let mut process = Process::start(command(world, project, &config));
    let ready = process.ready();
    (process, ready)
}

/// A connection to the supervisor of a project.
pub(crate) fn control(world: &World, project: &str) -> Control {
    Control::connect(&world.supervisor_socket(project))
}

/// How the project is.
pub(crate) fn status(world: &World, project: &str) -> Value {
    control(world, project).ask("status")
}

/// The item of a list that has this name (or, for a monday-run, guards this app).
pub(crate) fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let items = list.as_array().expect("a list");
    items
        .iter()
        .find(|item| item["app"] == name || (item["app"].is_null() && item["name"] == name))
        .unwrap_or_else(|| panic!("there is no {name} in {list}"))
}

/// The process id of a thing of a list.
pub(crate) fn pid_of(list: &Value, name: &str) -> u32 {
    let pid = named(list, name)["pid"].as_u64();
    let pid = pid.unwrap_or_else(|| panic!("{name} does not run: {list}"));
    u32::try_from(pid).expect("a pid is a small number")
}

/// Kills a process.
pub(crate) fn kill_hard(pid: u32) {
    send(pid, Signal::SIGKILL);
}

/// Asks a process to end.
pub(crate) fn kill_gently(pid: u32) {
    send(pid, Signal::SIGTERM);
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid is a small number"));
    kill(pid, signal).expect("the process is there");
}

/// Whether this event is a line of output of that app that contains the text.
pub(crate) fn is_line(event: &Value, app: &str, text: &str) -> bool {
    event["event"] == "output"
        && event["app"] == app
        && lines_of(event).any(|line| line.contains(text))
}

/// The lines of an output event.
pub(crate) fn lines_of(event: &Value) -> impl Iterator<Item = &str> {
    let lines = event["lines"].as_array();
    lines.into_iter().flatten().filter_map(Value::as_str)
}

/// Waits for a line of output of an app.
pub(crate) fn await_line(process: &mut Process, app: &str, text: &str) -> String {
    let what = format!("a line of {app} with `{text}`");
    let event = process.event_where(&what, |event| is_line(event, app, text));
    let line = lines_of(&event).find(|line| line.contains(text));
    line.expect("the event has it").to_owned()
}
