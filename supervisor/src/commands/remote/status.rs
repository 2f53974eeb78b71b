//! `status`: how a running project is, as a table or as JSON.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use monday_shared::protocol::fwd;
use monday_shared::protocol::run::{Phase, State};
use monday_shared::protocol::supervisor::{
    AppStatus, ForwardRoute, ForwardStatus, ProjectStatus, Status, Usage,
};
use monday_shared::timestamp;

use super::find::{self, Found};
use super::{TargetArgs, shown, talk};
use crate::view::table::Table;
use crate::view::width::{bytes, span};

/// What `status` takes.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// Of which; without a name: of all.
    #[command(flatten)]
    pub target: TargetArgs,

    /// Also memory and processor of each app; it is measured for a moment
    #[arg(short, long)]
    pub usage: bool,
}

/// Shows how it is.
#[must_use]
pub fn run(args: &StatusArgs) -> ExitCode {
    talk(&args.target.reach, async {
        let Found { client, names, .. } = find::find(&args.target).await?;
        let asked = Status {
            traffic: true,
            usage: args.usage,
            names,
        };
        let status = client.call(&asked).await?;
        Ok(shown(&args.target.reach, &status, |status| {
            as_text(status, args.usage)
        }))
    })
}

fn as_text(status: &ProjectStatus, usage: bool) -> String {
    let mut text = format!("{}, pid {}{}\n", status.project, status.pid, place(status));
    let mut heading = vec!["APP", "STATE", "PID", "SINCE", "RESTARTS", "LAST EXIT"];
    if usage {
        heading.extend(["MEMORY", "CPU", "PROCESSES"]);
    }
    heading.push("ADDRESS");
    let mut apps = Table::new(&heading);
    for app in &status.apps {
        apps.row(app_row(app, usage, status.names));
    }
    let mut forwards = Table::new(&[
        "FORWARD",
        "TYPE",
        "STATE",
        "LISTENS",
        "LEADS TO",
        "CONNECTIONS",
        "IN",
        "OUT",
    ]);
    for forward in &status.forwards {
        forward_rows(forward, status.names, &mut forwards);
    }
    for table in [apps, forwards] {
        if !table.is_empty() {
            // Writing into a string cannot fail.
            let _ = write!(text, "\n{table}");
        }
    }
    for trouble in troubles(status) {
        let _ = write!(text, "\n{trouble}");
    }
    if text.contains("\n\n") && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Where host names go, if there are any.
fn place(status: &ProjectStatus) -> &'static str {
    let apps = status.apps.iter().map(|app| &app.hostname);
    let mut all = apps.chain(status.forwards.iter().map(|forward| &forward.hostname));
    match (status.names, status.private_names) {
        _ if all.all(Option::is_none) => "",
        (true, _) => ", host names: system",
        (_, true) => ", host names: private (only its own apps see them)",
        _ => ", host names: nowhere (use the addresses)",
    }
}

fn app_row(app: &AppStatus, usage: bool, names: bool) -> Vec<String> {
    let since = app.since.as_deref().and_then(timestamp::age);
    let mut row = vec![
        app.name.clone(),
        state_word(app),
        app.state.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        since.map(span).unwrap_or_default(),
        app.restarts.to_string(),
        app.state
            .exit
            .map(|exit| exit.to_string())
            .unwrap_or_default(),
    ];
    if usage {
        row.extend(usage_cells(app.usage.as_ref()));
    }
    row.push(match (&app.hostname, app.ip) {
        (Some(hostname), Some(ip)) if names => format!("{hostname} ({ip})"),
        (_, Some(ip)) => ip.to_string(),
        _ => String::new(),
    });
    row
}

fn usage_cells(usage: Option<&Usage>) -> [String; 3] {
    match usage {
        Some(usage) => [
            bytes(usage.memory),
            format!("{}%", usage.cpu / 10),
            usage.processes.to_string(),
        ],
        None => [String::new(), String::new(), String::new()],
    }
}

/// The state of an app in one or two words.
#[must_use]
pub fn state_word(app: &AppStatus) -> String {
    if let Some(stage) = &app.stage {
        return stage.to_string();
    }
    if app.state.phase == Phase::Waiting {
        return "starts again soon".to_owned();
    }
    // Without pid, exit and reason, which have places of their own.
    State {
        phase: app.state.phase,
        ready: app
            .state
            .ready
            .filter(|_| app.state.phase == Phase::Running),
        ..State::default()
    }
    .to_string()
}

/// The state of a forward in a word: that of its tunnel which is the furthest from being there.
fn forward_word(forward: &ForwardStatus) -> &'static str {
    let has = |phase| forward.tunnels.iter().any(|tunnel| tunnel.phase == phase);
    if forward.error.is_some() || has(fwd::Phase::Failed) {
        "failed"
    } else if has(fwd::Phase::Lost) {
        "lost"
    } else if has(fwd::Phase::Connecting) {
        "connecting"
    } else if forward.routes.is_empty() && forward.tunnels.is_empty() {
        "not open"
    } else {
        "open"
    }
}

fn forward_rows(forward: &ForwardStatus, names: bool, table: &mut Table) {
    let state = forward_word(forward);
    let first = [forward.name.clone(), forward.kind.clone(), state.to_owned()];
    if forward.routes.is_empty() {
        table.row(first.to_vec());
    }
    for (at, route) in forward.routes.iter().enumerate() {
        let mut row = if at == 0 {
            first.to_vec()
        } else {
            vec![String::new(); 3]
        };
        row.extend(route_cells(forward, route, names));
        table.row(row);
    }
}

