//! Reads what the command writes, from its first byte to its last, and publishes it as lines.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use monday_shared::protocol::run::{Event, Output, Stream};
use monday_shared::rpc::hub::Hub;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use monday_shared::lines::{Batch, Last, Splitter};

use crate::log_file::Log;
use crate::tap::Tap;

/// What one read takes at most: what a pipe holds by default.
const CHUNK_BYTES: usize = 64 * 1024;

/// A line that has no end after this long is shown as far as it is: it may be a prompt or a progress bar.
const PROMPT_AFTER: Duration = Duration::from_millis(200);

/// When nobody is left of a command, only a process that was kept or is not ours can still hold its pipe; it is
/// listened to until it is silent for this long, …
const SILENCE: Duration = Duration::from_millis(200);

/// … and no longer than this in any case.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Which output it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// From which start of the command.
    pub(crate) generation: u64,
    /// From which of its streams.
    pub(crate) stream: Stream,
}

/// What ends the reading besides the end of the stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switches {
    /// Nobody is left of the command.
    pub(crate) over: CancellationToken,
    /// Nobody takes output any more: the pipe is closed, which a writing command notices as it would without us.
    pub(crate) unwanted: CancellationToken,
    /// If what the command leaves behind is to live on, it is listened to until this is said: a process that writes into a
    /// pipe that nobody reads is killed by that.
    pub(crate) kept: Option<CancellationToken>,
}

/// Where output goes.
#[derive(Clone, Debug)]
pub(crate) struct Sinks {
    /// To whoever subscribed.
    pub(crate) hub: Hub<Event>,
    /// Into a file.
    pub(crate) log: Option<Log>,
    /// To whoever looks for a line.
    pub(crate) tap: Option<Tap>,
}

/// One stream that is read.
struct Reader {
    source: Source,
    sinks: Sinks,
    pipe: Receiver,
    splitter: Splitter,
}

/// Reads the stream until its end and publishes all of it. A subscriber of the lossless kind that is slow makes the
/// command wait; nothing else does.
///
/// # Errors
/// What read(2) says; what was read before is published.
pub(crate) async fn forward(
    fd: OwnedFd,
    source: Source,
    sinks: Sinks,
    switches: Switches,
) -> io::Result<()> {
    let mut reader = Reader {
        source,
        sinks,
        pipe: Receiver::from_owned_fd_unchecked(nonblocking(fd)?)?,
        splitter: Splitter::default(),
    };
    let read = tokio::select! {
        biased;
        () = switches.unwanted.cancelled() => return Ok(()),
        read = reader.read_all(&switches.over) => read,
    };
    let last = reader.splitter.end();
    reader.publish(last).await;
    if let (Ok(End::LastWords), Some(deaf)) = (&read, switches.kept) {
        tokio::spawn(reader.go_on(switches.unwanted, deaf));
    }
    read.map(|_| ())
}

/// Why nothing more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nobody can write any more.
    OfStream,
    /// Nobody is left of the command who is to be waited for.
    LastWords,
}

impl Reader {
    /// Listens to those who live on, and holds nobody up: all that is waited for was read before.
    async fn go_on(mut self, unwanted: CancellationToken, deaf: CancellationToken) {
        self.sinks.tap = None;
        let never_over = CancellationToken::new();
        let read = tokio::select! {
            biased;
            () = unwanted.cancelled() => return,
            () = deaf.cancelled() => return,
            read = self.read_all(&never_over) => read,
        };
        if let Err(error) = read {
            tracing::warn!(%error, "cannot read what the command's children write any further");
        }
        let last = self.splitter.end();
        self.publish(last).await;
    }

    async fn read_all(&mut self, over: &CancellationToken) -> io::Result<End> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut prompt_at = None;
        let mut last_words_end = None;
        loop {
            if last_words_end.is_none() && over.is_cancelled() {
                last_words_end = Some(Instant::now() + LAST_WORDS);
            }
            if last_words_end.is_some_and(|end| Instant::now() >= end) {
                self.read_what_is_there(&mut chunk).await?;
                return Ok(End::LastWords);
            }
            // Counted only while waiting: a reader who pushes back costs nobody the last lines.
            let silent_at = last_words_end.map(|_| Instant::now() + SILENCE);
            let batch = tokio::select! {
                biased;
                read = self.pipe.read(&mut chunk) => match end_of_terminal(read)? {
                    0 => return Ok(End::OfStream),
                    bytes => self.splitter.push(chunk.get(..bytes).unwrap_or_default()),
                },
                () = over.cancelled(), if last_words_end.is_none() => continue,
                () = at(silent_at) => return Ok(End::LastWords),
                () = at(prompt_at) => self.splitter.flush(),
            };
            if batch.is_some() || !self.splitter.waits() {
                prompt_at = None;
            }
            if self.splitter.waits() {
                prompt_at.get_or_insert_with(|| Instant::now() + PROMPT_AFTER);
            }
            self.publish(batch).await;
            // A command that writes without end must not keep the guardian from stopping it.
            tokio::task::yield_now().await;
        }
    }

    /// Reads what the pipe holds at this moment, so that nothing that was written in time is lost, and not what comes
    /// later.
    async fn read_what_is_there(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        let waiting = rustix::io::ioctl_fionread(&self.pipe)?;
        let mut left = usize::try_from(waiting).unwrap_or(usize::MAX);
        while left > 0 {
            let take = chunk.len().min(left);
            let some = chunk.get_mut(..take).unwrap_or_default();
            match end_of_terminal(self.pipe.try_read(some)) {
                Ok(0) => break,
                Ok(bytes) => {
                    left -= bytes.min(left);
                    let batch = self.splitter.push(some.get(..bytes).unwrap_or_default());
                    self.publish(batch).await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn publish(&mut self, batch: Option<Batch>) {
        let Some(Batch { lines, last }) = batch else {
            return;
        };
        let output = Output {
            generation: self.source.generation,
            stream: self.source.stream,
            lines,
            partial: last == Last::Piece,
            unterminated: last == Last::Unterminated,
        };
        if let Some(tap) = &mut self.sinks.tap {
            tap.look_at(&output);
        }
        if let Some(log) = &self.sinks.log {
            log.put(output.clone()).await;
        }
        self.sinks.hub.publish_bulk(Event::Output(output)).await;
    }
}

/// A terminal cannot be opened as a pipe is, but it is read like one.
fn nonblocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(fd)
}

/// When nobody holds a terminal any more, Linux says that it cannot be read (`pty(7)`).
fn end_of_terminal(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => Ok(0),
        read => read,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => pending().await,
    }
}
