//! `monday-bench`: how fast monday is beside what others use for the same job, on this machine, in one run.
//!
//! Figures of different runs cannot be compared, those of one run can: every contender is measured in turn, several
//! rounds, and the medians are printed with their ratios.

mod config;
mod cpu;
mod error;
mod kubernetes;
mod machine;
mod median;
mod processes;
mod relay;
mod ssh;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures monday beside what others use for the same job.
#[derive(Debug, Parser)]
#[command(name = "monday-bench", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// `monday-fwd ssh` beside `ssh -L` with the same cipher, to the same sshd.
    Ssh(ssh::Args),
    /// `monday-tcpproxy` beside raw loopback, haproxy and socat: throughput, CPU time, new connections.
    Relay(relay::Args),
    /// Output, watching and whole projects, beside a bare pipe, honcho, watchexec and looking again and again.
    Processes(processes::Args),
    /// How long `monday-supervisor validate` takes for a large and for a typical configuration.
    Config(config::Args),
    /// `monday-fwd kubernetes` beside `kubectl port-forward`, on a real cluster: throughput, CPU time, new connections.
    Kubernetes(kubernetes::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.what {
        What::Ssh(args) => ssh::run(&args, &mut std::io::stdout().lock()),
        What::Relay(args) => relay::run(&args, &mut std::io::stdout().lock()),
        What::Processes(args) => processes::run(&args, &mut std::io::stdout().lock()),
        What::Config(args) => config::run(&args, &mut std::io::stdout().lock()),
        What::Kubernetes(args) => kubernetes::run(&args, &mut std::io::stdout().lock()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
