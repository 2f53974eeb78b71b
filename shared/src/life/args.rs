//! The flags that every executable has.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How events are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, the first one being `{"event":"ready",…}`.
    Json,
}

/// How much is logged to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What does not work.
    Error,
    /// What is not as it should be.
    #[default]
    Warn,
    /// What happens.
    Info,
    /// Each connection and each message.
    Debug,
    /// Everything.
    Trace,
}

/// The flags that every executable has; flatten them into its own.
#[derive(Clone, Debug, Default, Args)]
pub struct LifeArgs {
    /// Serve the control protocol on this Unix-domain socket
    ///
    /// JSON-RPC 2.0, one JSON object a line; try: printf '{"id":1,"method":"hello"}\n' | nc -N -U PATH
    #[arg(long, value_name = "PATH", help_heading = "Common options")]
    pub control: Option<PathBuf>,

    /// How to print events: for people, or one JSON object a line
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Common options"
    )]
    pub output: OutputFormat,

    /// How much to log to standard error
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "warn",
        env = "MONDAY_LOG",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub log_level: LogLevel,

    /// Clean up and end when standard input ends, as it does when the parent dies
    #[arg(long, help_heading = "Common options")]
    pub lifeline: bool,
}
