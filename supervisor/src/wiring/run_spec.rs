//! What monday-run is told about an app or one of its steps: the plan in the words of the protocol. Its `env_file`s are read
//! now, since a step before may have written them.

use monday_shared::address_env::Variable;
use monday_shared::protocol::run::{
    LogFile, Probe, Readiness, RestartPolicy, RestartWhen, RunSpec,
};

use super::env_file;
use crate::config::project::{self, ProbeKind};
use crate::plan::command;
use crate::plan::environment::EnvFileError;
use crate::plan::{App, Step};

/// The app's own process; nothing for an app that is done when it is built.
///
/// # Errors
/// Its `env_file` cannot be used.
pub async fn of_app(app: &App, common: &[Variable]) -> Result<Option<RunSpec>, EnvFileError> {
    let Some(step) = &app.run else {
        return Ok(None);
    };
    let mut spec = of_step(step, common).await?;
    spec.stop_signal.clone_from(&app.stop.signal);
    spec.stop_timeout = app.stop.timeout;
    spec.stop_commands = app
        .stop_commands
        .iter()
        .map(|step| step.argv.clone())
        .collect();
    spec.restart = RestartPolicy {
        when: match app.restart.policy {
            project::RestartPolicy::No => RestartWhen::No,
            project::RestartPolicy::OnFailure => RestartWhen::OnFailure,
            project::RestartPolicy::Always => RestartWhen::Always,
        },
        backoff: app.restart.backoff,
        max_restarts: app.restart.max_restarts,
    };
    spec.ready = app.ready.as_ref().map(readiness);
    spec.keep_children = app.keep_children;
    spec.pty = app.pty;
    spec.log_file = app.log_file.clone().map(LogFile::new);
    Ok(Some(spec))
}

/// A step: `setup` or `build`.
///
/// # Errors
/// Its `env_file` cannot be used.
pub async fn of_step(step: &Step, common: &[Variable]) -> Result<RunSpec, EnvFileError> {
    let mut spec = RunSpec::new(step.argv.clone());
    spec.dir.clone_from(&step.dir);
    spec.hosts_file.clone_from(&step.hosts_file);
    let mut files = Vec::with_capacity(step.env_files.len());
    for path in &step.env_files {
        files.push(env_file::read(path).await);
    }
    spec.env = step.environment(common, files)?;
    Ok(spec)
}

fn readiness(probe: &project::Probe) -> Readiness {
    let mut readiness = Readiness::new(match &probe.kind {
        ProbeKind::Http(url) => Probe::Http(url.clone()),
        ProbeKind::Tcp(address) => Probe::Tcp(address.clone()),
        ProbeKind::Exec(text) => {
            Probe::Exec(command::shell(std::slice::from_ref(text)).unwrap_or_default())
        }
        ProbeKind::Log(pattern) => Probe::Log(pattern.clone()),
    });
    readiness.interval = probe.interval;
    readiness.timeout = probe.timeout;
    readiness.retries = probe.retries;
    readiness.initial_delay = probe.initial_delay;
    readiness
}
