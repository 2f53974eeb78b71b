//! The executable: see the library for what it does.

use std::process::ExitCode;

use clap::CommandFactory;
use monday_fwd::cli::{Cli, Job};
use monday_fwd::kubernetes_remote::{restore, watcher};
use monday_fwd::run::run;
use monday_shared::life::{self, Threads};

fn main() -> ExitCode {
    life::offer(<Cli as CommandFactory>::command);
    let cli = Cli::parse_or_exit();
    let life = cli.life().clone();
    // This thread is for control, and COMMAND dies with it; the threads that carry bytes are started by `run`.
    let name = "monday-fwd";
    match cli.job() {
        Job::Forward(cli) => life::run(name, &life, Threads::One, || run(*cli)),
        Job::Restore(args) => life::run(name, &life, Threads::One, || restore::run(args)),
        Job::Watch(args) => life::run(name, &life, Threads::One, || watcher::run(args)),
    }
}
