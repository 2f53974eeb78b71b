//! A project as it really is: the globals merged in, paths expanded. Still in the types of the model, so that it can be
//! written as a file again.

use std::path::Path;

use super::anchors::MOST_VALUES;
use super::expand::{self, Expander, Kind};
use super::model::{App, Config, Defaults, Either, Env, Flag, List, Project, Text, WatchDefaults};
use super::problems::{Problems, ProjectIndex};
use super::tree::{Content, Place};
use crate::diagnostic::{Diagnostic, Sources};

/// A project as it really is, and where its parts are written.
pub(super) struct Effective<'a> {
    pub(super) project: Project,
    pub(super) place: Place<'a>,
    pub(super) apps: Vec<Place<'a>>,
    pub(super) forwards: Vec<Place<'a>>,
}

/// Where expansions come from, and where their problems go.
pub(super) struct Context<'a> {
    pub(super) expander: Expander<'a>,
    pub(super) sources: &'a Sources,
    pub(super) problems: &'a mut Problems,
    /// The project that is being looked at.
    pub(super) project: Option<ProjectIndex>,
}

/// Counts what there is when every project has its own copy of the globals, and every app of the defaults.
/// Nothing to say where it is not too much.
pub(super) fn too_much(config: &Config, root: &Place, projects: usize) -> Option<Diagnostic> {
    let values = |key: &str| root.key(key).node.values();
    let of_each = |key: &str| {
        let place = root.key(key);
        if place.complete {
            place.node.values()
        } else {
            0
        }
    };
    let projects = projects as u64;
    let globals = ["local", "forward", "allow_remote"].map(of_each);
    let copies = projects.saturating_mul(globals.iter().sum());
    let own: usize = config
        .projects
        .iter()
        .map(|project| project.local.len())
        .sum();
    let apps = projects
        .saturating_mul(config.local.len() as u64)
        .saturating_add(own as u64);
    let defaults = ["setup", "build", "run", "watch"].map(of_each);
    let defaults = apps.saturating_mul(defaults.iter().sum());
    if copies.saturating_add(defaults) <= MOST_VALUES {
        return None;
    }
    let (key, what) = if copies >= defaults {
        let largest = if values("forward") > values("local") {
            "forward"
        } else {
            "local"
        };
        (largest, format!("{projects} projects"))
    } else {
        ("run", format!("{apps} apps"))
    };
    let message = format!(
        "what is declared for all, once for each of {what}, is more than {MOST_VALUES} values"
    );
    let place = Place {
        on_key: true,
        ..root.key(key)
    };
    let problem = Diagnostic::error("too-large", message);
    let problem = place.point(problem, "each of them gets a copy of this");
    let help =
        "declare it only in those that need it: with an anchor, or in the projects themselves";
    Some(problem.help(help))
}

/// Merges the globals into a project and expands its paths.
pub(super) fn project<'a>(
    declared: Project,
    place: Place<'a>,
    config: &Config,
    root: &Place<'a>,
    context: &mut Context,
) -> Effective<'a> {
    let places = |list: &str| [root.key(list).items(), place.key(list).items()].concat();
    let apps = places("local");
    let forwards = places("forward");
    let local = config.local.iter().cloned().chain(declared.local.0);
    let local = local.zip(&apps);
    let local = local
        .map(|(app, place)| merged(app, config, place, context))
        .collect();
    let forward = config
        .forward
        .iter()
        .cloned()
        .chain(declared.forward.0)
        .collect();
    Effective {
        project: Project {
            name: declared.name,
            local: List(local),
            forward: List(forward),
        },
        place,
        apps,
        forwards,
    }
}

/// The settings that hold for all projects, expanded.
pub(super) fn settings(
    config: &Config,
    root: &Place,
    kubeconfig_override: Option<String>,
    context: &mut Context,
) -> Config {
    let gopath = config
        .gopath
        .as_ref()
        .and_then(|text| context.expand(text, &root.key("gopath")));
    if let Some(gopath) = &gopath {
        context.expander.set_gopath(gopath);
    }
    let kubeconfig = match kubeconfig_override {
        Some(path) => Some(Text(path)),
        None => config.kubeconfig.clone().and_then(|mut text| {
            context
                .path(&mut text, Kind::Plain, &root.key("kubeconfig"))
                .then_some(text)
        }),
    };
    Config {
        gopath: gopath.map(Text),
        kubeconfig,
        hosts: config.hosts,
        allow_remote: config.allow_remote.clone(),
        ..Config::default()
    }
}

/// An app with the defaults of its sections merged in and its paths expanded.
fn merged(mut app: App, config: &Config, place: &Place, context: &mut Context) -> App {
    let with = |defaults: &Option<Defaults>, env: &mut Env| {
        if let Some(defaults) = defaults {
            *env = defaults.env.overridden_by(env);
        }
    };
    if let Some(setup) = &mut app.setup {
        with(&config.setup, &mut setup.env);
    }
    if let Some(build) = &mut app.build {
        with(&config.build, &mut build.env);
    }
    if let Some(run) = &mut app.run {
        with(&config.run, &mut run.env);
    }
    exclude(&mut app, config.watch.as_ref());
    each_path(&mut app, place, &mut |text, kind, place| {
        context.path(text, kind, place)
    });
    for place in [
        place.key("path"),
        place.key("build").key("path"),
        place.key("run").key("path"),
    ] {
        context.warn_of_tilde(&place);
    }
    app
}

