//! The executable: see the library for what it does.

use std::process::ExitCode;

use monday_supervisor::cli::Cli;

fn main() -> ExitCode {
    monday_supervisor::main(Cli::from_args(std::env::args_os()))
}
