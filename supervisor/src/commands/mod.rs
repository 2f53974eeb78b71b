//! The commands besides `run`: those that look at the configuration or help to write one, those that look at the machine
//! or clean up behind runs that were killed, and [`remote`], those that talk to a project that runs.

pub mod clean;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod edit;
pub mod hosts_lines;
pub mod init;
pub mod leftovers;
pub mod list;
pub mod picker;
pub mod remembered;
pub mod remote;
pub mod schema;
pub mod validate;
pub mod version;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use monday_shared::life::args::OutputFormat;
use monday_shared::life::exit;
use serde_json::{Value, json};

use crate::cli::ConfigArgs;
use crate::config::Search;
use crate::diagnostic::{Diagnostic, Report};
use crate::view::console;

/// How a command answers.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct OutputArgs {
    /// How to answer: for people, or as one JSON object
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: OutputFormat,
}

impl ConfigArgs {
    /// Where to look for the configuration.
    #[must_use]
    pub fn search(&self) -> Search {
        Search::only(self.config.iter().cloned())
    }
}

/// The answer of a command, on standard output. A reader that has seen enough is no failure.
fn answer(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            failed(&format!("cannot write the answer: {error}"))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// The answer of a command as one line of JSON.
fn answer_json(value: &Value) -> ExitCode {
    answer(&format!("{value}\n"))
}

/// Says why the command cannot answer: the configuration is wrong.
fn refuse(report: &Report, output: OutputFormat) -> ExitCode {
    match output {
        OutputFormat::Text => console::warn(report),
        OutputFormat::Json => {
            answer_json(&report.to_json());
        }
    }
    ExitCode::from(exit::USAGE)
}

/// Says why the command cannot answer: the command line is wrong, or something is not as it has to be.
fn refuse_because(
    code: &'static str,
    message: impl Into<String>,
    help: &str,
    output: OutputFormat,
) -> ExitCode {
    refuse(
        &Report::of(Diagnostic::error(code, message).help(help)),
        output,
    )
}

/// Says why the command failed.
fn failed(message: &str) -> ExitCode {
    console::tell(&format!("monday-supervisor: {message}"));
    ExitCode::from(exit::FAILED)
}

/// `1 app`, `2 apps`.
fn count(number: usize, thing: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{ending}")
}

/// Paths as JSON.
fn paths<'a>(paths: impl IntoIterator<Item = &'a std::path::PathBuf>) -> Value {
    let shown = paths.into_iter().map(|path| path.display().to_string());
    json!(shown.collect::<Vec<_>>())
}
