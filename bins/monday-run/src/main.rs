//! The executable: see the library for what it does.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use monday_run::cli::Cli;
use monday_run::run::run;
use monday_shared::life::{self, Threads};

fn main() -> ExitCode {
    life::offer(Cli::command);
    let cli = Cli::parse();
    let life = cli.life().clone();
    // One thread: it starts the command, and on Linux the command dies with the thread that started it.
    life::run("monday-run", &life, Threads::One, || async {
        run(cli.settings()?).await
    })
}
