//! Processes: their output, changes in their trees, whole projects.

mod output;
mod program;
mod project;
mod watching;

use std::io::Write;
use std::path::PathBuf;

use crate::error::{Doing as _, Error};
use crate::machine;

/// What to measure and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many rounds; every contender has its turn in each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many lines of output one sample has.
    #[arg(long, default_value_t = 2_000_000)]
    lines: usize,
    /// How many files the watched tree has.
    #[arg(long, default_value_t = 100_000)]
    files: usize,
    /// The folder of the executables under test. Default: the one of this program.
    #[arg(long, value_name = "FOLDER")]
    executables: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// An executable under test is missing or does not work. A peer that is not installed is reported in the table.
pub(crate) fn run(args: &Args, out: &mut impl Write) -> Result<(), Error> {
    let folder = match &args.executables {
        Some(folder) => folder.clone(),
        None => std::env::current_exe()
            .doing("find the folder of this program")?
            .with_file_name(""),
    };
    for name in ["monday-run", "monday-watch", "monday-supervisor"] {
        let path = folder.join(name);
        if !path.is_file() {
            return Err(Error::NotBuilt(path));
        }
    }
    let rounds = args.rounds.max(1);
    let mut tables = Vec::new();
    tables.push(output::measure(&folder, rounds, args.lines)?);
    tables.extend(watching::measure(&folder, rounds, args.files)?);
    tables.extend(project::measure(&folder, rounds)?);
    writeln!(out, "{}", machine::describe()).doing("print the figures")?;
    for table in tables {
        writeln!(out, "\n{table}").doing("print the figures")?;
    }
    Ok(())
}
