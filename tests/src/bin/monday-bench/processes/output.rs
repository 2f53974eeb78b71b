//! Lines a second of one app to one output.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::program::{Program, find};
use crate::error::{Doing as _, Error};
use crate::median::median;
use crate::table::Table;

/// honcho is given so many times fewer lines, since it needs so many times longer.
const FEWER_FOR_HONCHO: usize = 20;

/// Makes the command and says how many lines come; nothing where it is not installed.
type Start<'a> = &'a dyn Fn() -> Option<(Command, usize)>;

/// What is promised, in lines a second.
const PROMISED: f64 = 500_000.0;

pub(super) fn measure(folder: &Path, rounds: usize, lines: usize) -> Result<Table, Error> {
    let place = tempfile::tempdir().doing("make a folder")?;
    let place = place.path();
    let few = (lines / FEWER_FOR_HONCHO).max(1);
    let yaml = format!(
        "projects: [{{name: p, local: [{{name: api, run: {{command: exec seq 1 {lines}}}}}]}}]\n"
    );
    std::fs::write(place.join("monday.yaml"), yaml).doing("write a configuration")?;
    std::fs::write(place.join("Procfile"), format!("api: seq 1 {few}\n"))
        .doing("write a Procfile")?;
    let bare = || {
        let mut command = Command::new("seq");
        command.args(["1", &lines.to_string()]);
        Some((command, lines))
    };
    let guardian = || {
        let mut command = Command::new(folder.join("monday-run"));
        command.args(["--name", "api", "--", "seq", "1", &lines.to_string()]);
        Some((command, lines))
    };
    let supervisor = || {
        let mut command = Command::new(folder.join("monday-supervisor"));
        command.args(["run", "p", "--config", "monday.yaml"]);
        Some((command, lines))
    };
    let honcho = || {
        let mut command = Command::new(find("honcho")?);
        command.arg("start");
        Some((command, few))
    };
    let contenders: [(&str, Start); 4] = [
        ("a bare pipe", &bare),
        ("monday-run", &guardian),
        ("monday-run and monday-supervisor", &supervisor),
        ("honcho", &honcho),
    ];
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (at, (_, contender)) in contenders.iter().enumerate() {
            let Some((command, lines)) = contender() else {
                continue;
            };
            let start = Instant::now();
            let mut program = Program::start(command, place)?;
            program.lines(lines)?;
            let seconds = start.elapsed().as_secs_f64();
            program.end();
            #[allow(clippy::cast_precision_loss, reason = "a few millions")]
            samples[at].push(lines as f64 / seconds);
        }
    }
    let mut table = Table::new(&[
        "lines of output to one pipe",
        "lines/s",
        "of a bare pipe",
        "500,000/s",
    ]);
    let bare = median(&samples[0]);
    for ((name, _), samples) in contenders.iter().zip(&samples) {
        let middle = median(samples);
        table.row(if samples.is_empty() {
            vec![(*name).to_owned(), "not installed".to_owned()]
        } else {
            vec![
                (*name).to_owned(),
                format!("{middle:.0}"),
                format!("{:.2}", middle / bare),
                if middle >= PROMISED {
                    "within"
                } else {
                    "UNDER"
                }
                .to_owned(),
            ]
        });
    }
    Ok(table)
}
