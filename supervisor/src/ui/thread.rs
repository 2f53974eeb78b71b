//! The UI of a project that this very process runs: on a thread of its own, and yet a client of the socket. A terminal
//! that is stopped or slow stops that thread and nothing else.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Leaving, terminal};
use crate::view::console::tell;

/// How long the terminal may take to be brought back.
const PATIENCE: Duration = Duration::from_secs(2);

/// The UI.
#[derive(Debug)]
pub struct InThread {
    ended: oneshot::Receiver<()>,
}

impl InThread {
    /// Starts it; the socket has to be served already.
    #[must_use]
    pub fn start(socket: PathBuf) -> Self {
        let (done, ended) = oneshot::channel();
        let shown = std::thread::Builder::new()
            .name("ui".to_owned())
            .spawn(move || {
                show(&socket);
                // Whoever waited may have gone.
                let _ = done.send(());
            });
        if let Err(error) = shown {
            tell(&format!("there is no terminal UI: {error}"));
        }
        Self { ended }
    }

    /// Waits until the terminal is as it was.
    pub async fn finish(self) {
        let _ = tokio::time::timeout(PATIENCE, self.ended).await;
    }
}

fn show(socket: &std::path::Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let shown = match runtime {
        Ok(runtime) => runtime.block_on(terminal::run(socket, Leaving::Stops)),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = shown {
        tell(&format!(
            "monday-supervisor: {error} (the project goes on; Ctrl-C stops it)"
        ));
    }
}
