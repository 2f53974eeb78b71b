//! One TCP connection through a channel of a tunnel that carries many, from the first byte to the end.
//!
//! The task that serves all channels of an SSH connection gives the far end credit when bytes arrive, not when they are
//! taken. So here the two ends agree on credit of their own: a sender has at most [`AHEAD_BYTES`] under way that its
//! receiver has not written out, and a connection that is not read holds up nobody but its own sender. The receiver says
//! how much it has written in extended data of the channel, of a type that is left to private use
//! ([RFC 4254](https://www.rfc-editor.org/rfc/rfc4254#section-5.2)).
//!
//! A half-closed connection stays one for as long as either end likes. What ends before it was complete is reset at the
//! other end, so that nobody takes a part for the whole.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::Notify;

/// The type of the extended data with which credit is given.
pub const CREDIT_TYPE: u32 = 0xFE6D_6F6E;

/// How much may be under way: enough for 50 ms at 300 Mbit/s.
pub const AHEAD_BYTES: u64 = 2 * 1024 * 1024;

/// Credit is given in pieces of this size, so that it costs next to nothing.
const CREDIT_BYTES: u64 = AHEAD_BYTES / 8;

/// Where the far end knows nothing of credit: a connection for which so much waits is cut.
const WAITING_BYTES: u64 = 64 * 1024 * 1024;

/// How much is read at once: as much as a packet carries.
const READ_BYTES: usize = 32 * 1024;

/// The channel is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// What comes through a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// Bytes.
    Data(Bytes),
    /// The far end has written out so many bytes.
    Credit(u32),
    /// The far end sends nothing more.
    Eof,
    /// The far end has closed the channel.
    Closed,
    /// The tunnel is lost.
    Lost,
}

/// The sending side of a channel.
pub trait Sender: Send + Sync {
    /// Sends bytes.
    fn data(&self, bytes: Bytes) -> impl Future<Output = Result<(), Gone>> + Send;
    /// Sends extended data of type [`CREDIT_TYPE`].
    fn credit(&self, bytes: Bytes) -> impl Future<Output = Result<(), Gone>> + Send;
    /// Says that nothing more is sent.
    fn eof(&self) -> impl Future<Output = Result<(), Gone>> + Send;
}

/// The receiving side of a channel.
pub trait Receiver: Send {
    /// What comes next. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Came> + Send;
}

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// Both directions were complete.
    Complete,
    /// The near end has failed.
    Near(io::Error),
    /// The far end has failed: its channel was closed before all was said.
    Far,
    /// The tunnel is lost.
    Lost,
    /// It was cut because it is not read, and the far end does not know credit.
    Cut,
}

/// Understands extended data: how much credit it gives.
#[must_use]
pub fn credit_of(data: &[u8]) -> Option<u32> {
    data.try_into().ok().map(u32::from_be_bytes)
}

/// Who counts: bytes from the near end, and bytes to it.
pub trait Count: Sync {
    /// So many bytes came from the near end.
    fn sent(&self, bytes: u64);
    /// So many were written to it.
    fn received(&self, bytes: u64);
}

/// Nobody counts.
impl Count for () {
    fn sent(&self, _: u64) {}
    fn received(&self, _: u64) {}
}

/// Relays between a connection and a channel until both directions are over; `with_credit` says that the far end knows
/// credit. A connection that was not complete is reset. The channel is the caller's to close.
pub async fn relay(
    mut near: TcpStream,
    sender: &impl Sender,
    receiver: &mut impl Receiver,
    with_credit: bool,
    count: &impl Count,
) -> Ended {
    // What was chosen to be sent must not be held back.
    let _ = near.set_nodelay(true);
    // However this ends, if not well: what is dropped from now on is reset.
    let _ = near.set_zero_linger();
    let allowance = Allowance {
        left: AtomicU64::new(if with_credit { AHEAD_BYTES } else { u64::MAX }),
        more: Notify::new(),
        said_all: AtomicBool::new(false),
        said: Notify::new(),
    };
    let ended = {
        let (reader, writer) = near.split();
        let outward = outward(reader, sender, &allowance, count);
        let inward = Inward {
            writer: Some(writer),
            sender,
            receiver,
            allowance: &allowance,
            with_credit,
            count,
        };
        let inward = inward.run();
        tokio::pin!(outward, inward);
        tokio::select! {
            // It ends with an error, or not before the other direction has.
            ended = outward => ended,
            ended = inward => ended,
        }
    };
    if matches!(ended, Ended::Complete) {
        let _ = SockRef::from(&near).set_linger(None);
    }
    ended
}

/// What may still be sent.
struct Allowance {
    left: AtomicU64,
    more: Notify,
    /// The near end has said all.
    said_all: AtomicBool,
    said: Notify,
}

