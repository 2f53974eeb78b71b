//! From a project as it is written to one that can be planned: what is required is there, what is unique occurs once,
//! what refers to something refers to something that exists.

mod app;
mod depends;
mod forward;
mod hostname;
mod loops;
mod ports;
mod ready;
mod signal;

use std::collections::HashMap;

use super::effective::Effective;
use super::model::{Config, Text};
use super::problems::{Problems, ProjectIndex};
use super::project::{Project, Settings};
use super::tree::Place;
use crate::diagnostic::Diagnostic;

/// Where problems go while one project is checked.
pub(super) struct Checker<'a> {
    problems: &'a mut Problems,
    project: ProjectIndex,
}

/// Checks a project. What is wrong is left out of it, and noted.
pub(super) fn project(
    effective: &Effective,
    index: ProjectIndex,
    settings: Settings,
    problems: &mut Problems,
) -> Project {
    let mut checker = Checker {
        problems,
        project: index,
    };
    let declared = &effective.project;
    let name = checker
        .name(declared.name.as_ref(), &effective.place, "project")
        .unwrap_or_default();
    if declared.local.is_empty()
        && declared.forward.is_empty()
        && !["local", "forward"]
            .iter()
            .any(|key| effective.place.key(key).complete)
    {
        let problem = Diagnostic::warning(
            "nothing-to-run",
            format!("the project `{name}` has no app and no forward"),
        );
        let problem = effective.place.point(problem, "nothing to run");
        checker.note(problem.help("list apps in `local:` and forwards in `forward:`"));
    }
    let apps = checker.each(&declared.local, &effective.apps, app::check);
    let forwards = checker.each(&declared.forward, &effective.forwards, forward::check);
    checker.unique(
        apps.iter().map(|(app, place)| (app.name.as_str(), place)),
        "apps",
    );
    checker.unique(
        forwards
            .iter()
            .map(|(forward, place)| (forward.name.as_str(), place)),
        "forwards",
    );
    forward::check_listeners(&forwards, &mut checker);
    loops::check(&forwards, &settings, &mut checker);
    let apps = depends::check(apps, &declared.forward, &mut checker);
    Project {
        name,
        settings,
        apps,
        forwards: forwards.into_iter().map(|(forward, _)| forward).collect(),
    }
}

/// Checks that no project name occurs twice over all files.
pub(super) fn project_names(
    config: &Config,
    places: &[(ProjectIndex, Place)],
    problems: &mut Problems,
) {
    let mut seen: HashMap<&str, &(ProjectIndex, Place)> = HashMap::new();
    for (project, at) in config.projects.iter().zip(places) {
        // As it is compared where one is named: without blanks around it.
        let Some(name) = project.name.as_deref().map(str::trim) else {
            continue;
        };
        match seen.get(name) {
            _ if name.is_empty() => {}
            Some((first, first_place)) => {
                let message = format!("two projects are called `{name}`");
                let problem = twice(&message, first_place, &at.1);
                // Which of the two is meant nobody can know: neither runs.
                problems.push_in(Some(at.0), problem.clone());
                problems.push_in(Some(*first), problem);
            }
            None => {
                seen.insert(name, at);
            }
        }
    }
}

/// The settings that hold for all projects.
pub(super) fn settings(config: &Config) -> Settings {
    let names = |list: &super::model::List<Text>| list.iter().map(|name| name.0.clone()).collect();
    Settings {
        gopath: config.gopath.as_ref().map(|path| path.0.clone()),
        kubeconfig: config.kubeconfig.as_ref().map(|path| path.0.clone().into()),
        hosts: config.hosts.unwrap_or_default(),
        allow_remote: config.allow_remote.as_ref().map(names),
    }
}

