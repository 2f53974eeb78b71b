//! From the command line to the end.

use std::net::SocketAddr;

use monday_shared::address_env;
use monday_shared::life::command::CommandSpec;
use monday_shared::life::report::Sink;
use monday_shared::life::{Ending, OutputFormat, Sidecar};
use monday_shared::open_files;
use monday_shared::protocol::fwd::{Event, ForwardStatus, Served};
use monday_shared::rpc::hub::Hub;

use crate::cli::Cli;
use crate::error::Error;
use crate::kubernetes_remote::{Surroundings, restore};
use crate::service::Control;
use crate::table::{self, Table};
use crate::text::Text;
use crate::threads::Threads;

/// Opens the forwards of the command line, serves them until the end and returns the exit status.
///
/// # Errors
/// [`Error`] for what cannot be done at all.
pub async fn run(cli: Cli) -> Result<u8, Error> {
    let open_files_limit = open_files::raise_open_files();
    let has_command = !cli.command().is_empty();
    let mut life = Sidecar::begin(cli.life(), has_command)?;
    let hub = Hub::new();
    let threads = Threads::start().map_err(Error::Threads)?;
    let surroundings = Surroundings::new(cli.life().lifeline, has_command);
    let hurry = surroundings.hurry.clone();
    for said in restore::sweep(surroundings.supervisor).await {
        tracing::warn!("{said}");
    }
    let (table, running) = table::start(threads, hub.clone(), surroundings);

    let lived = async {
        match cli.life().output {
            OutputFormat::Json => life.report(&hub)?,
            OutputFormat::Text => {
                let sink = if has_command {
                    Sink::Stderr
                } else {
                    Sink::Stdout
                };
                let text = Text {
                    beside_command: has_command,
                };
                life.report_with(&hub, sink, text)?;
            }
        }
        let control = Control {
            table: table.clone(),
            open_files_limit,
        };
        life.serve(Served(control), &hub);
        let forwards = cli.forwards();
        let alone = !forwards.is_empty();
        table.open(forwards).await?;
        if let Some(ending) = until_up(&table, &mut life).await? {
            return Ok(ending);
        }
        let forwards = table.list().await?;
        let command = CommandSpec::from_words(cli.command().to_vec(), variables(&forwards));
        let wait_for_failure = alone && command.is_none();
        life.ready(&hub, Event::Ready { forwards });
        tokio::select! {
            ending = life.until_end(command) => Ok::<_, Error>(ending?),
            // Nobody is there to open it again.
            failed = table.until_failed(), if wait_for_failure => Err(failed?),
        }
    };
    let ending = lived.await;
    let put_back = {
        let ending = running.end();
        tokio::pin!(ending);
        loop {
            tokio::select! {
                put_back = &mut ending => break put_back,
                // Once more: nothing is waited for any more, but what is to be put back is.
                again = life.next_request() => match again {
                    Ok(_) => hurry.cancel(),
                    Err(_) => break ending.await,
                },
            }
        }
    };
    life.finish().await;
    let ending = ending?.exit_code();
    put_back.map(|()| ending)
}

/// Waits until all forwards are up, or somebody wants an end before that.
async fn until_up(table: &Table, life: &mut Sidecar) -> Result<Option<Ending>, Error> {
    tokio::select! {
        up = table.until_up() => up.map(|()| None),
        ending = life.next_request() => Ok(Some(ending?)),
    }
}

/// Where COMMAND finds the forwards: those that listen on an address of this machine.
fn variables(forwards: &[ForwardStatus]) -> Vec<address_env::Variable> {
    forwards
        .iter()
        .filter_map(|forward| {
            let listen: SocketAddr = forward.listen.parse().ok()?;
            let asked = listen.port().to_string();
            Some(address_env::listeners(&forward.id, &[(asked, listen)]))
        })
        .flatten()
        .collect()
}
