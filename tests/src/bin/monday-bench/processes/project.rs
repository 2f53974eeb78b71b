//! Whole projects: how soon fifty apps run, what ten of them cost, how soon one is stopped.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::program::{Program, find, memory};
use crate::error::{Doing as _, Error};
use crate::median::median;
use crate::table::Table;

/// How long a project is left alone before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);

/// Stops in one round.
const STOPS: usize = 5;

pub(super) fn measure(folder: &Path, rounds: usize) -> Result<Vec<Table>, Error> {
    let place = tempfile::tempdir().doing("make a folder")?;
    let place = place.path();
    for apps in [10, 50] {
        let mut yaml = String::from("projects:\n- name: p\n  local:\n");
        let mut procfile = String::new();
        for app in 0..apps {
            let _ = writeln!(
                yaml,
                "  - {{name: app{app}, run: {{command: echo up; exec sleep 1000}}}}"
            );
            let _ = writeln!(procfile, "app{app}: echo up; exec sleep 1000");
        }
        std::fs::write(place.join(format!("{apps}.yaml")), yaml).doing("write a configuration")?;
        std::fs::write(place.join(format!("{apps}.Procfile")), procfile)
            .doing("write a Procfile")?;
    }
    let (mut up, mut honcho_up, mut memory_of_ten, mut honcho_memory, mut stops) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (program, took) = time_until_up(supervisor(folder, 50), place, 50)?;
        up.push(took);
        program.end();
        let (program, _) = time_until_up(supervisor(folder, 10), place, 10)?;
        sleep(SETTLE);
        let status = ask(place, "supervisor", "status")?;
        let sidecars = status["sidecars"].as_array().into_iter().flatten();
        let pids = sidecars.filter_map(|sidecar| u32::try_from(sidecar["pid"].as_u64()?).ok());
        memory_of_ten.push(memory(pids.chain([program.pid()])));
        program.end();
        stops.extend(stop_times(folder, place)?);
        if let Some(honcho) = find("honcho") {
            let start = |apps: usize| {
                let mut command = Command::new(&honcho);
                command
                    .args(["start", "-f"])
                    .arg(format!("{apps}.Procfile"));
                command
            };
            let (program, took) = time_until_up(start(50), place, 50)?;
            honcho_up.push(took);
            program.end();
            let (program, _) = time_until_up(start(10), place, 10)?;
            sleep(SETTLE);
            honcho_memory.push(memory(group_of(program.pid(), "honcho")));
            program.end();
        }
    }
    let mut table = Table::new(&["projects", "monday", "limit", "", "honcho"]);
    let row = |what: &str, ours: &[f64], limit: f64, unit: &str, theirs: &[f64]| {
        let middle = median(ours);
        vec![
            what.to_owned(),
            format!("{middle:.1} {unit}"),
            format!("{limit:.0} {unit}"),
            if middle <= limit { "within" } else { "OVER" }.to_owned(),
            match theirs {
                [] => "-".to_owned(),
                theirs => format!("{:.1} {unit}", median(theirs)),
            },
        ]
    };
    table.row(row(
        "start to the first line of 50 apps",
        &up,
        300.0,
        "ms",
        &honcho_up,
    ));
    table.row(row(
        "Pss of monday's processes, 10 apps",
        &memory_of_ten,
        30.0,
        "MB",
        &honcho_memory,
    ));
    table.row(row("`stop` to its reply", &stops, 50.0, "ms", &[]));
    Ok(vec![table])
}

fn supervisor(folder: &Path, apps: usize) -> Command {
    let mut command = Command::new(folder.join("monday-supervisor"));
    command
        .args(["run", "p", "--config"])
        .arg(format!("{apps}.yaml"));
    command
}

/// From the start to the last app's first line, in milliseconds.
fn time_until_up(command: Command, place: &Path, apps: usize) -> Result<(Program, f64), Error> {
    let start = Instant::now();
    let mut program = Program::start(command, place)?;
    program.until("| up", apps)?;
    Ok((program, start.elapsed().as_secs_f64() * 1e3))
}

/// From `stop` to its reply, which comes when no process is left, in milliseconds.
fn stop_times(folder: &Path, place: &Path) -> Result<Vec<f64>, Error> {
    let mut command = Command::new(folder.join("monday-run"));
    command.args(["--control", "r/run.sock", "--output", "json"]);
    let mut program = Program::start(command, place)?;
    program.until("\"ready\"", 1)?;
    let mut took = Vec::new();
    let socket = place.join("r/run.sock");
    for _ in 0..STOPS {
        // A family of three, one of which holds the output from a session of its own.
        let start = r#"{"id":1,"method":"start","params":{"command":["sh","-c","setsid sleep 1000 & sleep 1000 & echo up; wait"]}}"#;
        request(&socket, start)?;
        program.until("\"up\"", 1)?;
        let begin = Instant::now();
        request(&socket, r#"{"id":1,"method":"stop"}"#)?;
        took.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    program.end();
    Ok(took)
}

fn ask(place: &Path, who: &str, method: &str) -> Result<Value, Error> {
    let socket = place.join(format!("r/monday/p/{who}.sock"));
    request(&socket, &format!(r#"{{"id":1,"method":"{method}"}}"#))
}

fn request(socket: &Path, line: &str) -> Result<Value, Error> {
    let mut reply = String::new();
    let asked = || -> std::io::Result<()> {
        let mut stream = UnixStream::connect(socket)?;
        writeln!(stream, "{line}")?;
        BufReader::new(stream).read_line(&mut reply)?;
        Ok(())
    };
    let mut asked = asked;
    asked().doing(format!("ask {}", socket.display()))?;
    let value: Value = serde_json::from_str(&reply).unwrap_or_default();
    Ok(value["result"].clone())
}

/// The processes of this group whose command line names the program: those of the apps are of no interest.
fn group_of(leader: u32, program: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let descends = |pid: &u32| {
        let mut at = *pid;
        while at > 1 && at != leader {
            at = parent_of(at).unwrap_or(0);
        }
        at == leader
    };
    let named = |pid: &u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(program)
    };
    pids.filter(descends).filter(named).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}
