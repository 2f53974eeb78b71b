//! One app.

use super::super::model::app::{File, FileType};
use super::super::model::{App as Declared, Build, Either, Flag, List, Run, Setup, Text};
use super::super::project::{App, Dependency, FileSpec, Monitoring, Restart, Section, Stop, Watch};
use super::super::tree::{Node, Place};
use super::{Checker, hostname, ready, signal};
use crate::diagnostic::Diagnostic;
use crate::files::template;

/// What no watch looks at.
const NEVER_WATCHED: [&str; 4] = [".git", "node_modules", "vendor", "target"];

/// The only type of build.
const BUILD_TYPE: &str = "command";

/// Checks an app; nothing where it has no name. What else is wrong with it is left out.
pub(super) fn check(app: &Declared, place: &Place, checker: &mut Checker) -> Option<App> {
    let name = checker.name(app.name.as_ref(), place, "app");
    let hostname = app
        .hostname
        .as_ref()
        .and_then(|name| hostname::check(name, &place.key("hostname"), checker));
    let run = app
        .run
        .as_ref()
        .map(|run| run_section(run, &place.key("run"), checker));
    let monitoring = app.monitoring.as_ref().map(Monitoring::from);
    let flag = |flag: Option<Flag>| flag.is_some_and(|Flag(on)| on);
    warn_of_setup(app, place, checker);
    let app = App {
        name: name.clone().unwrap_or_default(),
        path: app.path.as_ref().map(|path| path.0.clone().into()),
        setup: app
            .setup
            .as_ref()
            .map(|setup| setup_section(setup, &place.key("setup"), checker)),
        files: files(&app.files, &place.key("files"), checker),
        build: app
            .build
            .as_ref()
            .map(|build| build_section(build, &place.key("build"), checker)),
        run,
        stop: stop(app, place, checker),
        restart: restart(app),
        ready: ready::check(app, hostname.as_deref(), place, checker),
        depends_on: depends_on(app),
        watch: watch(app, place, checker),
        monitoring,
        pty: flag(app.pty),
        disabled: flag(app.disabled),
        keep_children: flag(app.keep_children),
        log_file: app.log_file.as_ref().map(|path| path.0.clone().into()),
        hostname,
    };
    name.map(|_| app)
}

/// As it is written; whether the names exist is checked when all of them are known.
fn depends_on(app: &Declared) -> Vec<Dependency> {
    let pairs = app.depends_on.0.iter();
    pairs
        .map(|(name, requirement)| Dependency {
            name: name.clone(),
            condition: requirement.condition.unwrap_or_default(),
        })
        .collect()
}

/// Warns of a setup that never runs: it is there to make the app's path.
fn warn_of_setup(app: &Declared, place: &Place, checker: &mut Checker) {
    let has_commands = app
        .setup
        .as_ref()
        .is_some_and(|setup| !setup.commands.is_empty());
    let path = place.key("path");
    // Of a path that is there and came to nothing that was told before.
    if app.path.is_some()
        || !has_commands
        || (path.complete && path.node.text().is_some())
        || path.node.is_broken()
    {
        return;
    }
    let message =
        "`setup` never runs: it runs where the app's `path` does not exist, and this app has none";
    let place = Place {
        on_key: true,
        ..place.key("setup")
    };
    let problem = place.point(Diagnostic::warning("unused-key", message), "ignored");
    checker.note(problem.help("give the app a `path`, or write the commands into `build`"));
}

fn setup_section(setup: &Setup, place: &Place, checker: &mut Checker) -> Section {
    Section {
        commands: commands(
            &setup.commands,
            &place.key_or_self(&["commands", "command"]),
            checker,
        ),
        path: None,
        env: variables(&setup.env),
        env_files: setup
            .env_file
            .iter()
            .map(|path| path.0.clone().into())
            .collect(),
    }
}

