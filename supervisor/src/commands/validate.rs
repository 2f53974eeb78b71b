//! `monday-supervisor validate`: everything that is wrong with the configuration, in one pass.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use monday_shared::life::args::OutputFormat;
use monday_shared::life::exit;
use serde_json::json;

use super::{OutputArgs, answer, answer_json, completions, count, paths, refuse};
use crate::cli::ConfigArgs;
use crate::config::{self, Loaded, Search};
use crate::diagnostic::Report;
use crate::view::console;

/// What `validate` takes.
#[derive(Clone, Debug, Args)]
pub struct ValidateArgs {
    /// Only what is about this project
    #[arg(value_name = "PROJECT", add = completions::projects())]
    pub project: Option<String>,

    /// Warnings are failures as well (exit status 2), as a CI job wants it
    #[arg(long)]
    pub strict: bool,

    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// How to answer.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Tells what is wrong. Exit status 0 if nothing is, or (unless it is strict) nothing that keeps a project from running;
/// else 2.
#[must_use]
pub fn run(args: &ValidateArgs) -> ExitCode {
    let (search, project) = (args.config.search(), args.project.as_deref());
    validate(&search, project, args.strict, args.output.output)
}

/// What [`run`] does, for whoever has no command line.
pub(super) fn validate(
    search: &Search,
    project: Option<&str>,
    strict: bool,
    output: OutputFormat,
) -> ExitCode {
    let loaded = match config::load(search) {
        Ok(loaded) => loaded,
        Err(report) => return refuse(&report, output),
    };
    let report = match project {
        None => loaded.report(),
        Some(name) => match loaded.project(name) {
            Ok(_) => loaded.warnings_for(name),
            Err(report) => report,
        },
    };
    let told = match output {
        OutputFormat::Json => answer_json(&as_json(&report, &loaded)),
        OutputFormat::Text => {
            console::warn(&report);
            answer(&format!("{}\n", summary(&report, &loaded, project)))
        }
    };
    if report.has_errors() || (strict && !report.is_empty()) {
        ExitCode::from(exit::USAGE)
    } else {
        told
    }
}

fn as_json(report: &Report, loaded: &Loaded) -> serde_json::Value {
    let mut json = report.to_json();
    json["files"] = paths(&loaded.files);
    json["projects"] = json!(loaded.names().collect::<Vec<_>>());
    json
}

/// The last line: what was looked at, and how it is.
fn summary(report: &Report, loaded: &Loaded, project: Option<&str>) -> String {
    let what = match project {
        Some(name) => format!("project `{name}`"),
        None => count(loaded.names().count(), "project"),
    };
    let verdict = match (report.errors(), report.warnings()) {
        (0, 0) => "nothing is wrong".to_owned(),
        (0, warnings) => count(warnings, "warning"),
        (errors, 0) => count(errors, "error"),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    format!("{what} in {}: {verdict}", files(&loaded.files))
}

/// The files, those of a long list only by their number.
fn files(files: &[PathBuf]) -> String {
    match files {
        [one, others @ ..] if others.len() < 3 => {
            let others = others.iter().map(|path| format!(", {}", path.display()));
            format!("{}{}", one.display(), others.collect::<String>())
        }
        many => count(many.len(), "file"),
    }
}
