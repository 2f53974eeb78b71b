//! `wait`: until apps and forwards are ready.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use monday_shared::duration::Span;
use monday_shared::protocol::supervisor::{self, Until, Wait};

use super::{TargetArgs, ask};

/// What `wait` takes.
#[derive(Clone, Debug, Args)]
pub struct WaitArgs {
    /// For which; without a name: for all.
    #[command(flatten)]
    pub target: TargetArgs,

    /// For what to wait
    #[arg(long, value_name = "WHAT", default_value = "ready")]
    pub until: Condition,

    /// Give up after this time, with status 124; without it: wait for as long as it takes
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Span>,
}

/// For what to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Condition {
    /// It was started.
    Started,
    /// It is ready.
    Ready,
    /// It has ended with status 0.
    Completed,
}

/// Waits.
#[must_use]
pub fn run(args: &WaitArgs) -> ExitCode {
    let until = match args.until {
        Condition::Started => Until::Started,
        Condition::Ready => Until::Ready,
        Condition::Completed => Until::Completed,
    };
    let timeout = args.timeout;
    let wait = |names| Wait {
        names,
        until,
        timeout,
    };
    ask(&args.target, wait, |status: &supervisor::ProjectStatus| {
        let word = match args.until {
            Condition::Started => "started",
            Condition::Ready => "ready",
            Condition::Completed => "completed",
        };
        let what = match args.target.words.as_slice() {
            [] => status.project.clone(),
            words => words.join(", "),
        };
        format!("{what}: {word}\n")
    })
}