fn build_section(build: &Build, place: &Place, checker: &mut Checker) -> Section {
    if let Some(kind) = build.kind.as_deref().filter(|&kind| kind != BUILD_TYPE) {
        let message =
            format!("builds of type `{kind}` do not exist: the commands are run as they are");
        let problem = place
            .key("type")
            .point(Diagnostic::warning("build-type", message), "ignored");
        checker.note(problem.help(format!("remove it, or write `type: {BUILD_TYPE}`")));
    }
    Section {
        commands: commands(
            &build.commands,
            &place.key_or_self(&["commands", "command"]),
            checker,
        ),
        path: build.path.as_ref().map(|path| path.0.clone().into()),
        env: variables(&build.env),
        env_files: build
            .env_file
            .iter()
            .map(|path| path.0.clone().into())
            .collect(),
    }
}

fn run_section(run: &Run, place: &Place, checker: &mut Checker) -> Section {
    let mut all = commands(&run.command, &place.key_or_self(&["command"]), checker);
    all.extend(commands(
        &run.commands,
        &place.key_or_self(&["commands", "command"]),
        checker,
    ));
    let mut declared = run.command.iter().chain(run.commands.iter());
    let has_broken =
        |place: &Place| place.node.is_broken() || place.node.items().iter().any(Node::is_broken);
    let found_wrong = has_broken(place)
        || ["command", "commands"]
            .iter()
            .any(|key| has_broken(&place.key(key)));
    if declared.all(|command| command.trim().is_empty())
        && run.stop_commands.is_empty()
        && !found_wrong
    {
        let problem = Diagnostic::warning(
            "nothing-to-run",
            "`run` has no command: the app is not started",
        );
        checker.note(
            place
                .point(problem, "no `command` here")
                .help("write `command: ...`, or remove `run`"),
        );
    }
    Section {
        commands: all,
        path: run.path.as_ref().map(|path| path.0.clone().into()),
        env: variables(&run.env),
        env_files: run
            .env_file
            .iter()
            .map(|path| path.0.clone().into())
            .collect(),
    }
}

fn commands(commands: &List<Text>, place: &Place, checker: &mut Checker) -> Vec<String> {
    let mut sound = Vec::with_capacity(commands.len());
    for (command, place) in commands.iter().zip(place.items_of(commands)) {
        // An empty line is no command, and none that fails.
        if !command.trim().is_empty() && checker.no_nul(command, &place) {
            sound.push(command.0.clone());
        }
    }
    sound
}

