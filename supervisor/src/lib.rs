//! `monday-supervisor`: reads a YAML project, spawns monday's sidecars and wires them.
//!
//! Data flows one way down and one way up:
//!
//! ```text
//! YAML -> config (what the files say) -> plan (what has to be true) -> wiring (calls to sidecars)
//!                                                                        |
//!              view (lines, JSON) <- state (the one place) <- events of the sidecars
//! ```
//!
//! [`session`] is the life of a running project; [`sidecar`] keeps the executables alive that it is made of.

pub mod choice;
pub mod cli;
pub mod commands;
pub mod config;
pub mod control;
pub mod detach;
pub mod diagnostic;
pub mod error;
pub mod escalate;
pub mod files;
mod last_lines;
pub mod naming;
pub mod plan;
pub mod run;
pub mod session;
pub mod sidecar;
pub mod source;
pub mod state;
pub mod still;
pub mod ui;
pub mod view;
pub mod wiring;

use std::process::ExitCode;

use cli::{Cli, Command};
use commands::remote;
use monday_shared::life::{self, Threads};

/// Does what the command line says.
#[must_use]
pub fn main(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Run(run) => run_project(run),
        Command::Validate(args) => commands::validate::run(&args),
        Command::List(args) => commands::list::run(&args),
        Command::Config(args) => commands::config::run(&args),
        Command::Schema => commands::schema::run(),
        Command::Init(args) => commands::init::run(&args),
        Command::Edit(args) => commands::edit::run(&args),
        Command::Status(args) => remote::status::run(&args),
        Command::Restart(target) => remote::act::restart(&target),
        Command::Stop(args) => remote::act::stop(&args),
        Command::Start(target) => remote::act::start(&target),
        Command::Signal(args) => remote::act::signal(&args),
        Command::Reconnect(target) => remote::act::reconnect(&target),
        Command::Switch(args) => remote::act::switch(&args),
        Command::Reload(args) => remote::act::reload(&args),
        Command::Wait(args) => remote::wait::run(&args),
        Command::Down(args) => remote::act::down(&args),
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Clean(args) => commands::clean::run(&args),
        Command::Version(args) => commands::version::run(&args),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Logs(args) => remote::logs::run(&args),
        Command::Attach(args) => remote::attach::run(&args),
    }
}

fn run_project(args: cli::RunArgs) -> ExitCode {
    let life = args.life.clone();
    life::run("monday-supervisor", &life, Threads::One, || run::run(args))
}
