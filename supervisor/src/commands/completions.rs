//! `monday-supervisor completions SHELL`: completion of the command line, with the names of projects, apps and forwards.
//!
//! The shell asks this executable at each key, so the names are those of the configuration that the line itself means:
//! its `--config`, its project.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use monday_shared::life::offers;

use super::failed;
use crate::cli::{Cli, RunArgs};
use crate::config::{self, Loaded, Search};

/// What `completions` takes.
#[derive(Clone, Copy, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// The shells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// `source <(monday-supervisor completions bash)` in ~/.bashrc
    Bash,
    /// `source <(monday-supervisor completions zsh)` in ~/.zshrc, behind `compinit`
    Zsh,
    /// `monday-supervisor completions fish | source` in config.fish
    Fish,
}

/// Prints the script for a shell.
#[must_use]
pub fn run(args: &CompletionsArgs) -> ExitCode {
    let shell = match args.shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    offers::print_completions(&definition(), shell)
        .unwrap_or_else(|error| failed(&format!("cannot print the completions: {error}")))
}

/// The command line as it is completed and documented: `run` may be left out, so its options and its project may stand
/// where a command may.
#[must_use]
pub fn definition() -> clap::Command {
    RunArgs::augment_args(Cli::command())
}

/// Completes the name of a project.
#[must_use]
pub fn projects() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let words = Words::of_the_line();
        let loaded = words.load();
        candidates(current, loaded.iter().flat_map(Loaded::names))
    })
}

/// Completes the name of an app or a forward of the project that the line names, of all projects where it names none; and,
/// where none is named yet, that of a project.
#[must_use]
pub fn things() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let words = Words::of_the_line();
        let Some(loaded) = words.load() else {
            return Vec::new();
        };
        candidates(current, words.things(&loaded).into_iter())
    })
}

fn candidates<'a>(
    current: &OsStr,
    names: impl Iterator<Item = &'a str>,
) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else {
        return Vec::new();
    };
    let fitting: BTreeSet<&str> = names.filter(|name| name.starts_with(current)).collect();
    fitting.into_iter().map(CompletionCandidate::new).collect()
}

/// The words of the line that is being completed.
struct Words(Vec<String>);

impl Words {
    /// The shell's script hands them over behind `--`.
    fn of_the_line() -> Self {
        let words = std::env::args().skip_while(|word| word != "--").skip(1);
        Self(words.collect())
    }

    fn load(&self) -> Option<Loaded> {
        config::load(&Search::only(self.config())).ok()
    }

    /// The values of `--config`.
    fn config(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        let mut words = self.0.iter();
        while let Some(word) = words.next() {
            if word == "--config" {
                paths.extend(words.next().map(PathBuf::from));
            } else if let Some(path) = word.strip_prefix("--config=") {
                paths.push(path.into());
            }
        }
        paths
    }

    fn things<'l>(&self, loaded: &'l Loaded) -> Vec<&'l str> {
        // The executable's own name is no project's.
        let mut named = self.0.iter().skip(1);
        let project =
            named.find_map(|word| loaded.projects.iter().find(|project| project.name == *word));
        let projects = match project {
            Some(project) => std::slice::from_ref(project),
            None => &loaded.projects,
        };
        let of_project = |project: &'l config::Project| {
            let apps = project.apps.iter().map(|app| app.name.as_str());
            apps.chain(project.forwards.iter().map(|forward| forward.name.as_str()))
        };
        let mut things: Vec<&str> = projects.iter().flat_map(of_project).collect();
        if project.is_none() {
            things.extend(loaded.names());
        }
        things
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
projects:
  - name: shop
    local: [{name: web, run: 'true'}, {name: worker, run: 'true'}]
    forward: [{name: db.local, type: proxy, values: {proxy_hostname: db, ports: [1]}}]
  - name: blog
    local: [{name: page, run: 'true'}]
";

    fn completed(line: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("monday.yaml");
        std::fs::write(&file, FILE).unwrap();
        let line = line.replace("FILE", file.to_str().unwrap());
        let words = Words(line.split(' ').map(str::to_owned).collect());
        let loaded = words.load().unwrap();
        let mut things: Vec<String> = words
            .things(&loaded)
            .into_iter()
            .map(str::to_owned)
            .collect();
        things.sort();
        things
    }

    #[test]
    fn what_belongs_to_the_project_of_the_line_is_offered() {
        assert_eq!(
            completed("m logs --config FILE shop w"),
            ["db.local", "web", "worker"]
        );
        assert_eq!(completed("m logs --config=FILE blog "), ["page"]);
    }

    #[test]
    fn without_a_project_everything_is_offered_and_the_projects_as_well() {
        assert_eq!(
            completed("m logs --config FILE "),
            ["blog", "db.local", "page", "shop", "web", "worker"]
        );
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }
}
