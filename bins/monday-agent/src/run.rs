//! From the command line to the end.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;
use crate::ready;
use crate::server;
use crate::settings::{Settings, ready_port};

const HELP: &str = "\
monday-agent: runs in a pod in the place of an application, and leads the pod's ports through a tunnel

monday-fwd kubernetes-remote puts it there; there is no use in running it by hand.

Usage: monday-agent            serve tunnels on 127.0.0.1:5022 of the pod
       monday-agent ready      status 0 if a tunnel stands: the pod's readiness probe
       monday-agent --version

Environment:
  MONDAY_AGENT_KEY         the public key of whoever may use it, as authorized_keys has it
  MONDAY_AGENT_READY_PORT  the port at which it says that the tunnel stands";

/// Runs the executable with these words.
pub fn main(words: impl Iterator<Item = String>) -> ExitCode {
    let words: Vec<String> = words.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let variable = |name: &str| std::env::var(name).ok();
    let done = match words.as_slice() {
        [] => Settings::read(variable).and_then(serve),
        ["ready"] => ready_port(variable).and_then(|port| ready::ask(port, ASK_WITHIN)),
        ["--version" | "-V"] => {
            print(concat!("monday-agent ", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
        ["--help" | "-h"] => {
            print(HELP);
            Ok(())
        }
        [word, ..] => Err(Error::Usage {
            word: (*word).to_owned(),
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "monday-agent: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// How long a connection within the pod may take: less than the probe waits.
const ASK_WITHIN: Duration = Duration::from_millis(900);

fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn serve(settings: Settings) -> Result<(), Error> {
    let io = |what| move |source| Error::Io { what, source };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io("start"))?
        .block_on(async {
            // The first process of a pod gets no signal that it has no handler for.
            let mut term = signal(SignalKind::terminate()).map_err(io("listen for signals"))?;
            let mut interrupt =
                signal(SignalKind::interrupt()).map_err(io("listen for signals"))?;
            let ended = async {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            let listener = server::bind()?;
            server::run(listener, settings, ended).await
        })
}
