//! One connection through a channel: both directions, from the first byte to the end.
//!
//! Two things here are because of how the protocol's task works:
//!
//! - It gives the server credit for more when bytes arrive, not when they are taken, and it stops for all channels when
//!   one has too much waiting. So what arrives is always taken, and waits here instead if its client does not read, up to
//!   [`WAITING_BYTES`]. Long before that the connection counts as stalled, and new ones get a link of their own. Only a
//!   client that has a link for itself is left waiting for as long as it likes: then stopping the link is exactly what it
//!   asks for.
//! - A channel has no reset. A local client is reset where the link is lost, so that it does not mistake what it has for
//!   the whole.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::FutureExt as _;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use super::connect::Link;
use crate::connection::Connection;
use crate::local::Local;

/// How much may wait for a client that shares its link with others before it is cut.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// A client for which so much waits does not keep up, and its link takes no further ones.
const STALLED_BYTES: usize = 1024 * 1024;

/// What is put together into one write.
const WRITE_BYTES: usize = 256 * 1024;

/// The most pieces of one write; a piece is a packet.
const WRITE_PIECES: usize = 32;

/// How much is read at once: little as long as little comes, so that a connection that idles holds nothing.
const READ_BYTES: (usize, usize) = (16 * 1024, 256 * 1024);

/// How often a client that has a link for itself is looked at, whether it still has.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Who of the two ends has begun the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The local end: what it sends goes up.
    Local,
    /// The far end: what it sends goes up.
    Remote,
}

/// How a direction or a connection ended.
#[derive(Debug)]
enum End {
    /// All was said.
    Complete,
    /// The local end has failed or is gone.
    Local(io::Error),
    /// The far end has closed the channel.
    Closed,
    /// The link is lost.
    Lost,
    /// The client was cut: it does not read, and others share its link.
    Cut,
}

/// Closes the channel when it is dropped: whatever becomes of the task, the server learns of it.
struct Writer(Option<ChannelWriteHalf<Msg>>);

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            tokio::spawn(async move {
                // The link may be gone, and the channel with it.
                let _ = half.close().await;
            });
        }
    }
}

/// Counts a connection of a link.
struct Place<'a> {
    link: &'a Link,
    stalled: bool,
}

impl<'a> Place<'a> {
    fn of(link: &'a Link) -> Self {
        link.active.fetch_add(1, Ordering::Relaxed);
        Self {
            link,
            stalled: false,
        }
    }

    fn is_alone(&self) -> bool {
        self.link.active.load(Ordering::Relaxed) <= 1
    }

    fn stalls(&mut self, stalls: bool) {
        if stalls && !self.stalled {
            self.link.stalled.fetch_add(1, Ordering::Relaxed);
        } else if !stalls && self.stalled {
            self.link.stalled.fetch_sub(1, Ordering::Relaxed);
        }
        self.stalled = stalls;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.stalls(false);
        self.link.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts bytes of a direction.
type Count = fn(&Connection, usize);

/// Relays until the connection is over, and ends it on both sides.
pub(super) async fn relay(
    local: Local,
    channel: Channel<Msg>,
    link: &Arc<Link>,
    connection: Connection,
    from: From,
) {
    let (mut reader, writer) = channel.split();
    let writer = Writer(Some(writer));
    let mut place = Place::of(link);
    let (sent, received): (Count, Count) = match from {
        From::Local => (Connection::moved_up, Connection::moved_down),
        From::Remote => (Connection::moved_down, Connection::moved_up),
    };
    let end = {
        let outward = outward(
            &local,
            &writer,
            |bytes| sent(&connection, bytes),
            &connection,
        );
        let inward = inward(&local, &mut reader, &mut place, |bytes| {
            received(&connection, bytes);
        });
        tokio::pin!(outward, inward);
        // The outward direction ends with the connection: after the last byte it watches whether the client is gone.
        tokio::select! {
            end = inward => end,
            end = outward => end,
        }
    };
    drop(writer);
    match end {
        End::Complete | End::Closed => local.settle().await,
        End::Local(error) => {
            tracing::debug!(client = connection.client(), %error, "a connection ended early");
        }
        End::Lost => {
            local.reset();
            connection.fail(link.why_ended());
        }
        End::Cut => {
            local.reset();
            connection.fail(format!(
                "it was cut: it has not read {} MiB that wait for it, and others share its connection to {}",
                WAITING_BYTES / 1024 / 1024,
                link.server
            ));
        }
    }
}

/// From the local end to the channel, and then until the local end is gone for good.
async fn outward(
    local: &Local,
    writer: &Writer,
    sent: impl Fn(usize),
    connection: &Connection,
) -> End {
    let Some(writer) = &writer.0 else {
        return End::Closed;
    };
    let (least, most) = READ_BYTES;
    let mut size = least;
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(size);
        let read = match local.try_read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Nothing is held while there is nothing.
                buffer = BytesMut::new();
                size = least;
                if let Err(error) = local.readable().await {
                    return End::Local(error);
                }
                continue;
            }
            Err(error) => return End::Local(error),
            Ok(0) => break,
            Ok(read) => read,
        };
        if read >= size {
            size = (size * 4).min(most);
        }
        if writer.data_bytes(buffer.split().freeze()).await.is_err() {
            // The reader hears why.
            return std::future::pending().await;
        }
        sent(read);
    }
    if writer.eof().await.is_err() {
        return std::future::pending().await;
    }
    let mut before = connection.moved();
    let moved = move || {
        let now = connection.moved();
        std::mem::replace(&mut before, now) != now
    };
    local.gone(moved, None).await;
    End::Local(io::ErrorKind::ConnectionReset.into())
}

