//! `attach`: shows a project that runs somewhere else as if it had been started here. Whoever leaves stops nothing.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Args;
use monday_shared::life::report::{Format, Json};
use monday_shared::protocol::common::{Bulk, History, Subscribe};
use monday_shared::protocol::supervisor::Event;
use monday_shared::rpc::client::{Client, Received};

use super::find::{self, Found};
use super::{ReachArgs, RemoteError, TargetArgs, talk};
use crate::ui::{self, Leaving};
use crate::view::console::{colour, tell};
use crate::view::lines::Lines;

/// How many lines of each app are shown of before.
const LINES_BEFORE: usize = 20;

/// What `attach` takes.
#[derive(Clone, Debug, Args)]
pub struct AttachArgs {
    /// The project; may be left out while only one runs
    #[arg(value_name = "PROJECT")]
    pub project: Option<String>,

    /// Plain lines, also on a terminal
    #[arg(long)]
    pub plain: bool,

    /// How to reach it.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Shows it until it ends or the terminal interrupts.
#[must_use]
pub fn run(args: &AttachArgs) -> ExitCode {
    let target = TargetArgs {
        words: args.project.iter().cloned().collect(),
        reach: args.reach.clone(),
    };
    talk(&args.reach, async {
        let Found { client, status, .. } = find::find(&target).await?;
        if !args.plain && !args.reach.json() && ui::is_possible() {
            let socket = client.socket().to_owned();
            drop(client);
            let left = ui::run(&socket, Leaving::Detaches).await;
            return Ok(match left {
                Ok(_) => ExitCode::SUCCESS,
                Err(error) => super::failed(&error.to_string()),
            });
        }
        let names = status.apps.iter().map(|app| app.name.as_str());
        let text = Lines::new(names, colour(&io::stdout()));
        if !args.reach.json() && io::stdout().is_terminal() {
            tell(&format!(
                "{} runs as pid {}; Ctrl-C leaves it running",
                status.project, status.pid
            ));
        }
        if args.reach.json() {
            follow(&client, Json).await
        } else {
            follow(&client, text).await
        }
    })
}

async fn follow(client: &Client, mut view: impl Format<Event>) -> Result<ExitCode, RemoteError> {
    let wanted = Subscribe {
        bulk: Bulk::Lossy,
        history: Some(History {
            lines: Some(LINES_BEFORE),
            since: None,
        }),
        of: None,
    };
    let (_open, _, mut events) = Client::subscribe_as::<Event>(client.socket(), &wanted).await?;
    let mut text = Vec::new();
    while let Some(received) = events.next().await {
        match received {
            Received::Event(event) | Received::Past { event, .. } => view.event(&event, &mut text),
            Received::Lagged(dropped) => view.lagged(dropped, &mut text),
        }
        let mut stdout = io::stdout().lock();
        if stdout
            .write_all(&text)
            .and_then(|()| stdout.flush())
            .is_err()
        {
            break;
        }
        text.clear();
    }
    Ok(ExitCode::SUCCESS)
}
