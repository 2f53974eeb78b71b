//! `restart`, `stop`, `start`, `signal`, `reconnect` and `down`.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use monday_shared::duration::Span;
use monday_shared::life::exit;
use monday_shared::protocol::common::Shutdown;
use monday_shared::protocol::supervisor::{
    Apps, Failure, Forwards, Reconnect, Reload, Restart, Side, Signal, Start, Stop, Switch,
};
use serde_json::json;

use super::find::{self, Found};
use super::{ReachArgs, TargetArgs, ask, ask_to_start, shown, talk};
use crate::commands::completions;

/// What `stop` takes.
#[derive(Clone, Debug, Args)]
pub struct StopArgs {
    /// Which; without a name all apps, and the supervisor goes on (`down` ends it as well).
    #[command(flatten)]
    pub target: TargetArgs,

    /// Kill what has not ended after this time, instead of each app's own; 0 kills at once
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Span>,
}

/// What `signal` takes.
#[derive(Clone, Debug, Args)]
pub struct SignalArgs {
    /// The signal: HUP, SIGUSR1, 10
    #[arg(value_name = "SIGNAL")]
    pub signal: String,

    /// To which apps.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// What `down` takes.
#[derive(Clone, Debug, Args)]
pub struct DownArgs {
    /// The project; may be left out while only one runs
    #[arg(value_name = "PROJECT", add = completions::projects())]
    pub project: Option<String>,

    /// How to reach it.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Starts apps again.
#[must_use]
pub fn restart(target: &TargetArgs) -> ExitCode {
    ask_to_start(target, |names| Restart { names })
}

/// Starts apps that do not run.
#[must_use]
pub fn start(target: &TargetArgs) -> ExitCode {
    ask_to_start(target, |names| Start { names })
}

/// Stops apps.
#[must_use]
pub fn stop(args: &StopArgs) -> ExitCode {
    let timeout = args.timeout;
    ask(&args.target, |names| Stop { names, timeout }, apps)
}

/// Sends apps a signal.
#[must_use]
pub fn signal(args: &SignalArgs) -> ExitCode {
    let signal = args.signal.clone();
    ask(
        &args.target,
        |names| Signal { names, signal },
        |_| String::new(),
    )
}

/// Opens forwards anew.
#[must_use]
pub fn reconnect(target: &TargetArgs) -> ExitCode {
    ask(target, |names| Reconnect { names }, forwards)
}

/// Stops everything, the supervisor too.
#[must_use]
pub fn down(args: &DownArgs) -> ExitCode {
    let target = TargetArgs {
        words: args.project.iter().cloned().collect(),
        reach: args.reach.clone(),
    };
    talk(&args.reach, async {
        let Found {
            client,
            status,
            names,
        } = find::find(&target).await?;
        if let Some(name) = names.into_iter().next() {
            return Err(find::FindError::NotThatOne {
                name,
                near: None,
                running: vec![status.project],
            }
            .into());
        }
        client.call(&Shutdown {}).await?;
        // It closes when all is done.
        client.closed().await;
        let told = json!({"project": status.project, "pid": status.pid});
        Ok(shown(&args.reach, &told, |_| {
            format!("{} is down\n", status.project)
        }))
    })
}

pub(super) fn apps(reply: &Apps) -> String {
    let mut text = String::new();
    for app in &reply.apps {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{app}");
    }
    text
}

/// What `switch` takes.
#[derive(Clone, Debug, Args)]
pub struct SwitchArgs {
    /// The name or host name that has both sides, and which one: `api forward`.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Lets the other side of a name serve.
#[must_use]
pub fn switch(args: &SwitchArgs) -> ExitCode {
    let mut target = args.target.clone();
    let to = match target.words.pop().as_deref() {
        Some("local") => Side::Local,
        Some("forward") => Side::Forward,
        _ => {
            return usage(
                "say which side: `monday-supervisor switch [PROJECT] NAME local|forward`",
            );
        }
    };
    talk(&target.reach, async {
        let Found { client, names, .. } = find::find(&target).await?;
        let [name] = names.as_slice() else {
            return Ok(usage(
                "name one app or forward: `monday-supervisor switch [PROJECT] NAME local|forward`",
            ));
        };
        let switch = Switch {
            name: name.clone(),
            to,
        };
        let reply = client.call(&switch).await?;
        Ok(shown(&target.reach, &reply, |reply| format!("{reply}\n")))
    })
}

fn usage(message: &str) -> ExitCode {
    super::super::failed(message);
    ExitCode::from(exit::USAGE)
}

/// Applies what changed in the configuration.
#[must_use]
pub fn reload(args: &DownArgs) -> ExitCode {
    let target = TargetArgs {
        words: args.project.iter().cloned().collect(),
        reach: args.reach.clone(),
    };
    talk(&target.reach, async {
        let Found { client, .. } = find::find(&target).await?;
        let reply = client.call(&Reload {}).await?;
        let told = shown(&target.reach, &reply, |reply| format!("{reply}\n"));
        for Failure { name, error } in &reply.failed {
            super::super::failed(&format!("{name}: {error}"));
        }
        Ok(if reply.failed.is_empty() {
            told
        } else {
            ExitCode::from(exit::FAILED)
        })
    })
}

fn forwards(reply: &Forwards) -> String {
    let mut text = String::new();
    for forward in &reply.forwards {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{forward}");
    }
    text
}
