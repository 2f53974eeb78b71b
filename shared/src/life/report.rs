//! Prints events as they come: for people, or one JSON object a line.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::protocol::message::Stamped;
use crate::rpc::hub::{Delivery, Event, Subscription};

/// How many pieces of text wait for the stream before the subscription is left to wait instead.
const PIECES_AHEAD: usize = 8;

/// How much is put together into one write: what the output of an app comes in.
const PIECE_BYTES: usize = 64 * 1024;

/// How long the last lines may take to be taken by whoever reads them.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where the lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// Standard error: standard output belongs to COMMAND.
    Stderr,
}

/// Makes lines of an event: appends nothing, or whole lines.
pub trait Format<E>: Send + 'static {
    /// Appends the event.
    fn event(&mut self, event: &E, lines: &mut Vec<u8>);
    /// Appends what is to be said about so many lost lines.
    fn lagged(&mut self, dropped: u64, lines: &mut Vec<u8>);
}

/// One JSON object a line.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl<E: Serialize> Format<E> for Json {
    fn event(&mut self, event: &E, lines: &mut Vec<u8>) {
        json_line(event, lines);
    }

    fn lagged(&mut self, dropped: u64, lines: &mut Vec<u8>) {
        json_line(
            &serde_json::json!({"event": "lagged", "dropped": dropped}),
            lines,
        );
    }
}

/// What the event's `Display` says.
#[derive(Clone, Copy, Debug)]
pub struct Text;

impl<E: Display> Format<E> for Text {
    fn event(&mut self, event: &E, lines: &mut Vec<u8>) {
        // Writing into memory does not fail.
        let _ = writeln!(lines, "{event}");
    }

    fn lagged(&mut self, dropped: u64, lines: &mut Vec<u8>) {
        let _ = writeln!(lines, "({dropped} lines were lost here: too slow)");
    }
}

fn json_line(value: &impl Serialize, lines: &mut Vec<u8>) {
    let before = lines.len();
    match serde_json::to_writer(&mut *lines, value) {
        Ok(()) => lines.push(b'\n'),
        Err(error) => {
            lines.truncate(before);
            tracing::error!(%error, "an event cannot be written as JSON and was left out");
        }
    }
}

/// Prints what a subscription brings.
#[derive(Debug)]
pub struct Reporter {
    stop: CancellationToken,
    written: oneshot::Receiver<()>,
}

impl Reporter {
    /// Begins to print.
    ///
    /// A thread of its own writes, so that a reader who stalls never stalls anything else here; what waits for it is
    /// bounded by the subscription.
    ///
    /// # Errors
    /// If no thread can be made.
    pub fn start<E: Event, F: Format<E>>(
        subscription: Subscription<E>,
        sink: Sink,
        format: F,
    ) -> io::Result<Self> {
        let (pieces, to_write) = mpsc::channel(PIECES_AHEAD);
        let (done, written) = oneshot::channel();
        std::thread::Builder::new()
            .name("report".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || {
                write(to_write, sink);
                let _ = done.send(());
            })?;
        let stop = CancellationToken::new();
        tokio::spawn(format_all(subscription, format, pieces, stop.clone()));
        Ok(Self { stop, written })
    }

    /// Prints what was published until now, and no more.
    pub fn last(&self) {
        self.stop.cancel();
    }

    /// Waits until nothing will be printed any more: all is printed after [`last`](Self::last), however long whoever
    /// reads it takes, or nobody reads it any more. Dropping the future loses nothing; afterwards there is nothing to
    /// [`finish`](Self::finish).
    pub async fn printed(&mut self) {
        // An error means that the thread is gone, which is the same.
        let _ = (&mut self.written).await;
    }

    /// Prints what was published until now and ends.
    pub async fn finish(self) {
        self.last();
        if tokio::time::timeout(LAST_LINES, self.written)
            .await
            .is_err()
        {
            tracing::warn!("the last lines were not read in time and are lost");
        }
    }
}

async fn format_all<E: Event, F: Format<E>>(
    mut subscription: Subscription<E>,
    mut format: F,
    pieces: mpsc::Sender<Vec<u8>>,
    stop: CancellationToken,
) {
    let mut append = |delivery: Delivery<E>, lines: &mut Vec<u8>| match delivery {
        Delivery::Event(event) => {
            let event: Arc<Stamped<E>> = event;
            format.event(&event.event, lines);
        }
        Delivery::Past(past) => format.event(&past.event.event, lines),
        Delivery::Lagged(dropped) => format.lagged(dropped, lines),
    };
    loop {
        let mut lines = Vec::new();
        let ended = tokio::select! {
            biased;
            next = subscription.next() => match next {
                Some(delivery) => {
                    append(delivery, &mut lines);
                    false
                }
                None => true,
            },
            () = stop.cancelled() => true,
        };
        // What is there already goes into the same write.
        while lines.len() < PIECE_BYTES {
            match subscription.try_next() {
                Some(delivery) => append(delivery, &mut lines),
                None => break,
            }
        }
        if !lines.is_empty() && pieces.send(lines).await.is_err() {
            return;
        }
        if ended {
            return;
        }
    }
}

fn write(mut pieces: mpsc::Receiver<Vec<u8>>, sink: Sink) {
    while let Some(piece) = pieces.blocking_recv() {
        let written = match sink {
            Sink::Stdout => write_to(&mut io::stdout().lock(), &piece),
            Sink::Stderr => write_to(&mut io::stderr().lock(), &piece),
        };
        if let Err(error) = written {
            // A reader that went away, as `head -1` does, is no fault of ours.
            tracing::debug!(%error, "events are not printed any more");
            return;
        }
    }
}

fn write_to(stream: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    stream.write_all(piece)?;
    stream.flush()
}
