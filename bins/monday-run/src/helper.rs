//! Programs that run beside the command: stop commands and probes.
//!
//! Only the guardian may start and wait for processes, so whoever wants a helper asks it through [`Helpers`].

use std::sync::Arc;

use monday_shared::protocol::run::{Exit, RunSpec};
use tokio::sync::{mpsc, oneshot};

use crate::spawn::Output;
use crate::spec::CheckedSpec;

/// What the guardian is told by its own tasks.
#[derive(Debug)]
pub(crate) enum Inside {
    /// Start this beside the command.
    Start {
        /// What.
        spec: Box<CheckedSpec>,
        /// Where its output goes.
        output: Output,
        /// Its start, or why it has none.
        reply: oneshot::Sender<Result<Helper, String>>,
    },
    /// Kill this helper if it is alive.
    Kill(u32),
    /// The command of that generation is ready, or will not be.
    Probed(u64, Result<(), String>),
    /// The stop commands of that generation are done.
    StopCommandsEnded(u64),
}

/// A helper that was started.
#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) pid: u32,
    /// Its output, in the order of the streams.
    pub(crate) output: [Option<std::os::fd::OwnedFd>; 2],
    /// How it ended, once it has.
    pub(crate) exit: oneshot::Receiver<Exit>,
}

/// Asks the guardian for helpers.
#[derive(Clone, Debug)]
pub(crate) struct Helpers {
    inside: mpsc::UnboundedSender<Inside>,
}

/// A helper that is killed when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) helper: Helper,
    inside: mpsc::UnboundedSender<Inside>,
}

impl Helpers {
    pub(crate) fn new(inside: mpsc::UnboundedSender<Inside>) -> Self {
        Self { inside }
    }

    /// Tells the guardian something.
    pub(crate) fn tell(&self, what: Inside) {
        // A guardian that has ended wants to know nothing.
        let _ = self.inside.send(what);
    }

    /// Starts a program in the surroundings of the command.
    ///
    /// # Errors
    /// Why it cannot be started, in words.
    pub(crate) async fn start(
        &self,
        beside: &Arc<CheckedSpec>,
        words: &[String],
        output: Output,
    ) -> Result<Running, String> {
        let spec: RunSpec = beside.beside(words.to_vec());
        let spec = CheckedSpec::try_from(spec).map_err(|error| error.to_string())?;
        let (reply, answer) = oneshot::channel();
        self.tell(Inside::Start {
            spec: Box::new(spec),
            output,
            reply,
        });
        let ended = |_| "monday-run is about to end".to_owned();
        let helper = answer.await.map_err(ended)??;
        Ok(Running {
            helper,
            inside: self.inside.clone(),
        })
    }
}

impl Running {
    /// Waits for its end. Dropping the future and the helper kills it.
    pub(crate) async fn wait(&mut self) -> Option<Exit> {
        (&mut self.helper.exit).await.ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // If it has ended, its number is known to be nobody's.
        let _ = self.inside.send(Inside::Kill(self.helper.pid));
    }
}
