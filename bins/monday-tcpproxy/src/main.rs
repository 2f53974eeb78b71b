//! The executable: see the library for what it does.

use std::process::ExitCode;

use monday_shared::life::{self, Threads};
use monday_tcpproxy::cli::{Cli, Invocation};
use monday_tcpproxy::inherited::Inherited;
use monday_tcpproxy::run::run;

fn main() -> ExitCode {
    life::offer(Invocation::definition);
    match Invocation::parse_or_exit() {
        Invocation::Relay(cli) => relay(*cli),
        Invocation::Ask(ctl) => ctl.run(),
    }
}

fn relay(cli: Cli) -> ExitCode {
    // Before anything else opens descriptors.
    let handed_over = Inherited::take();
    let life = cli.life().clone();
    // This thread is for control; the threads that relay are started by `run`.
    life::run("monday-tcpproxy", &life, Threads::One, || {
        run(cli, handed_over)
    })
}