/// From the channel to the local end.
async fn inward(
    local: &Local,
    reader: &mut ChannelReadHalf,
    place: &mut Place<'_>,
    received: impl Fn(usize),
) -> End {
    let mut waiting = Waiting::default();
    let mut end = None;
    loop {
        // What has come already is put into the same write.
        while end.is_none() && waiting.bytes < WRITE_BYTES {
            match reader.wait().now_or_never() {
                Some(message) => end = waiting.take(message),
                None => break,
            }
        }
        place.stalls(waiting.bytes >= STALLED_BYTES);
        if waiting.bytes == 0 {
            match end {
                Some(End::Complete) => {
                    local.shutdown_write();
                    return until_closed(reader).await;
                }
                Some(end) => return end,
                None => {
                    end = waiting.take(reader.wait().await);
                    continue;
                }
            }
        }
        if matches!(end, Some(End::Lost)) {
            return End::Lost;
        }
        let full = waiting.bytes >= WAITING_BYTES;
        if full && !place.is_alone() {
            return End::Cut;
        }
        let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
        let pieces = waiting.pieces(&mut pieces);
        tokio::select! {
            biased;
            written = local.write(pieces) => match written {
                Ok(written) => {
                    waiting.advance(written);
                    received(written);
                }
                Err(error) => return End::Local(error),
            },
            message = reader.wait(), if end.is_none() && !full => {
                end = waiting.take(message);
            }
            () = tokio::time::sleep(LOOK_EVERY), if full => {}
        }
    }
}

/// The far end has said all. Waits until it has closed the channel as well: it does when we have said all too, and before
/// that if it does not want to hear more.
async fn until_closed(reader: &mut ChannelReadHalf) -> End {
    loop {
        match reader.wait().await {
            Some(ChannelMsg::Close) => return End::Complete,
            Some(_) => {}
            None => return End::Lost,
        }
    }
}

/// Packets that wait for the local end.
#[derive(Default)]
struct Waiting {
    packets: VecDeque<Bytes>,
    bytes: usize,
}

impl Waiting {
    /// Takes in a message; an end if it is one.
    fn take(&mut self, message: Option<ChannelMsg>) -> Option<End> {
        match message {
            Some(ChannelMsg::Data { data }) => {
                self.bytes += data.len();
                if !data.is_empty() {
                    self.packets.push_back(data);
                }
                None
            }
            Some(ChannelMsg::Eof) => Some(End::Complete),
            Some(ChannelMsg::Close) => Some(End::Closed),
            Some(_) => None,
            None => Some(End::Lost),
        }
    }

    fn pieces<'a, 'b>(&'a self, pieces: &'b mut [IoSlice<'a>; WRITE_PIECES]) -> &'b [IoSlice<'a>] {
        let mut count = 0;
        for (piece, packet) in pieces.iter_mut().zip(&self.packets) {
            *piece = IoSlice::new(packet);
            count += 1;
        }
        &pieces[..count]
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written.min(self.bytes);
        while let Some(packet) = self.packets.front_mut() {
            if written < packet.len() {
                packet.advance(written);
                return;
            }
            written -= packet.len();
            self.packets.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(bytes: &'static [u8]) -> ChannelMsg {
        ChannelMsg::Data {
            data: Bytes::from_static(bytes),
        }
    }

    #[test]
    fn what_waits_is_written_in_its_order_however_much_is_taken() {
        let mut waiting = Waiting::default();
        for bytes in [&b"abc"[..], b"", b"de"] {
            assert!(waiting.take(Some(packet(bytes))).is_none());
        }
        waiting.advance(2);
        let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
        let left: Vec<&[u8]> = waiting
            .pieces(&mut pieces)
            .iter()
            .map(|piece| &**piece)
            .collect();
        assert_eq!(left, [&b"c"[..], b"de"]);
        waiting.advance(3);
        assert_eq!((waiting.bytes, waiting.packets.len()), (0, 0));
    }

    #[test]
    fn an_end_is_told_from_a_loss() {
        let mut waiting = Waiting::default();
        assert!(matches!(
            waiting.take(Some(ChannelMsg::Eof)),
            Some(End::Complete)
        ));
        assert!(matches!(
            waiting.take(Some(ChannelMsg::Close)),
            Some(End::Closed)
        ));
        assert!(matches!(waiting.take(None), Some(End::Lost)));
    }
}
