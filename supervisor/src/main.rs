//! The executable: see the library for what it does.

use std::process::ExitCode;

use clap::Parser as _;
use monday_supervisor::cli::Cli;

fn main() -> ExitCode {
    monday_supervisor::main(Cli::parse())
}
