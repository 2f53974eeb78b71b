//! The one life that every executable leads.
//!
//! ```text
//! parse flags -> run() -> Sidecar::begin -> (own work) -> serve -> ready -> until_end -> (own clean-up) -> finish -> exit code
//! ```
//!
//! [`run`] belongs into `main.rs`: it starts the log and the runtime, and turns what comes back into an exit code.
//! [`Sidecar`] is used inside: it holds the control socket, the signals, the lifeline and the events that are printed.

pub mod args;
pub mod command;
pub mod exit;
pub mod lifeline;
mod log;
pub mod offers;
pub mod report;
mod sidecar;

pub use args::{LifeArgs, OutputFormat};
pub use exit::{Ending, Failure};
pub use offers::offer;
pub use sidecar::{LifeError, Sidecar};

use std::process::ExitCode;

use crate::platform;

/// How many threads the executable wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// One: cheapest, and fast enough for everything that is bound by input and output.
    One,
    /// As many as there are processors.
    Many,
}

/// Runs an executable from its flags to its exit code.
///
/// Errors are printed to standard error with the executable's name before them, causes included.
pub fn run<F, T, E>(name: &str, args: &LifeArgs, threads: Threads, main: F) -> ExitCode
where
    F: FnOnce() -> T,
    T: Future<Output = Result<u8, E>>,
    E: Failure,
{
    platform::note_open_files();
    log::start(args);
    let runtime = platform::block_signals().and_then(|()| {
        match threads {
            Threads::One => tokio::runtime::Builder::new_current_thread(),
            Threads::Many => tokio::runtime::Builder::new_multi_thread(),
        }
        .enable_all()
        .build()
    });
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return exit::complain(name, &error, 1),
    };
    let ended = runtime.block_on(async { main().await });
    // Nothing that is still blocked (a name that resolves slowly) may hold up the end.
    runtime.shutdown_background();
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(error) => exit::complain(name, &error, error.exit_code()),
    }
}
