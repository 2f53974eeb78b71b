//! `monday-supervisor doctor`: whether this machine is ready for monday, and what to do where it is not.
//!
//! Each check is a function that returns findings; none changes anything.

mod cluster;
mod inotify;
mod kubeconfig;
mod leftover;
mod machine;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Args;
use monday_shared::life::args::OutputFormat;
use monday_shared::life::exit;
use serde::Serialize;
use serde_json::json;

use super::{OutputArgs, answer, answer_json, count};
use crate::cli::ConfigArgs;
use crate::config::{self, Loaded};
use crate::view::console;

/// What `doctor` takes.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// The hosts file
    #[arg(long, value_name = "PATH", default_value = "/etc/hosts")]
    pub hosts_file: PathBuf,

    /// How to answer.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// Something will not work.
    Problem,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    message: String,
    /// What to do, one thing each.
    advice: Vec<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            message: message.into(),
            advice: Vec::new(),
        }
    }

    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, message)
    }

    fn warning(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, message)
    }

    fn problem(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Problem, message)
    }

    fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice.push(advice.into());
        self
    }
}

/// Examines. Exit status 1 if something will not work.
#[must_use]
pub fn run(args: &DoctorArgs) -> ExitCode {
    let (loaded, configuration) = configuration(args);
    let mut findings = vec![configuration];
    findings.extend(machine::executables());
    findings.push(machine::runtime_folder());
    findings.extend(machine::names_and_ports(&args.hosts_file));
    findings.push(machine::addresses());
    findings.extend(machine::watching());
    findings.extend(cluster::contexts(loaded.as_ref()));
    findings.extend(leftover::processes());
    findings.extend(leftover::lines(&args.hosts_file, loaded.as_ref()));
    let problems = of(&findings, Verdict::Problem);
    let warnings = of(&findings, Verdict::Warning);
    let told = match args.output.output {
        OutputFormat::Json => answer_json(&json!({
            "findings": findings,
            "problems": problems,
            "warnings": warnings,
        })),
        OutputFormat::Text => answer(&as_text(&findings, console::colour(&std::io::stdout()))),
    };
    if problems > 0 {
        ExitCode::from(exit::FAILED)
    } else {
        told
    }
}

fn of(findings: &[Finding], verdict: Verdict) -> usize {
    findings
        .iter()
        .filter(|finding| finding.verdict == verdict)
        .count()
}

fn configuration(args: &DoctorArgs) -> (Option<Loaded>, Finding) {
    let check = "configuration";
    let advice = "see `monday-supervisor validate`";
    match config::load(&args.config.search()) {
        Ok(loaded) => {
            let report = loaded.report();
            let files: Vec<String> = loaded
                .files
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            let what = format!(
                "{} in {}",
                count(loaded.names().count(), "project"),
                files.join(", ")
            );
            let finding = match (report.errors(), report.warnings()) {
                (0, 0) => Finding::ok(check, what),
                (0, warnings) => {
                    Finding::warning(check, format!("{what}: {}", count(warnings, "warning")))
                        .advise(advice)
                }
                (errors, _) => {
                    Finding::problem(check, format!("{what}: {}", count(errors, "error")))
                        .advise(advice)
                }
            };
            (Some(loaded), finding)
        }
        Err(report) => {
            let first = report.diagnostics.first();
            let message = first.map_or_else(
                || "it cannot be read".to_owned(),
                |first| first.message.clone(),
            );
            let help: Vec<String> = first.map(|first| first.help.clone()).unwrap_or_default();
            let missing = first.is_some_and(|first| first.code == "no-configuration");
            let verdict = if missing {
                Verdict::Warning
            } else {
                Verdict::Problem
            };
            let finding = Finding::new(check, verdict, message);
            let finding = if missing {
                finding
            } else {
                finding.advise(advice)
            };
            (None, help.into_iter().fold(finding, Finding::advise))
        }
    }
}

fn as_text(findings: &[Finding], coloured: bool) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.check.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let (word, colour) = match finding.verdict {
            Verdict::Ok => ("ok", AnsiColor::Green),
            Verdict::Warning => ("warning", AnsiColor::Yellow),
            Verdict::Problem => ("problem", AnsiColor::Red),
        };
        let style = if coloured {
            Style::new().bold().fg_color(Some(colour.into()))
        } else {
            Style::new()
        };
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "{style}{word:7}{style:#}  {:width$}  {}",
            finding.check, finding.message
        );
        for advice in &finding.advice {
            let _ = writeln!(text, "{:7}  {:width$}    - {advice}", "", "");
        }
    }
    let verdict = match (
        of(findings, Verdict::Problem),
        of(findings, Verdict::Warning),
    ) {
        (0, 0) => "everything is as it should be".to_owned(),
        (0, warnings) => count(warnings, "warning"),
        (problems, 0) => count(problems, "problem"),
        (problems, warnings) => format!(
            "{}, {}",
            count(problems, "problem"),
            count(warnings, "warning")
        ),
    };
    let _ = writeln!(text, "{verdict}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_stands_below_what_it_is_for_and_the_worst_comes_last() {
        let findings = [
            Finding::ok("one", "fine"),
            Finding::problem("second", "broken").advise("mend it"),
        ];
        assert_eq!(
            as_text(&findings, false),
            "ok       one     fine\nproblem  second  broken\n                   - mend it\n1 problem\n"
        );
    }
}
