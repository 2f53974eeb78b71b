//! `monday-supervisor list`: the projects, with their apps and forwards.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use monday_shared::life::args::OutputFormat;
use serde_json::{Value, json};

use super::{OutputArgs, answer, answer_json, count, paths, refuse};
use crate::cli::ConfigArgs;
use crate::config::project::{App, Forward, ForwardKind, Workload};
use crate::config::{self, Loaded, Project};

/// What `list` takes.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// How to answer.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Lists the projects.
#[must_use]
pub fn run(args: &ListArgs) -> ExitCode {
    match config::load(&args.config.search()) {
        Err(report) => refuse(&report, args.output.output),
        Ok(loaded) if args.output.output == OutputFormat::Json => answer_json(&as_json(&loaded)),
        Ok(loaded) => answer(&as_text(&loaded)),
    }
}

fn as_text(loaded: &Loaded) -> String {
    let mut text = String::new();
    for project in &loaded.projects {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{}", project.name);
        let rows: Vec<[String; 4]> = project
            .apps
            .iter()
            .map(app_row)
            .chain(project.forwards.iter().map(forward_row))
            .collect();
        let width = |column: usize| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let (name, kind, host) = (width(0), width(1), width(2));
        for row in &rows {
            let line = format!(
                "  {:name$}  {:kind$}  {:host$}  {}",
                row[0], row[1], row[2], row[3]
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    for broken in &loaded.broken {
        let name = if broken.name.is_empty() {
            "(a project without a name)"
        } else {
            &broken.name
        };
        let errors = count(broken.report.errors(), "error");
        let _ = writeln!(text, "{name}\n  {errors}: see `monday-supervisor validate`");
    }
    text
}

fn app_row(app: &App) -> [String; 4] {
    let path = app
        .path
        .as_ref()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    let kind = if app.disabled { "disabled" } else { "local" };
    [
        app.name.clone(),
        kind.to_owned(),
        app.hostname.clone().unwrap_or_default(),
        path,
    ]
}

fn forward_row(forward: &Forward) -> [String; 4] {
    let listens = forward.hostname.clone();
    let here = if forward.kind.listens_here() {
        "127.0.0.1"
    } else {
        ""
    };
    let ports: Vec<String> = forward
        .ports
        .iter()
        .map(|pair| format!("{}:{}", pair.listen, pair.target))
        .collect();
    let leads = leads_to(&forward.kind);
    let ports = ports.join(" ");
    [
        forward.name.clone(),
        forward.kind.name().to_owned(),
        listens.unwrap_or_else(|| here.to_owned()),
        format!("{ports} {leads}"),
    ]
}

/// Where a forward leads, in words.
fn leads_to(kind: &ForwardKind) -> String {
    match kind {
        ForwardKind::Proxy { target } => format!("to {target}"),
        ForwardKind::Kubernetes(cluster) => format!("to {}", workload(&cluster.workload)),
        ForwardKind::KubernetesRemote { cluster, .. } => {
            format!("from {}", workload(&cluster.workload))
        }
        ForwardKind::Ssh(ssh) => format!("through {}", ssh.remote),
        ForwardKind::SshRemote(ssh) => format!("from {}", ssh.remote),
    }
}

fn workload(workload: &Workload) -> String {
    match workload {
        Workload::Labels(labels) => {
            let pairs: Vec<String> = labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            format!("pods with {}", pairs.join(","))
        }
        Workload::Pod(name) => format!("pod {name}"),
        Workload::Service(name) => format!("service {name}"),
        Workload::Deployment(name) => format!("deployment {name}"),
        Workload::StatefulSet(name) => format!("stateful set {name}"),
    }
}

fn as_json(loaded: &Loaded) -> Value {
    let sound = loaded.projects.iter().map(project_json);
    let broken = loaded
        .broken
        .iter()
        .map(|broken| json!({ "name": broken.name, "errors": broken.report.errors() }));
    json!({ "files": paths(&loaded.files), "projects": sound.chain(broken).collect::<Vec<_>>() })
}

fn project_json(project: &Project) -> Value {
    let apps = project.apps.iter().map(|app| {
        json!({ "name": app.name, "hostname": app.hostname, "path": app.path, "disabled": app.disabled })
    });
    let forwards = project.forwards.iter().map(|forward| {
        let ports = forward
            .ports
            .iter()
            .map(|pair| format!("{}:{}", pair.listen, pair.target));
        json!({
            "name": forward.name,
            "type": forward.kind.name(),
            "hostname": forward.hostname,
            "ports": ports.collect::<Vec<_>>(),
        })
    });
    json!({
        "name": project.name,
        "errors": 0,
        "apps": apps.collect::<Vec<_>>(),
        "forwards": forwards.collect::<Vec<_>>(),
    })
}