impl Checker<'_> {
    /// Whether so much is wrong that it is no use to look for more.
    fn is_full(&self) -> bool {
        self.problems.is_full()
    }

    fn note(&mut self, problem: Diagnostic) {
        self.problems.push_in(Some(self.project), problem);
    }

    /// Notes that the value at a place is wrong.
    fn wrong(&mut self, place: &Place, message: impl Into<String>, label: &str, help: &str) {
        let problem = place.point(Diagnostic::error("bad-value", message), label);
        self.note(if help.is_empty() {
            problem
        } else {
            problem.help(help)
        });
    }

    /// Notes that a key is missing, unless what it has was found wrong before.
    fn missing(&mut self, place: &Place, key: &str, message: impl Into<String>, help: &str) {
        if !place.key(key).complete {
            let problem = Diagnostic::error("missing-key", message);
            // The key of a map says better than its first line which map is meant.
            let place = Place {
                on_key: true,
                ..*place
            };
            let problem = place.point(problem, format!("`{key}` is missing here"));
            self.note(problem.help(help));
        } else if matches!(place.key(key).node.content, super::tree::Content::Null) {
            let problem = Diagnostic::error("missing-key", message);
            self.note(
                place
                    .key(key)
                    .point(problem, format!("`{key}` is empty"))
                    .help(help),
            );
        }
    }

    /// Checks each item, and keeps those that are sound with their places.
    fn each<'p, D, C>(
        &mut self,
        declared: &[D],
        places: &[Place<'p>],
        check: fn(&D, &Place, &mut Self) -> Option<C>,
    ) -> Vec<(C, Place<'p>)> {
        let mut checked = Vec::with_capacity(declared.len());
        for (item, place) in declared.iter().zip(places) {
            if self.is_full() {
                break;
            }
            checked.extend(check(item, place, self).map(|sound| (sound, *place)));
        }
        checked
    }

    /// The name of a project, an app or a forward.
    fn name(&mut self, name: Option<&Text>, place: &Place, what: &str) -> Option<String> {
        let Some(name) = name.map(|name| name.trim()).filter(|name| !name.is_empty()) else {
            if place
                .key("name")
                .node
                .text()
                .is_some_and(|text| text.trim().is_empty())
                && place.key("name").complete
            {
                self.wrong(
                    &place.key("name"),
                    format!("the name of this {what} is empty"),
                    "",
                    "write a name",
                );
            } else {
                let article = if what == "app" { "an" } else { "a" };
                let message = format!("{article} {what} has no name");
                self.missing(
                    place,
                    "name",
                    message,
                    "write `name: ...`: output, messages and commands use it",
                );
            }
            return None;
        };
        if name.chars().any(char::is_control) {
            let message = format!(
                "the name `{}` contains a control character",
                name.escape_debug()
            );
            self.wrong(
                &place.key("name"),
                message,
                "",
                "a name is one line of visible characters",
            );
            return None;
        }
        Some(name.to_owned())
    }

    /// Checks that no name occurs twice.
    fn unique<'n, 'p: 'n>(
        &mut self,
        named: impl Iterator<Item = (&'n str, &'n Place<'p>)>,
        what: &str,
    ) {
        let mut seen: HashMap<&str, &Place> = HashMap::new();
        for (name, place) in named {
            match seen.get(name) {
                Some(first) => self.note(twice(
                    &format!("two {what} of this project are called `{name}`"),
                    first,
                    place,
                )),
                None => {
                    seen.insert(name, place);
                }
            }
        }
    }

    /// Whether there is nothing in a text that no program can be given; notes it otherwise.
    fn no_nul(&mut self, text: &str, place: &Place) -> bool {
        let fits = !text.contains('\0');
        if !fits {
            let message = "there is a NUL character, which no program can be given";
            self.wrong(place, message, "", "remove the `\\0`");
        }
        fits
    }
}

/// Something that is declared twice: at its name, or where it is used if it is declared once and used twice.
fn twice(message: &str, first: &Place, second: &Place) -> Diagnostic {
    let name = |place: &Place| {
        let name = place.key("name");
        if name.complete {
            name.span()
        } else {
            place.span()
        }
    };
    let (declared, again) = (name(first), name(second));
    let problem = Diagnostic::error("duplicate-name", message);
    let problem = if declared == again {
        let at = |place: &Place| place.aliases.iter().next_back().unwrap_or(declared);
        let problem = problem
            .at(at(second), "and here again")
            .also(at(first), "used here");
        problem.also(declared, "declared here")
    } else {
        let problem = problem
            .at(again, "this one")
            .also(declared, "the first one");
        let mut aliases: Vec<_> = second.aliases.iter().chain(first.aliases.iter()).collect();
        aliases.dedup();
        aliases.into_iter().fold(problem, |problem, alias| {
            problem.also(alias, "used through this alias")
        })
    };
    problem.help("give one of them another name, or remove it")
}
