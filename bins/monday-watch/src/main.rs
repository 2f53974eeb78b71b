//! The executable: see the library for what it does.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use monday_shared::life::{self, Threads};
use monday_watch::cli::Cli;
use monday_watch::run::run;

fn main() -> ExitCode {
    life::offer(Cli::command);
    let cli = Cli::parse();
    let life = cli.life().clone();
    // One thread: it starts COMMAND, and on Linux COMMAND dies with the thread that started it.
    life::run("monday-watch", &life, Threads::One, || async {
        run(cli.settings()?).await
    })
}
