//! From the command line to the end.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use monday_shared::address_env;
use monday_shared::identity::Identity;
use monday_shared::life::command::CommandSpec;
use monday_shared::life::{LifeArgs, LifeError, OutputFormat, Sidecar};
use monday_shared::protocol::ipalias::{Event, HostsStatus, NameSpec, Names, Served};
use monday_shared::rpc::hub::Hub;
use serde::Serialize;

use crate::adopt::adopt;
use crate::cli::{Cli, Task};
use crate::error::{Error, as_root};
use crate::ledger::Ledger;
use crate::names;
use crate::ports::Counter;
use crate::privilege::Standing;
use crate::report;
use crate::service::Control;
use crate::settings::Settings;
use crate::setup::Setup;

/// Does what the command line says and returns the exit status.
///
/// # Errors
/// [`Error`] for what cannot be done at all.
pub async fn run(cli: Cli, standing: Standing) -> Result<u8, Error> {
    let output = cli.life().output;
    let settings = || cli.settings(standing);
    match cli.task() {
        Task::Serve { names, command } => {
            let life = standing.life(cli.life())?;
            if let Some((word, verb)) = cli.mistyped_verb() {
                tracing::warn!("`{word}` is taken for a host name; the verb is `{verb}`");
            }
            serve(&life, settings()?, names, command).await
        }
        Task::Preview { names } => print(&report::preview(settings()?, names)?, output),
        Task::List => print(&report::list(settings()?)?, output),
        Task::Clean { dry_run } => print(&report::clean(settings()?, dry_run)?, output),
        Task::Adopt { names, dry_run } => {
            let adoption = adopt(settings()?, &names, dry_run)?;
            let nothing = u8::from(adoption.adopted.is_empty());
            Ok(print(&adoption, output)?.max(nothing))
        }
        Task::Setup => {
            let user = standing.user().unwrap_or_else(Identity::own);
            print(&Setup::of(user.uid), output)
        }
    }
}

fn print<T: Serialize + fmt::Display>(value: &T, format: OutputFormat) -> Result<u8, Error> {
    report::print(value, format).map_err(|source| LifeError::Io {
        what: "write to standard output",
        source,
    })?;
    Ok(0)
}

async fn serve(
    args: &LifeArgs,
    settings: Settings,
    names: Vec<String>,
    command: Vec<OsString>,
) -> Result<u8, Error> {
    let has_command = !command.is_empty();
    let user = settings.user;
    let hosts_file = settings.hosts_file.clone();
    let mut life = Sidecar::begin_for(args, has_command, user)?;
    let counter = args.control.as_deref().and_then(|control| {
        Counter::open(control, user)
            .inspect_err(|error| tracing::warn!("no ports below 1024 are handed over: {error}"))
            .ok()
    });
    let hub = Hub::new();
    let begun = tokio::task::spawn_blocking(|| begin(settings, names)).await;
    let (ledger, names) = begun.unwrap_or(Err(Error::Ending))?;
    let (handle, task) = names::start(ledger, hub.clone());
    let ports = counter.map(|counter| counter.serve(handle.clone()));
    let lived = async {
        if has_command && args.output == OutputFormat::Text {
            warn_about(&names);
        }
        life.report(&hub)?;
        life.serve(Served(Control(handle)), &hub);
        let variables = names
            .names
            .iter()
            .map(|status| address_env::host(&status.name, status.ip));
        let command = CommandSpec::from_words(command, variables.collect());
        life.ready(&hub, Event::Ready(names));
        Ok::<_, Error>(life.until_end(command).await?)
    };
    let ending = lived.await;
    if let Some(ports) = ports {
        ports.end().await;
    }
    let closed = task.end().await;
    life.finish().await;
    let status = ending?.exit_code();
    match closed {
        Ok(()) => Ok(status),
        Err(error) => {
            tracing::error!("{error}; {}", left_behind(&error, &hosts_file));
            // COMMAND's own failure is the more important one.
            Ok(status.max(1))
        }
    }
}

/// What to do about names that stay in the hosts file.
fn left_behind(error: &Error, hosts_file: &Path) -> String {
    match error {
        // The error itself says it: `clean` would say the same.
        Error::Malformed { .. } => "names of this run are left in it".to_owned(),
        _ => format!(
            "names were left behind, `{}` removes them",
            as_root("clean", hosts_file)
        ),
    }
}

/// Opens the ledger and gives the names of the command line their addresses.
fn begin(settings: Settings, names: Vec<String>) -> Result<(Ledger, Names), Error> {
    let mut ledger = Ledger::open(settings)?;
    let specs: Vec<NameSpec> = names.into_iter().map(NameSpec::new).collect();
    // What cannot be assigned has left nothing that would have to be taken back.
    let names = ledger.assign(&specs)?;
    Ok((ledger, names))
}

/// Says on standard error what the ready event would say, which is not printed beside COMMAND.
fn warn_about(names: &Names) {
    if let HostsStatus::Unwritable { file, reason } = &names.hosts {
        tracing::warn!("the names are not in {file}: {reason}");
    }
    for status in &names.names {
        if let Some(note) = &status.note {
            tracing::warn!("{}: {note}", status.name);
        }
    }
}
