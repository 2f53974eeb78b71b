//! Reads what COMMAND writes and publishes it as lines, where its output is not simply ours.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use monday_shared::lines::{Batch, Last, Splitter};
use monday_shared::protocol::run::{Output, Stream};
use monday_shared::protocol::watch::Event;
use monday_shared::rpc::hub::Hub;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

use super::at;

/// What one read takes at most: what a pipe holds by default.
const CHUNK_BYTES: usize = 64 * 1024;

/// A line that has no end after this long is shown as far as it is: it may be a prompt or a progress bar.
const PROMPT_AFTER: Duration = Duration::from_millis(200);

/// Reads the stream until its end and publishes all of it.
///
/// # Errors
/// What read(2) says; what was read before is published.
pub(super) async fn forward(
    fd: OwnedFd,
    generation: u64,
    stream: Stream,
    hub: Hub<Event>,
) -> io::Result<()> {
    let mut pipe = Receiver::from_owned_fd(fd)?;
    let mut splitter = Splitter::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    let publish = async |batch: Option<Batch>| {
        if let Some(Batch { lines, last }) = batch {
            let output = Output {
                generation,
                stream,
                lines,
                partial: last == Last::Piece,
                unterminated: last == Last::Unterminated,
            };
            hub.publish_bulk(Event::Output(output)).await;
        }
    };
    // From the first byte that waits: a progress bar that grows all the time is seen growing.
    let mut prompt_at = None;
    let read = loop {
        let batch = tokio::select! {
            biased;
            read = pipe.read(&mut chunk) => match read {
                Ok(0) => break Ok(()),
                Ok(bytes) => splitter.push(chunk.get(..bytes).unwrap_or_default()),
                Err(error) => break Err(error),
            },
            () = at(prompt_at) => splitter.flush(),
        };
        if batch.is_some() {
            prompt_at = None;
        }
        if splitter.waits() {
            prompt_at.get_or_insert_with(|| Instant::now() + PROMPT_AFTER);
        }
        publish(batch).await;
    };
    publish(splitter.end()).await;
    read
}