/// Adds what all watches leave out to those of an app, if it is watched at all.
fn exclude(app: &mut App, defaults: Option<&WatchDefaults>) {
    let Some(defaults) = defaults.filter(|defaults| !defaults.exclude.is_empty()) else {
        return;
    };
    let mut watch = match app.watch.take() {
        Some(Either::Short(Flag(true))) => super::model::app::Watch::default(),
        Some(Either::Long(watch)) => watch,
        other => {
            app.watch = other;
            return;
        }
    };
    let mut exclude = defaults.exclude.clone();
    exclude.extend(
        watch
            .exclude
            .iter()
            .filter(|name| !defaults.exclude.contains(name))
            .cloned(),
    );
    watch.exclude = exclude;
    app.watch = Some(Either::Long(watch));
}

/// Every path of an app, with what it may be relative to and where it is written. The visitor says whether the path
/// stays.
fn each_path(
    app: &mut App,
    place: &Place,
    visit: &mut dyn FnMut(&mut Text, Kind<'_>, &Place) -> bool,
) {
    let mut one = |path: &mut Option<Text>, kind: Kind, place: Place| {
        if path.as_mut().is_some_and(|path| !visit(path, kind, &place)) {
            *path = None;
        }
    };
    one(&mut app.path, Kind::Source, place.key("path"));
    one(&mut app.log_file, Kind::Plain, place.key("log_file"));
    if let Some(build) = &mut app.build {
        one(
            &mut build.path,
            Kind::Source,
            place.key("build").key("path"),
        );
    }
    if let Some(run) = &mut app.run {
        one(&mut run.path, Kind::Source, place.key("run").key("path"));
    }
    let places = place.key("files").items_of(&app.files);
    for (file, place) in app.files.iter_mut().zip(places) {
        one(&mut file.from, Kind::Plain, place.key("from"));
        one(&mut file.to, Kind::Plain, place.key("to"));
    }
    let mut each = |paths: &mut List<Text>, kind: Kind<'_>, place: Place| {
        let mut places = place.items().into_iter();
        paths.retain_mut(|path| visit(path, kind, &places.next().unwrap_or(place)));
    };
    if let Some(setup) = &mut app.setup {
        each(
            &mut setup.env_file,
            Kind::Source,
            place.key("setup").key("env_file"),
        );
    }
    if let Some(build) = &mut app.build {
        each(
            &mut build.env_file,
            Kind::Source,
            place.key("build").key("env_file"),
        );
    }
    if let Some(run) = &mut app.run {
        each(
            &mut run.env_file,
            Kind::Source,
            place.key("run").key("env_file"),
        );
    }
    if let Some(Either::Long(watch)) = &mut app.watch {
        let kind = app
            .path
            .as_ref()
            .map_or(Kind::Source, |path| Kind::Inside(path));
        each(&mut watch.paths, kind, place.key("watch").key("paths"));
    }
}

/// Writes expanded paths so that they are read as themselves.
pub(super) fn escape(config: &mut Config, place: &Place) {
    let escape = |text: &mut Text| {
        text.0 = expand::escape(text);
        true
    };
    for path in [&mut config.gopath, &mut config.kubeconfig]
        .into_iter()
        .flatten()
    {
        escape(path);
    }
    for app in config
        .projects
        .iter_mut()
        .flat_map(|project| project.local.iter_mut())
    {
        each_path(app, place, &mut |text, _, _| escape(text));
    }
}

impl Context<'_> {
    /// Expands a path in place and makes it absolute. False where nothing is left of it.
    fn path(&mut self, text: &mut Text, kind: Kind, place: &Place) -> bool {
        let Some(expanded) = self.expand(text, place) else {
            return false;
        };
        let file = self.sources.path(place.span());
        let folder = match file.parent() {
            Some(folder) if !file.starts_with("/dev") => folder,
            // The standard input is in no folder.
            _ => Path::new(""),
        };
        let absolute = self.expander.absolute(&expanded, kind, folder);
        text.0 = absolute.to_string_lossy().into_owned();
        true
    }

    /// Warns of a path that looks like the home folder and is nothing.
    fn warn_of_tilde(&mut self, place: &Place) {
        let is_nothing = place.complete && matches!(place.node.content, Content::Null);
        if is_nothing && self.sources.text(place.node.span) == "~" {
            let message = "`~` alone is nothing for YAML, and not the home folder";
            let problem = Diagnostic::warning("tilde", message).at(place.node.span, "nothing");
            self.problems.push_in(
                self.project,
                place.through(problem).help("write `~/` or `\"~\"`"),
            );
        }
    }

    /// Expands a text; nothing where nothing is left of it, or where a problem was noted.
    fn expand(&mut self, text: &str, place: &Place) -> Option<String> {
        if text.contains('\0') {
            let problem = Diagnostic::error(
                "bad-value",
                "there is a NUL character, which no path can hold",
            );
            let problem = place.point(problem, "").help("remove the `\\0`");
            self.problems.push_in(self.project, problem);
            return None;
        }
        match self.expander.text(text) {
            Ok(expanded) => {
                for name in &expanded.unset {
                    let message = format!(
                        "the variable {name} is not set: `{text}` becomes `{}`",
                        expanded.text
                    );
                    let problem = Diagnostic::warning("unset-variable", message);
                    let problem = place.point(problem, format!("`{name}` is empty here"));
                    let help = format!("set it, or write a default: `${{{name}:-...}}`");
                    self.problems.push_in(self.project, problem.help(help));
                }
                Some(expanded.text).filter(|text| !text.is_empty())
            }
            Err(message) => {
                let (what, help) = message.split_once('\n').unwrap_or((&message, ""));
                let problem = place.point(Diagnostic::error("bad-value", what), "");
                self.problems.push_in(self.project, problem.help(help));
                None
            }
        }
    }
}
