//! The executable: see the library for what it does.

use std::process::ExitCode;

use monday_shared::life;
use monday_supervisor::cli::Cli;
use monday_supervisor::commands::completions;

fn main() -> ExitCode {
    life::offer(completions::definition);
    monday_supervisor::main(Cli::from_args(std::env::args_os()))
}
