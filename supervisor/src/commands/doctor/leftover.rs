//! What killed runs and the older Go tool have left behind.

use std::collections::BTreeSet;
use std::path::Path;

use monday_shared::protocol::ipalias;

use super::Finding;
use crate::commands::hosts_lines::{self, Foreign};
use crate::commands::leftovers::Leftovers;
use crate::config::Loaded;
use crate::sidecar::locate::Locator;

const CLEAN: &str = "`monday-supervisor clean` ends and removes them";

/// Processes that survived their guardians.
pub(super) fn processes() -> Vec<Finding> {
    let check = "dead runs";
    // Why the folder cannot be used was said before.
    let Ok(found) = Leftovers::find() else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for run in found.dead.iter().filter(|run| !run.is_empty()) {
        let shown = run
            .survivors
            .iter()
            .map(|process| format!("{} ({})", process.id.pid, process.name));
        let shown: Vec<String> = shown.collect();
        let name = &run.folder.name;
        let message = if shown.is_empty() {
            format!("a run of `{name}` that was killed has left sockets")
        } else {
            format!(
                "a run of `{name}` that was killed has left processes: {}",
                shown.join(", ")
            )
        };
        findings.push(Finding::warning(check, message).advise(CLEAN));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(check, "none has left anything"));
    }
    findings
}

/// Lines of the hosts file that nobody needs any more.
pub(super) fn lines(hosts_file: &Path, loaded: Option<&Loaded>) -> Vec<Finding> {
    let check = "hosts lines";
    let Ok(helper) = Locator::from_env().find(ipalias::NAME) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    match hosts_lines::ask(&[], &helper, "list", Some(hosts_file)) {
        Err(error) => findings.push(Finding::problem(check, error)),
        Ok(lines) => {
            let stale: Vec<String> = lines
                .into_iter()
                .filter(|line| !line.running)
                .map(|line| line.name)
                .collect();
            if !stale.is_empty() {
                let message = format!("a run that was killed has left {}", stale.join(", "));
                findings.push(Finding::warning(check, message).advise(CLEAN));
            }
        }
    }
    let text = std::fs::read(hosts_file).unwrap_or_default();
    let machine = nix::unistd::gethostname().unwrap_or_default();
    let foreign = Foreign::find(
        &String::from_utf8_lossy(&text),
        &wanted(loaded),
        &machine.to_string_lossy(),
    );
    findings.extend(of_others(&foreign, check, &helper, hosts_file));
    if findings.is_empty() {
        findings.push(Finding::ok(check, "none that nobody needs"));
    }
    findings
}

/// The names that somebody else's lines take from the projects.
fn of_others(
    foreign: &Foreign,
    check: &'static str,
    helper: &Path,
    hosts_file: &Path,
) -> Vec<Finding> {
    let joined = |names: &BTreeSet<String>, with: &str| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.join(with)
    };
    let adopt = |names| {
        let (helper, names) = (helper.display(), joined(names, " "));
        format!("take them over: `sudo {helper} adopt {names}`")
    };
    let file = hosts_file.display();
    let mut findings = Vec::new();
    let old = &foreign.of_the_go_tool;
    if !old.is_empty() {
        let message = format!(
            "the older Go tool has left lines for {}: while they are there, these names lead to its addresses",
            joined(old, ", ")
        );
        findings.push(Finding::problem(check, message).advise(adopt(old)));
    }
    let others = &foreign.of_others;
    if !others.is_empty() {
        let message = format!(
            "{file} has lines of somebody else for {}: while they are there, these names lead to those addresses",
            joined(others, ", ")
        );
        findings.push(
            Finding::problem(check, message)
                .advise("remove them, if they are yours")
                .advise(format!("or {}", adopt(others))),
        );
    }
    let own = &foreign.of_the_machine;
    if !own.is_empty() {
        let message = format!(
            "{file} gives {} to this machine itself, whose line is to be left alone",
            joined(own, ", ")
        );
        findings.push(
            Finding::problem(check, message).advise("choose other host names in the configuration"),
        );
    }
    findings
}

/// The host names of all projects.
fn wanted(loaded: Option<&Loaded>) -> BTreeSet<String> {
    let projects = loaded.into_iter().flat_map(|loaded| &loaded.projects);
    projects
        .flat_map(|project| {
            let apps = project.apps.iter().filter_map(|app| app.hostname.clone());
            apps.chain(
                project
                    .forwards
                    .iter()
                    .filter_map(|forward| forward.hostname.clone()),
            )
        })
        .collect()
}
