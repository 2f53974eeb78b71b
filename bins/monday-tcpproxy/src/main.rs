//! The executable: see the library for what it does.

use std::process::ExitCode;

use monday_shared::life::{self, Threads};
use monday_tcpproxy::cli::Cli;
use monday_tcpproxy::run::run;

fn main() -> ExitCode {
    let cli = Cli::parse_or_exit();
    let life = cli.life().clone();
    // This thread is for control; the threads that relay are started by `run`.
    life::run("monday-tcpproxy", &life, Threads::One, || run(cli))
}
