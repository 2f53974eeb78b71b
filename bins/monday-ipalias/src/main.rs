//! The executable: see the library for what it does.

use std::process::ExitCode;

use monday_ipalias::cli::Cli;
use monday_ipalias::run::run;
use monday_shared::life::{self, Threads};

fn main() -> ExitCode {
    let cli = Cli::parse_or_exit();
    let life = cli.life().clone();
    life::run("monday-ipalias", &life, Threads::One, || run(cli))
}
