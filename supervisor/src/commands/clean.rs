//! `monday-supervisor clean`: ends what killed runs have left behind: processes, sockets, lines of the hosts file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use monday_shared::life::args::OutputFormat;
use monday_shared::life::exit;
use monday_shared::platform::process_tree::Process;
use monday_shared::protocol::ipalias;
use serde_json::{Value, json};

use super::hosts_lines::{self, Line};
use super::leftovers::{Leftovers, remove_notify_socket};
use super::{OutputArgs, answer, answer_json, failed};
use crate::config::project::Hosts;
use crate::escalate::{Query, Wish, settle};
use crate::sidecar::locate::Locator;
use crate::view::console;

/// What `clean` takes.
#[derive(Clone, Debug, Args)]
pub struct CleanArgs {
    /// The hosts file
    #[arg(long, value_name = "PATH", default_value = "/etc/hosts")]
    pub hosts_file: PathBuf,

    /// How monday-ipalias may become root, where lines have to go from a hosts file that is not ours to write
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub escalate: Wish,

    /// How to answer.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What was done.
#[derive(Default)]
struct Done {
    ended: Vec<(String, Process)>,
    running: Vec<(String, String)>,
    removed: Vec<PathBuf>,
    lines: Vec<Line>,
    /// What was left because that was wanted.
    left: Option<String>,
    problems: Vec<String>,
}

/// Cleans up. Nothing of a project that runs is touched.
#[must_use]
pub fn run(args: &CleanArgs) -> ExitCode {
    let mut done = Done::default();
    match Leftovers::find() {
        Ok(found) => done.clean(&found),
        Err(error) => return failed(&error.to_string()),
    }
    match clean_lines(&args.hosts_file, args.escalate) {
        Ok(lines) => done.lines = lines,
        // Whoever wants nothing to become root wants to leave what only root could remove.
        Err(problem) if args.escalate == Wish::None => done.left = Some(problem),
        Err(problem) => done.problems.push(problem),
    }
    let told = match args.output.output {
        OutputFormat::Json => answer_json(&done.as_json()),
        OutputFormat::Text => {
            for problem in &done.problems {
                console::tell(&format!("monday-supervisor: {problem}"));
            }
            answer(&done.as_text())
        }
    };
    if done.problems.is_empty() {
        told
    } else {
        ExitCode::from(exit::FAILED)
    }
}

/// Removes what a monday-ipalias left in the hosts file that was root and could not become it again; says what was done.
/// Blocks for as long as sudo asks for a password on the terminal.
pub fn remove_lines_of_lost_root(hosts_file: &Path, escalate: Wish) {
    match clean_lines(hosts_file, escalate) {
        Ok(lines) => {
            let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
            if !names.is_empty() {
                let names = names.join(", ");
                console::tell(&format!(
                    "removed the lines of {names} from {}",
                    hosts_file.display()
                ));
            }
        }
        Err(problem) => console::tell(&format!("monday-supervisor: {problem}")),
    }
}

/// Removes the lines of dead instances; as root only where there are any, and we may not.
fn clean_lines(hosts_file: &Path, escalate: Wish) -> Result<Vec<Line>, String> {
    let helper = Locator::from_env()
        .find(ipalias::NAME)
        .map_err(|error| error.to_string())?;
    let default = hosts_file == Path::new("/etc/hosts");
    let file = (!default).then_some(hosts_file);
    let lines = hosts_lines::ask(&[], &helper, "list", file)?;
    if lines.iter().all(|line| line.running) {
        return Ok(Vec::new());
    }
    let settled = settle(&Query {
        wish: escalate,
        hosts: Hosts::System,
        hosts_file: hosts_file.to_owned(),
        has_names: true,
        low_port: None,
        helper: helper.clone(),
        may_ask: true,
    });
    // Through sudo only the machine's own file is written, and none is named.
    let file = file.filter(|_| !settled.escalates());
    hosts_lines::ask(&settled.prefix, &helper, "clean", file).map_err(|error| {
        let stale = lines
            .iter()
            .filter(|line| !line.running)
            .map(|line| line.name.as_str());
        let stale: Vec<&str> = stale.collect();
        format!(
            "cannot remove the lines of {} from {}: {error}; try `sudo {} clean`",
            stale.join(", "),
            hosts_file.display(),
            helper.display()
        )
    })
}

impl Done {
    fn clean(&mut self, found: &Leftovers) {
        for (folder, pid) in &found.running {
            self.running.push((folder.name.clone(), pid.clone()));
        }
        for run in &found.dead {
            let cleaned = run.clean();
            let name = &run.folder.name;
            self.ended.extend(
                cleaned
                    .ended
                    .into_iter()
                    .map(|process| (name.clone(), process)),
            );
            self.removed.extend(cleaned.removed);
            for process in cleaned.survivors {
                self.problems.push(format!(
                    "cannot end process {} ({}) of {name}: it is not ours; try `sudo kill {}`",
                    process.id.pid, process.name, process.id.pid
                ));
            }
            self.problems.extend(cleaned.errors);
        }
        for path in &found.notify_sockets {
            match remove_notify_socket(path) {
                Ok(()) => self.removed.push(path.clone()),
                Err(error) => self
                    .problems
                    .push(format!("cannot remove {}: {error}", path.display())),
            }
        }
    }

    fn as_text(&self) -> String {
        let ended = self.ended.iter().map(|(project, process)| {
            format!(
                "ended process {} ({}) of {project}\n",
                process.id.pid, process.name
            )
        });
        let lines = self.lines.iter().filter(|line| line.in_hosts_file);
        let lines = lines.map(|line| {
            format!(
                "removed the line of {}, of process {}, which is gone\n",
                line.name, line.pid
            )
        });
        let running = self
            .running
            .iter()
            .map(|(project, pid)| format!("{project} runs (pid {pid}): left as it is\n"));
        let removed = self
            .removed
            .iter()
            .map(|path| format!("removed {}\n", path.display()));
        let left = self
            .left
            .iter()
            .map(|left| format!("left as it is: {left}\n"));
        let text: String = ended
            .chain(removed)
            .chain(lines)
            .chain(left)
            .chain(running)
            .collect();
        let nothing = self.ended.is_empty()
            && self.removed.is_empty()
            && self.lines.is_empty()
            && self.left.is_none()
            && self.problems.is_empty();
        if nothing {
            return text + "nothing to clean\n";
        }
        text
    }

    fn as_json(&self) -> Value {
        let ended = self.ended.iter().map(|(project, process)| {
            json!({ "project": project, "pid": process.id.pid, "program": process.name })
        });
        let running = self
            .running
            .iter()
            .map(|(project, pid)| json!({ "project": project, "pid": pid }));
        let lines = self
            .lines
            .iter()
            .map(|line| json!({ "name": line.name, "pid": line.pid }));
        json!({
            "ended": ended.collect::<Vec<_>>(),
            "removed": self.removed,
            "lines": lines.collect::<Vec<_>>(),
            "left": self.left,
            "running": running.collect::<Vec<_>>(),
            "problems": self.problems,
        })
    }
}
