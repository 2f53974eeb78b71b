//! Watching a large tree: how soon it begins, how soon a change starts a process, and what it costs meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::program::{Program, find, memory};
use crate::cpu;
use crate::error::{Doing as _, Error};
use crate::median::median;
use crate::table::Table;

/// The folders of the tree that are watched, without those that are left out.
const FOLDERS: usize = 1000;

/// How long nothing may change before a change is told, for all contenders.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// How long the CPU time of doing nothing is counted.
const IDLE: Duration = Duration::from_secs(3);

/// Changes in one round.
const CHANGES: usize = 5;

/// Makes the command that watches a tree; nothing where it is not installed.
type Start = Box<dyn Fn(&Path) -> Option<Command>>;

/// Who watches.
struct Contender {
    name: &'static str,
    command: Start,
    latency: Vec<f64>,
    idle: Vec<f64>,
    memory: Vec<f64>,
}

pub(super) fn measure(folder: &Path, rounds: usize, files: usize) -> Result<Vec<Table>, Error> {
    let place = tempfile::tempdir().doing("make a folder")?;
    let tree = place.path().join("tree");
    plant(&tree, files).doing("make the tree")?;
    let fifo = place.path().join("started");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU)
        .map_err(std::io::Error::from)
        .doing("make a pipe")?;
    let mut contenders = contenders(folder, &fifo);
    let mut registration = Vec::new();
    for _ in 0..rounds {
        registration.push(register(folder, place.path(), &tree)?);
        for contender in &mut contenders {
            sample(contender, place.path(), &tree, &fifo)?;
        }
    }
    let mut first = Table::new(&["watching", "median", "limit", ""]);
    let middle = median(&registration);
    first.row(vec![
        format!("monday-watch registers {FOLDERS} folders, {files} files"),
        format!("{middle:.0} ms"),
        "200 ms".to_owned(),
        if middle <= 200.0 { "within" } else { "OVER" }.to_owned(),
    ]);
    let limit = format!("debounce + ms (limit 15), {files} files");
    let mut second = Table::new(&[
        "change -> first instruction",
        &limit,
        "idle CPU (limit 0.5 %)",
        "Pss",
    ]);
    for contender in &contenders {
        second.row(if contender.latency.is_empty() {
            vec![contender.name.to_owned(), "not installed".to_owned()]
        } else {
            vec![
                contender.name.to_owned(),
                format!(
                    "{:.1}",
                    median(&contender.latency) - DEBOUNCE.as_secs_f64() * 1e3
                ),
                format!("{:.2} %", median(&contender.idle)),
                format!("{:.1} MB", median(&contender.memory)),
            ]
        });
    }
    Ok(vec![first, second])
}

fn contenders(folder: &Path, fifo: &Path) -> Vec<Contender> {
    let contender = |name, command| Contender {
        name,
        command,
        latency: Vec::new(),
        idle: Vec::new(),
        memory: Vec::new(),
    };
    let debounce = format!("{}ms", DEBOUNCE.as_millis());
    let script = format!("echo > {}", fifo.display());
    let monday = |flags: &'static [&'static str]| -> Start {
        let (watch, debounce, script) = (
            folder.join("monday-watch"),
            debounce.clone(),
            script.clone(),
        );
        Box::new(move |tree| {
            let mut command = Command::new(&watch);
            command
                .args(flags)
                .args(["--debounce", &debounce])
                .arg(tree);
            command.args(["--", "sh", "-c", &script]);
            Some(command)
        })
    };
    let (others, quiet) = (script.clone(), debounce.clone());
    let watchexec: Start = Box::new(move |tree| {
        let mut command = Command::new(find("watchexec")?);
        command
            .args(["--debounce", &quiet, "--shell=none", "--watch"])
            .arg(tree);
        command.args(["--", "sh", "-c", &others]);
        Some(command)
    });
    vec![
        contender("monday-watch", monday(&[])),
        contender("watchexec", watchexec),
        contender(
            "looking again and again (monday-watch --poll)",
            monday(&["--poll"]),
        ),
    ]
}

/// A tree of that many files in [`FOLDERS`] folders, beside a folder that is left out.
fn plant(tree: &Path, files: usize) -> std::io::Result<()> {
    for folder in 0..FOLDERS - 1 {
        let folder = tree.join(format!("d{folder}"));
        fs::create_dir_all(&folder)?;
        for file in 0..files / FOLDERS {
            File::create(folder.join(format!("f{file}")))?;
        }
    }
    for folder in 0..200 {
        fs::create_dir_all(tree.join(format!("node_modules/m{folder}")))?;
    }
    Ok(())
}

/// From the start to the line that says that everything is watched, in milliseconds.
fn register(folder: &Path, place: &Path, tree: &Path) -> Result<f64, Error> {
    let mut command = Command::new(folder.join("monday-watch"));
    command.args(["--output", "json"]).arg(tree);
    let start = Instant::now();
    let mut program = Program::start(command, place)?;
    program.until("\"ready\"", 1)?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    program.end();
    Ok(took)
}

fn sample(contender: &mut Contender, place: &Path, tree: &Path, fifo: &Path) -> Result<(), Error> {
    let Some(command) = (contender.command)(tree) else {
        return Ok(());
    };
    let program = Program::start(command, place)?;
    // It runs once at the start.
    let mut started = File::open(fifo).doing("open a pipe")?;
    let mut byte = [0];
    let mut await_start = |started: &mut File| -> Result<(), Error> {
        while started.read(&mut byte).doing("read a pipe")? == 0 {
            // Whoever wrote has closed it; the next one opens it again.
            *started = File::open(fifo).doing("open a pipe")?;
        }
        Ok(())
    };
    await_start(&mut started)?;
    // The first look at a large tree is over, and what follows is what it costs from then on.
    sleep(Duration::from_secs(2));
    let before = cpu::seconds_of_tree(program.pid());
    sleep(IDLE);
    let used = cpu::seconds_of_tree(program.pid()) - before;
    contender.idle.push(used / IDLE.as_secs_f64() * 100.0);
    contender.memory.push(memory([program.pid()]));
    for change in 0..CHANGES {
        let path: PathBuf = tree.join(format!("d{}/f0", change * 7));
        let start = Instant::now();
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"changed\n"))
            .doing("change a file")?;
        await_start(&mut started)?;
        contender.latency.push(start.elapsed().as_secs_f64() * 1e3);
        sleep(DEBOUNCE * 3);
    }
    program.end();
    Ok(())
}
