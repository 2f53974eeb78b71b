//! Runs the stop commands, one after the other.

use std::sync::Arc;

use monday_shared::protocol::run::{Exit, Stream};

use crate::helper::{Helpers, Inside};
use crate::output::{self, Sinks, Source};
use crate::spawn::Output;
use crate::spec::CheckedSpec;

/// Runs them to their end and tells the guardian. One that fails is told of, and the next one follows: whoever wants to
/// stop wants that more than any of them. Their output is shown as the command's. Dropping the future kills the one
/// that runs.
pub(crate) async fn run(
    spec: Arc<CheckedSpec>,
    generation: u64,
    helpers: Helpers,
    sinks: Sinks,
    switches: output::Switches,
) {
    for words in spec.stop_commands() {
        let shown = words.join(" ");
        let mut running = match helpers.start(&spec, words, Output::Pipes).await {
            Ok(running) => running,
            Err(why) => {
                tracing::warn!("a stop command cannot be run: {why}");
                continue;
            }
        };
        let streams = [Stream::Stdout, Stream::Stderr];
        for (stream, fd) in streams.into_iter().zip(&mut running.helper.output) {
            if let Some(fd) = fd.take() {
                let source = Source { generation, stream };
                let switches = switches.clone();
                tokio::spawn(output::forward(fd, source, sinks.clone(), switches));
            }
        }
        match running.wait().await {
            Some(Exit::Code(0)) | None => {}
            Some(exit) => tracing::warn!("the stop command `{shown}` failed: {exit}"),
        }
    }
    helpers.tell(Inside::StopCommandsEnded(generation));
}
