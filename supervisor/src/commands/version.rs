//! `monday-supervisor version`: what is installed, and whether it fits together.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use clap::Args;
use monday_shared::life::args::OutputFormat;
use monday_shared::protocol::PROTOCOL;

use serde_json::json;

use super::{OutputArgs, answer, answer_json};
use crate::sidecar::locate::Locator;

/// The version of this executable.
pub const OWN: &str = env!("CARGO_PKG_VERSION");

/// The executables that projects are made of.
pub const SIDECARS: [&str; 5] = [
    monday_shared::protocol::run::NAME,
    monday_shared::protocol::watch::NAME,
    monday_shared::protocol::ipalias::NAME,
    monday_shared::protocol::tcpproxy::NAME,
    monday_shared::protocol::fwd::NAME,
];

/// What `version` takes.
#[derive(Clone, Copy, Debug, Args)]
pub struct VersionArgs {
    /// How to answer.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// One of the executables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its name.
    pub name: &'static str,
    /// Where it is; nothing: nowhere.
    pub path: Option<PathBuf>,
    /// What it says; nothing: it cannot be run, or says something else.
    pub version: Option<String>,
}

impl Installed {
    /// All of them, as the supervisor would find them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let locator = Locator::from_env();
        SIDECARS
            .into_iter()
            .map(|name| {
                let path = locator.find(name).ok();
                let version = path.as_ref().and_then(|path| ask(path, name));
                Self {
                    name,
                    path,
                    version,
                }
            })
            .collect()
    }
}

/// What an executable says to `--version`.
fn ask(path: &PathBuf, name: &str) -> Option<String> {
    let said = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let version = said.trim().strip_prefix(name)?.trim();
    (!version.is_empty()).then(|| version.to_owned())
}

/// Says what is installed.
#[must_use]
pub fn run(args: &VersionArgs) -> ExitCode {
    let installed = Installed::all();
    if args.output.output == OutputFormat::Json {
        let executables = installed
            .iter()
            .map(|it| json!({ "name": it.name, "path": it.path, "version": it.version }));
        return answer_json(&json!({
            "name": "monday-supervisor",
            "version": OWN,
            "protocol": PROTOCOL,
            "executables": executables.collect::<Vec<_>>(),
        }));
    }
    let mut text = format!("monday-supervisor {OWN}\n");
    for it in installed {
        let version = it.version.as_deref().unwrap_or("?");
        // Writing into a string cannot fail.
        let _ = match &it.path {
            Some(path) => writeln!(text, "{} {version}  {}", it.name, path.display()),
            None => writeln!(text, "{} is not installed", it.name),
        };
    }
    answer(&text)
}
