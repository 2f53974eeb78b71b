//! The executable: see the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    monday_agent::run::main(std::env::args().skip(1))
}