fn variables(env: &super::super::model::Env) -> Vec<(String, String)> {
    env.0
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn stop(app: &Declared, place: &Place, checker: &mut Checker) -> Stop {
    let declared = app.stop.clone().unwrap_or_default();
    let stop = place.key("stop");
    let stop_commands = match &app.run {
        Some(run) => commands(
            &run.stop_commands,
            &place.key("run").key("stop_commands"),
            checker,
        ),
        None => Vec::new(),
    };
    let signal = declared
        .signal
        .and_then(|name| signal::check(&name, &stop.key("signal"), checker));
    Stop {
        commands: stop_commands,
        signal: signal.unwrap_or_else(|| Stop::DEFAULT_SIGNAL.to_owned()),
        timeout: declared
            .timeout
            .map_or(Stop::DEFAULT_TIMEOUT, |timeout| timeout.0),
    }
}

fn restart(app: &Declared) -> Restart {
    match &app.restart {
        None => Restart::default(),
        Some(Either::Short(policy)) => Restart {
            policy: *policy,
            ..Restart::default()
        },
        Some(Either::Long(map)) => Restart {
            // Whoever says how to restart wants it to happen.
            policy: map
                .policy
                .unwrap_or(super::super::project::RestartPolicy::OnFailure),
            backoff: map.backoff.map(|backoff| backoff.0),
            max_restarts: map.max_restarts.map(|most| most.0),
        },
    }
}

fn watch(app: &Declared, place: &Place, checker: &mut Checker) -> Option<Watch> {
    let place_of_signal = place.key("watch_signal");
    let signal = app.watch_signal.as_ref();
    let signal = signal.and_then(|name| signal::check(name, &place_of_signal, checker));
    let declared = match &app.watch {
        None | Some(Either::Short(Flag(false))) => {
            if signal.is_some() && !place.key("watch").node.is_broken() {
                let place = Place {
                    on_key: true,
                    ..place_of_signal
                };
                let message = "`watch_signal` means nothing for an app that is not watched";
                let problem = place.point(Diagnostic::warning("unused-key", message), "ignored");
                checker.note(problem.help("write `watch: true` as well, or remove it"));
            }
            return None;
        }
        Some(Either::Short(Flag(true))) => super::super::model::app::Watch::default(),
        Some(Either::Long(watch)) => watch.clone(),
    };
    if app.path.is_none() && declared.paths.is_empty() {
        let problem = Diagnostic::warning(
            "nothing-to-watch",
            "there is nothing to watch: the app has no `path`",
        );
        let help = "give the app a `path`, or write `watch: {paths: [...]}`";
        checker.note(place.key("watch").point(problem, "ignored").help(help));
        return None;
    }
    let mut exclude: Vec<String> = NEVER_WATCHED.map(str::to_owned).into();
    exclude.extend(declared.exclude.iter().map(|name| name.0.clone()));
    Some(Watch {
        paths: declared
            .paths
            .iter()
            .map(|path| path.0.clone().into())
            .collect(),
        exclude,
        debounce: declared.debounce.map(|debounce| debounce.0),
        gitignore: declared.gitignore.is_none_or(|Flag(on)| on),
        signal,
    })
}

fn files(files: &[File], place: &Place, checker: &mut Checker) -> Vec<FileSpec> {
    let pairs = files.iter().zip(place.items_of(files));
    pairs
        .filter_map(|(file, place)| self::file(file, &place, checker))
        .collect()
}

fn file(file: &File, place: &Place, checker: &mut Checker) -> Option<FileSpec> {
    let kind = match (file.kind, &file.content, &file.from) {
        (Some(kind), _, _) => kind,
        // It was found wrong before: what it should be nobody knows.
        (None, _, _) if place.key("type").node.is_broken() => return None,
        (None, _, None) => FileType::Content,
        (None, None, Some(_)) => FileType::Copy,
        (None, Some(_), Some(from)) => {
            let message = format!(
                "this file has `content` and `from: {}`: which of the two?",
                &**from
            );
            checker.wrong(
                place,
                message,
                "",
                "write `type: content` or `type: copy`, or remove one of them",
            );
            return None;
        }
    };
    let to = file.to.as_ref().map(|path| path.0.clone().into());
    if to.is_none() {
        checker.missing(
            place,
            "to",
            "a file has no `to`",
            "write `to: PATH`: where the file is written",
        );
    }
    match kind {
        FileType::Content => {
            if file.content.is_none() {
                checker.missing(
                    place,
                    "content",
                    "a file of type `content` has no `content`",
                    "write `content: |` and the text below it",
                );
            }
            let content = file.content.as_ref()?.0.clone();
            warn_of_template(&content, &place.key("content"), checker);
            Some(FileSpec::Content { to: to?, content })
        }
        FileType::Copy => {
            if file.from.is_none() {
                checker.missing(
                    place,
                    "from",
                    "a file of type `copy` has no `from`",
                    "write `from: PATH`: what is copied",
                );
            }
            let from = file.from.as_ref()?.0.clone().into();
            Some(FileSpec::Copy { from, to: to? })
        }
    }
}

/// Warns of a template that is none. It is an error only when the file is written, and then of that app alone.
fn warn_of_template(content: &str, place: &Place, checker: &mut Checker) {
    if let Err(error) = template::check(content) {
        let message = format!("this is no template of Go: {error}");
        let problem = place.point(
            Diagnostic::warning("template", message),
            "the app will not start",
        );
        checker.note(problem.help("write `{{ \"{{\" }}` for two braces that are no template"));
    }
}

impl From<&super::super::model::app::Monitoring> for Monitoring {
    fn from(declared: &super::super::model::app::Monitoring) -> Self {
        let text =
            |text: &Option<Text>| text.as_ref().map(|text| text.0.clone()).unwrap_or_default();
        Self {
            port: text(&declared.port),
            url: text(&declared.url),
        }
    }
}
