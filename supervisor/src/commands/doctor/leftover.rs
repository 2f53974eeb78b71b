//! What killed runs and the older Go tool have left behind.

use std::collections::BTreeSet;
use std::path::Path;

use monday_shared::protocol::ipalias;

use super::Finding;
use crate::commands::hosts_lines;
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
    let old = hosts_lines::of_the_go_tool(&String::from_utf8_lossy(&text), &wanted(loaded));
    if !old.is_empty() {
        let message = format!(
            "the older Go tool has left lines for {}: while they are there, these names lead to its addresses",
            old.join(", ")
        );
        let adopt = format!(
            "take them over: `sudo {} adopt {}`",
            helper.display(),
            old.join(" ")
        );
        findings.push(Finding::problem(check, message).advise(adopt));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(check, "none that nobody needs"));
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
