//! The executable: see the library for what it does.

use std::process::ExitCode;

use monday_ipalias::cli::Cli;
use monday_ipalias::privilege::Standing;
use monday_ipalias::run::run;
use monday_shared::life::{self, Threads};

fn main() -> ExitCode {
    // Before anything looks at the environment, and before there is a second thread.
    let standing = Standing::take();
    life::offer(Cli::grammar);
    let cli = Cli::parse_or_exit();
    let standing = standing.and_then(|standing| standing.confine(cli.runs_command()));
    let life = cli.life().clone();
    life::run("monday-ipalias", &life, Threads::One, || async {
        run(cli, standing?).await
    })
}
