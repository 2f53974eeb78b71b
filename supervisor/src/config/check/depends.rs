//! `depends_on`: every name is there, and no app waits for itself.

use std::collections::HashMap;

use super::super::model::forward::Forward;
use super::super::project::{App, Dependency};
use super::super::suggest;
use super::super::tree::Place;
use super::Checker;
use crate::diagnostic::Diagnostic;

/// Gives every app what it depends on. `forwards` are those that are declared, also where something is wrong with them:
/// that was told already.
pub(super) fn check(
    mut apps: Vec<(App, Place)>,
    forwards: &[Forward],
    checker: &mut Checker,
) -> Vec<App> {
    let forward_names = forwards
        .iter()
        .filter_map(|forward| forward.name.as_deref());
    let known: HashMap<&str, bool> = forward_names
        .map(|name| (name.trim(), false))
        .chain(
            apps.iter()
                .map(|(app, _)| (app.name.as_str(), app.disabled)),
        )
        .collect();
    let depends: Vec<Vec<Dependency>> = apps
        .iter()
        .map(|(app, place)| of_app(app, place, &known, checker))
        .collect();
    for ((app, _), depends_on) in apps.iter_mut().zip(depends) {
        app.depends_on = depends_on;
    }
    circles(&apps, checker);
    apps.into_iter().map(|(app, _)| app).collect()
}

fn of_app(
    app: &App,
    place: &Place,
    known: &HashMap<&str, bool>,
    checker: &mut Checker,
) -> Vec<Dependency> {
    let place = place.key("depends_on");
    let mut depends = Vec::new();
    for dependency in &app.depends_on {
        let name = dependency.name.as_str();
        let place = place_of(name, &place);
        match known.get(name) {
            _ if name == app.name => {
                checker.wrong(
                    &place,
                    format!("the app `{name}` depends on itself"),
                    "",
                    "remove it",
                );
            }
            None => {
                let message = format!(
                    "`{}` depends on `{name}`, which is neither an app nor a forward of this project",
                    app.name
                );
                let problem = place.point(Diagnostic::error("unknown-name", message), "not known");
                let mut names: Vec<&str> = known
                    .keys()
                    .copied()
                    .filter(|&other| other != app.name)
                    .collect();
                names.sort_unstable();
                checker.note(match suggest::nearest(name, names.iter().copied()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None if names.is_empty() => {
                        problem.help("there is nothing else in this project")
                    }
                    None => problem.help(format!("there are: {}", names.join(", "))),
                });
            }
            Some(true) => {
                let message = format!("`{}` depends on `{name}`, which is disabled", app.name);
                checker.note(place.point(
                    Diagnostic::warning("disabled-dependency", message),
                    "not waited for",
                ));
            }
            Some(false) => depends.push(dependency.clone()),
        }
    }
    depends
}

/// Where a name stands: in the list, or as a key.
fn place_of<'a>(name: &str, depends_on: &Place<'a>) -> Place<'a> {
    let as_key = depends_on.key(name);
    if as_key.complete {
        // The key is what is wrong, not its condition.
        return Place {
            on_key: true,
            ..as_key
        };
    }
    let items = depends_on.items();
    let item = items
        .into_iter()
        .find(|item| item.node.text() == Some(name));
    item.unwrap_or(*depends_on)
}

/// Tells every circle once. The walk keeps its own stack, since a chain may be as long as a project has apps.
fn circles(apps: &[(App, Place)], checker: &mut Checker) {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let index: HashMap<&str, usize> = apps
        .iter()
        .enumerate()
        .map(|(at, (app, _))| (app.name.as_str(), at))
        .collect();
    let next = |at: usize, nth: usize| {
        let dependency = apps[at].0.depends_on.get(nth)?;
        // A forward depends on nothing.
        Some(index.get(dependency.name.as_str()).copied())
    };
    let mut states = vec![State::New; apps.len()];
    for start in 0..apps.len() {
        let mut stack = Vec::new();
        if states[start] == State::New {
            states[start] = State::Open;
            stack.push((start, 0));
        }
        while let Some((at, nth)) = stack.last_mut() {
            let (here, turn) = (*at, *nth);
            *nth += 1;
            match next(here, turn) {
                None => {
                    states[here] = State::Done;
                    stack.pop();
                }
                Some(Some(there)) if states[there] == State::New => {
                    states[there] = State::Open;
                    stack.push((there, 0));
                }
                Some(Some(there)) if states[there] == State::Open => {
                    let from = stack
                        .iter()
                        .position(|&(at, _)| at == there)
                        .unwrap_or_default();
                    let circle: Vec<usize> = stack[from..].iter().map(|&(at, _)| at).collect();
                    checker.note(circle_of(&circle, apps));
                }
                Some(_) => {}
            }
        }
    }
}

fn circle_of(circle: &[usize], apps: &[(App, Place)]) -> Diagnostic {
    let name = |at: usize| apps[at].0.name.as_str();
    let mut names: Vec<&str> = circle.iter().map(|&at| name(at)).collect();
    names.extend(circle.first().map(|&at| name(at)));
    let places = |position: usize| {
        let place = apps[circle[position]].1.key("depends_on");
        let next = name(circle[(position + 1) % circle.len()]);
        (
            place_of(next, &place),
            format!("`{}` waits for `{next}`", name(circle[position])),
        )
    };
    let message = format!("apps wait for each other: {}", names.join(" -> "));
    let (last, label) = places(circle.len() - 1);
    let mut problem = last.point(Diagnostic::error("circle", message), label);
    for position in 0..circle.len() - 1 {
        let (place, label) = places(position);
        problem = problem.also(place.span(), label);
    }
    problem.help("remove one of these dependencies")
}
