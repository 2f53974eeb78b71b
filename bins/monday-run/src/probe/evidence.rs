//! What a probe looks at that has to be there before the command is started.

use monday_shared::protocol::run::Probe;
use regex::bytes::Regex;
use tokio_util::sync::CancellationToken;

use crate::helper::Helpers;
use crate::notify::NotifySocket;
use crate::spawn::SpawnError;
use crate::spec::CheckedSpec;
use crate::tap::Tap;

/// What a probe looks at beside the network.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// Set when a line of output matched.
    pub(super) matched: CancellationToken,
    /// Where the command says itself that it is ready.
    pub(super) notify: Option<NotifySocket>,
    /// Runs programs beside the command.
    pub(super) helpers: Helpers,
}

impl Evidence {
    /// Prepares what the specification's probe needs, and what has to look at the output for it.
    ///
    /// # Errors
    /// [`SpawnError::Notify`] if the command cannot be given a socket.
    pub(crate) fn prepare(
        spec: &CheckedSpec,
        generation: u64,
        helpers: Helpers,
    ) -> Result<(Self, Option<Tap>), SpawnError> {
        let mut evidence = Self {
            matched: CancellationToken::new(),
            notify: None,
            helpers,
        };
        let mut tap = None;
        match spec.ready().map(|ready| &ready.probe) {
            Some(Probe::Log(pattern)) => {
                // It was read before, when the specification was checked.
                let pattern = Regex::new(pattern).ok();
                tap = pattern.map(|pattern| Tap::new(pattern, evidence.matched.clone()));
            }
            Some(Probe::Notify) => {
                let socket =
                    NotifySocket::bind(generation).map_err(|source| SpawnError::Notify {
                        program: spec.program().to_owned(),
                        source,
                    })?;
                evidence.notify = Some(socket);
            }
            Some(Probe::Http(_) | Probe::Tcp(_) | Probe::Exec(_)) | None => {}
        }
        Ok((evidence, tap))
    }

    /// What the command has to find in its environment.
    pub(crate) fn variable(&self) -> Option<(&'static str, String)> {
        let socket = self.notify.as_ref()?;
        Some((
            "NOTIFY_SOCKET",
            socket.path().to_string_lossy().into_owned(),
        ))
    }

    /// Goes on hearing what the command says, so that it never waits for us.
    pub(crate) async fn ignore(self) {
        if let Some(notify) = self.notify {
            notify.ignore().await;
        }
    }
}