impl Allowance {
    async fn some(&self) -> u64 {
        loop {
            let more = self.more.notified();
            match self.left.load(Ordering::Acquire) {
                0 => more.await,
                left => return left,
            }
        }
    }
}

async fn outward(
    near: ReadHalf<'_>,
    sender: &impl Sender,
    allowance: &Allowance,
    count: &impl Count,
) -> Ended {
    let mut buffer = BytesMut::new();
    loop {
        let left = allowance.some().await;
        // Nothing is held while there is nothing.
        if let Err(error) = near.readable().await {
            return Ended::Near(error);
        }
        let most = READ_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX));
        buffer.reserve(most);
        let mut room = bytes::BufMut::limit(&mut buffer, most);
        let read = match near.try_read_buf(&mut room) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                buffer = BytesMut::new();
                continue;
            }
            Err(error) => return Ended::Near(error),
        };
        if read == 0 {
            // That the channel is gone is heard by whoever receives.
            if sender.eof().await.is_ok() {
                allowance.said_all.store(true, Ordering::Release);
                allowance.said.notify_one();
            }
            return std::future::pending().await;
        }
        if left != u64::MAX {
            allowance.left.fetch_sub(read as u64, Ordering::AcqRel);
        }
        if sender.data(buffer.split().freeze()).await.is_err() {
            return std::future::pending().await;
        }
        count.sent(read as u64);
    }
}

struct Inward<'a, S, R, C> {
    writer: Option<WriteHalf<'a>>,
    sender: &'a S,
    receiver: &'a mut R,
    allowance: &'a Allowance,
    with_credit: bool,
    count: &'a C,
}

impl<S: Sender, R: Receiver, C: Count> Inward<'_, S, R, C> {
    /// Until the channel is closed; what has come is always taken, so that nobody else waits.
    async fn run(mut self) -> Ended {
        let mut waiting: VecDeque<Bytes> = VecDeque::new();
        let (mut bytes, mut owed, mut heard_all) = (0u64, 0u64, false);
        loop {
            if waiting.is_empty()
                && heard_all
                && let Some(mut writer) = self.writer.take()
            {
                // One that is closed already has no use for it.
                let _ = writer.shutdown().await;
            }
            if self.writer.is_none() && self.said_all() {
                return Ended::Complete;
            }
            let came = if let (Some(writer), Some(first)) = (&mut self.writer, waiting.front_mut())
            {
                tokio::select! {
                    biased;
                    written = writer.write_buf(first) => {
                        let written = match written {
                            Ok(written) => written as u64,
                            Err(error) => return Ended::Near(error),
                        };
                        if first.is_empty() {
                            waiting.pop_front();
                        }
                        bytes -= written;
                        owed += written;
                        self.count.received(written);
                        if self.with_credit && owed >= CREDIT_BYTES {
                            let credit = u32::try_from(owed).unwrap_or(u32::MAX);
                            let text = Bytes::copy_from_slice(&credit.to_be_bytes());
                            owed = 0;
                            // That it is lost is heard.
                            let _ = self.sender.credit(text).await;
                        }
                        continue;
                    },
                    came = self.receiver.next() => came,
                }
            } else {
                tokio::select! {
                    came = self.receiver.next() => came,
                    () = self.allowance.said.notified() => continue,
                }
            };
            match came {
                Came::Data(data) if !heard_all => {
                    bytes += data.len() as u64;
                    if bytes > WAITING_BYTES {
                        return Ended::Cut;
                    }
                    if !data.is_empty() {
                        waiting.push_back(data);
                    }
                }
                Came::Data(_) => {}
                Came::Credit(more) => {
                    if self.with_credit {
                        self.allowance
                            .left
                            .fetch_add(u64::from(more), Ordering::AcqRel);
                        self.allowance.more.notify_one();
                    }
                }
                Came::Eof => heard_all = true,
                // It closes once it has heard all; before that it does because it has failed.
                Came::Closed if heard_all => return self.write_out(waiting).await,
                Came::Closed => return Ended::Far,
                Came::Lost => return Ended::Lost,
            }
        }
    }

    fn said_all(&self) -> bool {
        self.allowance.said_all.load(Ordering::Acquire)
    }

    /// Writes out what was said before the channel was closed.
    async fn write_out(&mut self, waiting: VecDeque<Bytes>) -> Ended {
        if let Some(writer) = &mut self.writer {
            for mut piece in waiting {
                let length = piece.len() as u64;
                if let Err(error) = writer.write_all_buf(&mut piece).await {
                    return Ended::Near(error);
                }
                self.count.received(length);
            }
            let _ = writer.shutdown().await;
        }
        if self.said_all() {
            Ended::Complete
        } else {
            Ended::Far
        }
    }
}

#[cfg(test)]
#[path = "channel_relay_tests.rs"]
mod tests;
