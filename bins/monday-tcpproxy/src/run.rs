//! From the command line to the end.

use std::time::Duration;

use monday_shared::address_env;
use monday_shared::life::command::CommandSpec;
use monday_shared::life::report::Sink;
use monday_shared::life::{Ending, OutputFormat, Sidecar};
use monday_shared::protocol::listen_address::ListenAddress;
use monday_shared::protocol::tcpproxy::{Event, LiveConnections, RouteStatus, Served};
use monday_shared::rpc::hub::Hub;
use tokio::time::{sleep, timeout};

use crate::cli::Cli;
use crate::error::Error;
use crate::failures::Failures;
use crate::inherited::{self, Inherited};
use crate::service::Control;
use crate::table::{self, Change, Table};
use crate::workers::Workers;
use monday_shared::open_files::raise_open_files;

/// Opens the routes of the command line, serves them until the end and returns the exit status. The listeners that were
/// handed over have been taken before there was a runtime.
///
/// # Errors
/// [`Error`] for what cannot be done at all.
pub async fn run(cli: Cli, handed_over: Result<Inherited, String>) -> Result<u8, Error> {
    let handed_over = handed_over.map_err(Error::Inherited)?;
    let open_files_limit = raise_open_files();
    let has_command = !cli.command().is_empty();
    let mut life = Sidecar::begin(cli.life(), has_command)?;
    let hub = Hub::new();
    let workers = Workers::start().map_err(Error::Threads)?;
    let seed = cli.seed().unwrap_or_else(random_seed);
    let settings = table::Settings {
        path: cli.copy_path(),
        inherited: handed_over,
        seed,
    };
    let (table, running) = table::start(workers, settings, hub.clone());

    let lived = async {
        let routes = table
            .open(cli.all_routes()?, LiveConnections::default())
            .await?;
        if has_command && cli.life().output == OutputFormat::Text {
            life.report_with(&hub, Sink::Stderr, Failures)?;
        } else {
            life.report(&hub)?;
        }
        let control = Control {
            table: table.clone(),
            open_files_limit,
            seed,
        };
        life.serve(Served(control), &hub);
        let variables = variables(&routes);
        let command =
            CommandSpec::from_words(cli.command().to_vec(), variables.clone()).map(|command| {
                CommandSpec {
                    ours: &inherited::VARIABLES,
                    ..command
                }
            });
        let ready = Event::Ready {
            routes,
            seed,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            control: cli.life().control.clone(),
        };
        cli.ready().tell(&ready, &variables).map_err(Error::Ready)?;
        life.ready(&hub, ready);
        table.accept();
        let ending = life.until_end(command).await?;
        let limit = match ending {
            Ending::ParentGone => Duration::ZERO,
            _ => cli.drain_timeout(),
        };
        tokio::select! {
            () = drained(&table, limit) => {}
            // Whoever asks twice means at once.
            _ = life.next_request() => {}
        }
        Ok::<_, Error>(ending)
    };
    let ending = lived.await;
    running.end().await;
    life.finish().await;
    Ok(ending?.exit_code())
}

/// Takes no clients any more and waits until the last connection has ended, for so long at most.
async fn drained(table: &Table, limit: Duration) {
    if limit.is_zero() {
        return;
    }
    let draining = async {
        if table.change(Vec::new(), Change::Drain).await.is_err() {
            return;
        }
        while let Ok(routes) = table.list().await
            && routes.iter().any(|route| route.active > 0)
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    // What is left then is cut.
    let _ = timeout(limit, draining).await;
}

/// A seed that nobody has chosen. It fits into a number of JSON that every reader keeps whole.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id()) >> 32
}

/// Where COMMAND finds the routes.
fn variables(routes: &[RouteStatus]) -> Vec<address_env::Variable> {
    routes
        .iter()
        .flat_map(|route| {
            let all = || std::iter::once(&route.listen).chain(&route.also);
            let first = all()
                .find_map(ListenAddress::ip)
                .map(|address| (address.port().to_string(), address));
            let mut variables = address_env::listeners(&route.id, first.as_slice());
            variables.extend(all().find_map(|address| match address {
                ListenAddress::Unix(path) => Some(address_env::socket(&route.id, path)),
                ListenAddress::Ip(_) => None,
            }));
            variables
        })
        .collect()
}
