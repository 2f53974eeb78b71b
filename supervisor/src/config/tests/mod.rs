//! The whole reader, from files to plans, in surroundings of the test's own.

mod bounds;
mod files;
mod generated;
mod keys;
mod mistakes;
mod plans;
mod reference;
mod texts;
mod yaml;

use super::project::{App, Forward};
use super::surroundings::fake::Fake;
use super::{Loaded, Search, load_in};
use crate::diagnostic::{Diagnostic, Report, Severity};

/// What is found in the only file, `monday.yaml`.
fn read(text: &str) -> Result<Loaded, Report> {
    load_in(&Search::new(), &Fake::new().file("/here/monday.yaml", text))
}

/// What is found in several files of one folder.
fn read_files(files: &[(&str, &str)]) -> Result<Loaded, Report> {
    let mut machine = Fake::new().set("MONDAY_CONFIG_PATH", "/conf");
    for (name, text) in files {
        machine = machine.file(&format!("/conf/{name}"), text);
    }
    load_in(&Search::new(), &machine)
}

/// Everything that is wrong, shown in short: `severity code file:line:column message`.
fn problems(result: &Result<Loaded, Report>) -> Vec<String> {
    let report = match result {
        Ok(loaded) => loaded.report(),
        Err(report) => report.clone(),
    };
    report
        .diagnostics
        .iter()
        .map(|problem| short(problem, &report))
        .collect()
}

fn short(problem: &Diagnostic, report: &Report) -> String {
    let place = match &problem.primary {
        Some(label) => {
            let start = report.sources.start(label.span);
            let name = report
                .sources
                .path(label.span)
                .file_name()
                .unwrap()
                .to_string_lossy();
            format!(" {name}:{}:{}", start.line, start.column)
        }
        None => String::new(),
    };
    let severity = match problem.severity {
        Severity::Error => "E",
        Severity::Warning => "W",
    };
    format!("{severity} {}{place} {}", problem.code, problem.message)
}

/// A result with nothing wrong in it.
fn sound(text: &str) -> Loaded {
    let result = read(text);
    assert_eq!(problems(&result), Vec::<String>::new(), "{text}");
    result.unwrap()
}

fn app(text: &str) -> App {
    let indented = text.replace('\n', "\n    ");
    sound(&format!("projects:\n- name: p\n  local:\n  - {indented}\n")).projects[0].apps[0].clone()
}

fn forward(text: &str) -> Forward {
    let indented = text.replace('\n', "\n    ");
    sound(&format!(
        "projects:\n- name: p\n  forward:\n  - {indented}\n"
    ))
    .projects[0]
        .forwards[0]
        .clone()
}
