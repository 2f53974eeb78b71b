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
    let by_name: HashMap<&str, bool> = forward_names
        .map(|name| (name.trim(), false))
        .chain(
            apps.iter()
                .map(|(app, _)| (app.name.as_str(), app.disabled)),
        )
        .collect();
    let mut sorted: Vec<&str> = by_name.keys().copied().collect();
    sorted.sort_unstable();
    let known = Known { by_name, sorted };
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

fn of_app(app: &App, place: &Place, known: &Known, checker: &mut Checker) -> Vec<Dependency> {
    let place = place.key("depends_on");
    let places = places_of_names(&place);
    let mut depends = Vec::new();
    for dependency in &app.depends_on {
        if checker.is_full() {
            break;
        }
        let name = dependency.name.as_str();
        let place = places.get(name).unwrap_or(&place);
        match known.by_name.get(name) {
            _ if name == app.name => {
                checker.wrong(
                    place,
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
                checker.note(problem.help(known.advice(name, &app.name)));
            }
            Some(true) => {
                let message = format!("`{}` depends on `{name}`, which is disabled", app.name);
                let problem = place.point(
                    Diagnostic::warning("disabled-dependency", message),
                    "not waited for",
                );
                checker.note(
                    problem.help(format!("remove `{name}` here, or `disabled` from `{name}`")),
                );
            }
            Some(false) => depends.push(dependency.clone()),
        }
    }
    depends
}

/// How many names are listed where none is near: more than that nobody looks through.
const MOST_LISTED: usize = 10;

/// What an app may depend on.
struct Known<'a> {
    /// Each name, and whether it is disabled.
    by_name: HashMap<&'a str, bool>,
    /// All names, sorted.
    sorted: Vec<&'a str>,
}

impl Known<'_> {
    /// What to do about a name that is not known.
    fn advice(&self, name: &str, own: &str) -> String {
        let others = || self.sorted.iter().copied().filter(|&other| other != own);
        if let Some(near) = suggest::nearest(name, others()) {
            return format!("did you mean `{near}`?");
        }
        let listed: Vec<&str> = others().take(MOST_LISTED).collect();
        match others().count() {
            0 => "there is nothing else in this project".to_owned(),
            count if count > MOST_LISTED => {
                format!(
                    "there are: {} and {} more",
                    listed.join(", "),
                    count - MOST_LISTED
                )
            }
            _ => format!("there are: {}", listed.join(", ")),
        }
    }
}

/// Where each name stands: in the list, or as a key.
fn places_of_names<'a>(depends_on: &Place<'a>) -> HashMap<&'a str, Place<'a>> {
    let keys = depends_on.keys().into_iter();
    // The key is what is wrong, not its condition.
    let keys = keys.map(|(name, place)| {
        let on_key = Place {
            on_key: true,
            ..place
        };
        (name, on_key)
    });
    let items = depends_on.items().into_iter();
    // Of a name that is there twice, the first place.
    let items = items
        .rev()
        .filter_map(|item| Some((item.node.text()?, item)));
    items.chain(keys).collect()
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
        if checker.is_full() {
            return;
        }
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
    // The end of the circle is where it closes; of a long one the beginning is enough.
    let shown = &circle[..circle.len().min(MOST_LISTED)];
    let mut names: Vec<&str> = shown.iter().map(|&at| name(at)).collect();
    if shown.len() < circle.len() {
        names.push("...");
    }
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
    for position in 0..shown.len().min(circle.len() - 1) {
        let (place, label) = places(position);
        problem = problem.also(place.span(), label);
    }
    problem.help("remove one of these dependencies")
}

/// Where one name stands.
fn place_of<'a>(name: &str, depends_on: &Place<'a>) -> Place<'a> {
    let place = places_of_names(depends_on).remove(name);
    place.unwrap_or(*depends_on)
}
