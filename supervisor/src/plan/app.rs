//! A local app as it has to run.

use std::path::PathBuf;

use super::command;
use crate::config::project::{
    App as Declared, Dependency, FileSpec, Monitoring, Probe, Restart, Section, Stop, Watch,
};

/// A local app as it has to run.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// Its name, unique within the project.
    pub name: String,
    /// The host name whose address it binds to itself.
    pub hostname: Option<String>,
    /// Its folder; nothing: monday's own working directory.
    pub path: Option<PathBuf>,
    /// Runs first, and only when `path` does not exist.
    pub setup: Option<Step>,
    /// Written then, in this order.
    pub files: Vec<FileSpec>,
    /// Runs then.
    pub build: Option<Step>,
    /// The program itself; nothing: the app is done when it is built.
    pub run: Option<Step>,
    /// Runs before the program is asked to stop.
    pub stop_commands: Option<Step>,
    /// The signal and the time to stop.
    pub stop: Stop,
    /// What to do when it ends by itself.
    pub restart: Restart,
    /// When it counts as ready; nothing: as soon as it runs.
    pub ready: Option<Probe>,
    /// What has to be there before it starts.
    pub depends_on: Vec<Dependency>,
    /// Which changes rebuild and restart it; nothing: none.
    pub watch: Option<Watch>,
    /// Template data.
    pub monitoring: Option<Monitoring>,
    /// Runs on a terminal of its own.
    pub pty: bool,
    /// Processes that it left behind live on after it.
    pub keep_children: bool,
    /// A file that gets its output as well.
    pub log_file: Option<PathBuf>,
}

/// One process of an app: a program with its arguments, its folder and where its environment comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What a person wrote, for messages: the commands, one a line.
    pub shown: String,
    /// Its working directory; nothing: monday's own.
    pub dir: Option<PathBuf>,
    /// Its variables, in order: a later one wins. See [`Step::environment`] for the whole.
    pub env: Vec<(String, String)>,
    /// Files of more variables, which win over `env`; read when the step starts, since an earlier step may write them.
    pub env_files: Vec<PathBuf>,
    /// What it sees in the place of `/etc/hosts`; nothing: the machine's own. Decided when the project starts.
    pub hosts_file: Option<PathBuf>,
}

impl Step {
    /// The process that runs these commands; nothing where there is no command.
    fn of(commands: &[String], dir: Option<PathBuf>, section: &Section) -> Option<Self> {
        Some(Self {
            argv: command::shell(commands)?,
            shown: commands.join("\n"),
            dir,
            env: section.env.clone(),
            env_files: section.env_files.clone(),
            hosts_file: None,
        })
    }
}

impl App {
    /// Every process of it.
    pub(super) fn steps_mut(&mut self) -> impl Iterator<Item = &mut Step> {
        let Self {
            setup,
            build,
            run,
            stop_commands,
            ..
        } = self;
        [setup, build, run, stop_commands].into_iter().flatten()
    }

    pub(super) fn of(app: &Declared) -> Self {
        let section = |section: &Option<Section>, default_dir: Option<&PathBuf>| {
            let section = section.as_ref()?;
            let dir = section.path.as_ref().or(default_dir).cloned();
            Step::of(&section.commands, dir, section)
        };
        let path = app.path.as_ref();
        let run_section = app.run.clone().unwrap_or_default();
        let run_dir = run_section.path.as_ref().or(path).cloned();
        Self {
            name: app.name.clone(),
            hostname: app.hostname.clone(),
            path: app.path.clone(),
            // The folder is not there yet when its setup runs.
            setup: section(&app.setup, None).filter(|_| path.is_some()),
            files: app.files.clone(),
            build: section(&app.build, path),
            run: section(&app.run, path),
            stop_commands: Step::of(&app.stop.commands, run_dir, &run_section),
            stop: app.stop.clone(),
            restart: app.restart.clone(),
            ready: app.ready.clone(),
            depends_on: app.depends_on.clone(),
            watch: app.watch.clone(),
            monitoring: app.monitoring.clone(),
            pty: app.pty,
            keep_children: app.keep_children,
            log_file: app.log_file.clone(),
        }
    }
}
