//! The executable's own log, on standard error. The output of apps never goes through it.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::args::{LifeArgs, LogLevel, OutputFormat};

/// Starts the log. A second start in one process (in tests) changes nothing.
pub(super) fn start(args: &LifeArgs) {
    let level = match args.log_level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // What a watch of a cluster complains of is told as an event, with a remedy; only whoever looks for a fault in it
    // wants to read it as well.
    let quiet = if level < LevelFilter::DEBUG {
        ",kube_runtime=off"
    } else {
        ""
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("{level}{quiet}")))
        .with_writer(std::io::stderr)
        .with_target(false);
    // An error means that there is a log already.
    let _ = match args.output {
        OutputFormat::Json => log.json().flatten_event(true).try_init(),
        OutputFormat::Text => log
            .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
            .try_init(),
    };
}
