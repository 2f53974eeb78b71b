//! `logs`: what apps wrote, from before and as it comes.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use monday_shared::duration::Span;
use monday_shared::protocol::common::{Bulk, History, Subscribe};
use monday_shared::protocol::run::{Line, Output, Stream};
use monday_shared::protocol::supervisor::{Event, Status};
use monday_shared::rpc::client::{Client, Events, Received};
use monday_shared::timestamp;
use serde_json::json;

use super::find::{self, Found};
use super::{RemoteError, TargetArgs, talk};
use crate::view::console::colour;
use crate::view::lines::Lines;

/// How much is put together into one write.
const PIECE_BYTES: usize = 64 * 1024;

/// What `logs` takes.
#[derive(Clone, Debug, Args)]
pub struct LogsArgs {
    /// Of which apps; without a name: of all.
    #[command(flatten)]
    pub target: TargetArgs,

    /// Go on with what is written from now on, until the project ends
    #[arg(short, long)]
    pub follow: bool,

    /// Only the last lines: so many of each app
    #[arg(short = 'n', long, value_name = "LINES")]
    pub lines: Option<usize>,

    /// Only what was written within this time: 10m
    #[arg(long, value_name = "TIME")]
    pub since: Option<Span>,

    /// Begin each line with the time at which it came
    #[arg(short, long)]
    pub timestamps: bool,
}

/// Shows what apps wrote.
#[must_use]
pub fn run(args: &LogsArgs) -> ExitCode {
    talk(&args.target.reach, show(args))
}

async fn show(args: &LogsArgs) -> Result<ExitCode, RemoteError> {
    let Found {
        client,
        names,
        status,
    } = find::find(&args.target).await?;
    // Whoever asks for a name that is not there shall hear it, and not wait for its lines.
    let meant = Status {
        names: names.iter().map(|name| app_of(name).to_owned()).collect(),
        ..Status::default()
    };
    client.call(&meant).await?;
    let wanted = Subscribe {
        bulk: if args.follow { Bulk::Lossy } else { Bulk::Skip },
        history: Some(History {
            lines: args.lines,
            since: args.since,
        }),
        of: (!names.is_empty()).then_some(names),
    };
    let (_open, reply, mut events) =
        Client::subscribe_as::<Event>(client.socket(), &wanted).await?;
    let labels: Vec<String> = status.apps.iter().map(|app| app.name.clone()).collect();
    let mut printer = Printer::new(args, &labels);
    let past = past(&mut events, reply.history.unwrap_or(0)).await;
    for (at, app, output) in past {
        if !printer.output(at, &app, &output) {
            return Ok(ExitCode::SUCCESS);
        }
    }
    if !printer.flush() || !args.follow {
        return Ok(ExitCode::SUCCESS);
    }
    while let Some(received) = events.next().await {
        let goes_on = match received {
            Received::Event(Event::Output { app, output }) => {
                printer.output(SystemTime::now(), &app, &output) && printer.flush()
            }
            Received::Lagged(dropped) => printer.lagged(dropped) && printer.flush(),
            _ => true,
        };
        if !goes_on {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The app that a label belongs to: `api` for `api:build`.
fn app_of(label: &str) -> &str {
    label.split_once(':').map_or(label, |(app, _)| app)
}

/// What was written before, a line that came in pieces being one.
async fn past(events: &mut Events<Event>, count: usize) -> Vec<(SystemTime, String, Output)> {
    let mut past: Vec<(SystemTime, String, Output)> = Vec::new();
    let mut open: HashMap<(String, Stream), usize> = HashMap::new();
    for _ in 0..count {
        let Some(received) = events.next().await else {
            break;
        };
        let Received::Past {
            at,
            event: Event::Output { app, mut output },
        } = received
        else {
            continue;
        };
        let key = (app.clone(), output.stream);
        if let Some(before) = open.remove(&key).and_then(|at| past.get_mut(at))
            && let Some(last) = before.2.lines.last_mut()
        {
            let begun = std::mem::replace(last, Line(Vec::new()));
            before.2.lines.pop();
            if let Some(first) = output.lines.first_mut() {
                let mut whole = begun.0;
                whole.extend_from_slice(&first.0);
                first.0 = whole;
            }
        }
        if output.partial {
            open.insert(key, past.len());
        }
        past.push((at, app, output));
    }
    past
}

/// Writes lines to standard output, in the way that was asked for.
struct Printer {
    view: Lines,
    json: bool,
    timestamps: bool,
    text: Vec<u8>,
}

impl Printer {
    fn new(args: &LogsArgs, labels: &[String]) -> Self {
        Self {
            view: Lines::new(
                labels.iter().map(String::as_str),
                colour(&io::stdout()) && !args.target.reach.json(),
            ),
            json: args.target.reach.json(),
            timestamps: args.timestamps,
            text: Vec::new(),
        }
    }

    /// Takes lines; returns whether somebody still reads.
    fn output(&mut self, at: SystemTime, app: &str, output: &Output) -> bool {
        let time = timestamp::written(at);
        for line in &output.lines {
            if self.json {
                let line = json!({"at": time, "app": app, "stream": output.stream, "line": line});
                self.text.extend_from_slice(line.to_string().as_bytes());
                self.text.push(b'\n');
            } else {
                if self.timestamps {
                    self.text.extend_from_slice(time.as_bytes());
                    self.text.push(b' ');
                }
                self.view.app_line(app, &line.0, &mut self.text);
            }
        }
        self.text.len() < PIECE_BYTES || self.flush()
    }

    fn lagged(&mut self, dropped: u64) -> bool {
        let text = if self.json {
            format!("{}\n", json!({"lagged": dropped}))
        } else {
            format!("({dropped} lines were lost here: whoever reads this is too slow)\n")
        };
        self.text.extend_from_slice(text.as_bytes());
        true
    }

    /// Returns whether somebody still reads.
    fn flush(&mut self) -> bool {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.text).and_then(|()| stdout.flush());
        self.text.clear();
        written.is_ok()
    }
}
