//! From the command line to the end.

use monday_shared::address_env;
use monday_shared::life::command::CommandSpec;
use monday_shared::life::report::Sink;
use monday_shared::life::{OutputFormat, Sidecar};
use monday_shared::protocol::tcpproxy::{Event, RouteStatus, Served};
use monday_shared::rpc::hub::Hub;

use crate::cli::Cli;
use crate::error::Error;
use crate::failures::Failures;
use crate::service::Control;
use crate::table;
use crate::workers::Workers;
use monday_shared::open_files;

/// Opens the routes of the command line, serves them until the end and returns the exit status.
///
/// # Errors
/// [`Error`] for what cannot be done at all.
pub async fn run(cli: Cli) -> Result<u8, Error> {
    let open_files_limit = open_files::raise_open_files();
    let has_command = !cli.command().is_empty();
    let mut life = Sidecar::begin(cli.life(), has_command)?;
    let hub = Hub::new();
    let workers = Workers::start().map_err(Error::Threads)?;
    let (table, running) = table::start(workers, cli.copy_path(), hub.clone());

    let lived = async {
        let routes = table.open(cli.routes()).await?;
        if has_command && cli.life().output == OutputFormat::Text {
            life.report_with(&hub, Sink::Stderr, Failures)?;
        } else {
            life.report(&hub)?;
        }
        let control = Control {
            table: table.clone(),
            open_files_limit,
        };
        life.serve(Served(control), &hub);
        let command = CommandSpec::from_words(cli.command().to_vec(), variables(&routes));
        life.ready(&hub, Event::Ready { routes });
        table.accept();
        Ok::<_, Error>(life.until_end(command).await?)
    };
    let ending = lived.await;
    running.end().await;
    life.finish().await;
    Ok(ending?.exit_code())
}

/// Where COMMAND finds the routes.
fn variables(routes: &[RouteStatus]) -> Vec<address_env::Variable> {
    routes
        .iter()
        .flat_map(|route| {
            let asked = route.listen.port().to_string();
            address_env::listeners(&route.id, &[(asked, route.listen)])
        })
        .collect()
}