fn route_cells(forward: &ForwardStatus, route: &ForwardRoute, names: bool) -> [String; 5] {
    let listens = match &forward.hostname {
        Some(hostname) if names => format!("{hostname}:{}", route.listen.port()),
        _ => route.listen.to_string(),
    };
    let count = |of: fn(&monday_shared::protocol::supervisor::Traffic) -> String| {
        route.traffic.as_ref().map(of).unwrap_or_default()
    };
    [
        listens,
        route.target.clone(),
        count(|traffic| {
            let failed = match traffic.failed {
                0 => String::new(),
                failed => format!(", {failed} failed"),
            };
            format!("{} open of {}{failed}", traffic.active, traffic.accepted)
        }),
        count(|traffic| bytes(traffic.bytes_up)),
        count(|traffic| bytes(traffic.bytes_down)),
    ]
}

/// What is wrong, in sentences.
fn troubles(status: &ProjectStatus) -> Vec<String> {
    let apps = status.apps.iter().filter_map(|app| {
        let reason = app.state.reason.as_ref()?;
        Some(format!("{}: {reason}", app.name))
    });
    let forwards = status.forwards.iter().flat_map(|forward| {
        let failed = forward.error.iter();
        let failed = failed.map(|error| format!("{}: {error}", forward.name));
        let last = forward
            .routes
            .iter()
            .filter_map(|route| route.traffic.as_ref()?.last_error.as_ref());
        let tunnels = forward.tunnels.iter().filter(|_| forward.error.is_none());
        let away = tunnels.filter_map(|tunnel| {
            let why = tunnel.why.as_ref()?;
            Some(format!("{}: {}: {why}", tunnel.id, tunnel.phase))
        });
        failed
            .chain(away)
            .chain(last.map(|error| format!("{}: last error: {error}", forward.name)))
    });
    apps.chain(forwards).collect()
}

#[cfg(test)]
mod tests {
    use monday_shared::protocol::run::Exit;
    use monday_shared::protocol::supervisor::{Traffic, TunnelStatus};

    use super::*;

    #[test]
    fn a_forward_is_as_far_as_its_tunnels_also_where_it_listens_only_there() {
        let tunnel = |phase| TunnelStatus {
            id: "hook:80".to_owned(),
            phase,
            via: None,
            why: None,
        };
        for (tunnels, expected) in [
            (vec![], "not open"),
            (vec![tunnel(fwd::Phase::Up)], "open"),
            (
                vec![tunnel(fwd::Phase::Connecting), tunnel(fwd::Phase::Up)],
                "connecting",
            ),
            (
                vec![tunnel(fwd::Phase::Up), tunnel(fwd::Phase::Lost)],
                "lost",
            ),
            (
                vec![tunnel(fwd::Phase::Failed), tunnel(fwd::Phase::Lost)],
                "failed",
            ),
        ] {
            let forward = ForwardStatus {
                name: "hook".to_owned(),
                kind: "ssh-remote".to_owned(),
                hostname: None,
                routes: vec![],
                tunnels,
                error: None,
            };
            assert_eq!(forward_word(&forward), expected);
        }
    }

    #[test]
    fn a_table_says_how_everything_is_and_sentences_say_what_is_wrong() {
        let app = |name: &str, state: State| AppStatus {
            name: name.to_owned(),
            state,
            ..AppStatus::default()
        };
        let status = ProjectStatus {
            project: "shop".to_owned(),
            pid: 42,
            apps: vec![
                app(
                    "api",
                    State {
                        phase: Phase::Running,
                        pid: Some(43),
                        ready: Some(false),
                        ..State::default()
                    },
                ),
                app(
                    "worker",
                    State {
                        phase: Phase::Waiting,
                        exit: Some(Exit::Code(3)),
                        reason: Some("it ended too often".to_owned()),
                        ..State::default()
                    },
                ),
            ],
            forwards: vec![ForwardStatus {
                name: "db".to_owned(),
                kind: "proxy".to_owned(),
                hostname: Some("db.test".to_owned()),
                tunnels: vec![],
                routes: vec![ForwardRoute {
                    listen: ([127, 0, 0, 9], 5432).into(),
                    target: "db.example.com:5432".to_owned(),
                    traffic: Some(Traffic {
                        active: 1,
                        accepted: 7,
                        failed: 2,
                        bytes_up: 2048,
                        last_error: Some("refused".to_owned()),
                        ..Traffic::default()
                    }),
                }],
                error: None,
            }],
            ..ProjectStatus::default()
        };
        let expected = "\
shop, pid 42, host names: nowhere (use the addresses)

APP     STATE                   PID  SINCE  RESTARTS  LAST EXIT      ADDRESS
api     running, not ready yet  43          0
worker  starts again soon                   0         exit status 3

FORWARD  TYPE   STATE  LISTENS         LEADS TO             CONNECTIONS            IN       OUT
db       proxy  open   127.0.0.9:5432  db.example.com:5432  1 open of 7, 2 failed  2.0 KiB  0 B

worker: it ended too often
db: last error: refused
";
        assert_eq!(as_text(&status, false), expected);
        for (names, private_names, expected) in [
            (true, false, "shop, pid 42, host names: system\n"),
            (false, true, "shop, pid 42, host names: private"),
        ] {
            let status = ProjectStatus {
                names,
                private_names,
                ..status.clone()
            };
            let text = as_text(&status, false);
            assert!(text.starts_with(expected), "{text}");
        }
    }
}
