//! `monday-supervisor config PROJECT`: what will really run, as a configuration of its own.

use std::process::ExitCode;

use clap::Args;
use monday_shared::life::args::OutputFormat;

use super::{OutputArgs, answer, answer_json, completions, failed, refuse};
use crate::cli::ConfigArgs;
use crate::config::{self, write};
use crate::view::console;

/// What `config` takes.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// The project to show
    #[arg(value_name = "PROJECT", add = completions::projects())]
    pub project: String,

    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// How to answer.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Shows the effective project: the globals merged in, aliases resolved, paths expanded. Read again, it runs the same.
#[must_use]
pub fn run(args: &ShowArgs) -> ExitCode {
    let output = args.output.output;
    let loaded = match config::load(&args.config.search()) {
        Ok(loaded) => loaded,
        Err(report) => return refuse(&report, output),
    };
    let config = match loaded.effective(&args.project) {
        Ok(config) => config,
        Err(report) => return refuse(&report, output),
    };
    if output == OutputFormat::Json {
        return match serde_json::to_value(config) {
            Ok(value) => answer_json(&value),
            Err(error) => failed(&format!("cannot write `{}` as JSON: {error}", args.project)),
        };
    }
    console::warn(&loaded.warnings_for(&args.project));
    match write::to_yaml(config) {
        Ok(text) => answer(&text),
        Err(error) => failed(&format!("cannot write `{}` as YAML: {error}", args.project)),
    }
}
