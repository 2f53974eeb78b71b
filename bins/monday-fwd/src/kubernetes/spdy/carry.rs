//! A local connection and its pair of streams, from the first byte to the end.
//!
//! Both directions are one task: whatever wakes it, both get their turn.
//!
//! The container runtimes do not know half-close: one second after either direction has ended they close the other. So
//! a client that has ended its stream is not reported to the pod at once. Whether it still reads is asked
//! ([`monday_shared::half_closed`]): if it does, the answer may take its time; if it has closed for good, both streams are given up, so
//! that the pod's socket is closed and the session is free again at once.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use monday_shared::half_closed::Watch;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::session::{Session, SessionError};
use crate::connection::Connection;
use crate::local::Local;

/// How long the server may take to accept a stream. It has 30 s itself for a pair to become whole; kubectl waits as
/// long.
const REPLY_WITHIN: Duration = Duration::from_secs(30);

/// How often a Unix peer that has ended its stream is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How much of what a client said is kept until the pod has said anything, so that it can be said again to another one.
const REPLAY_BYTES: usize = 64 * 1024;

/// The local end of a connection.
pub(crate) trait Peer: AsyncRead + AsyncWrite + Send + Unpin {
    /// Its socket, if its peer can be asked about with [`Watch`].
    fn as_tcp(&self) -> Option<&TcpStream>;

    /// Has the peer closed it for good, as far as that can be seen without TCP?
    fn has_hung_up(&self) -> bool;
}

impl Peer for Local {
    fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Unix(_) => None,
        }
    }

    fn has_hung_up(&self) -> bool {
        Self::has_hung_up(self)
    }
}

/// What the pod is told when a client has ended its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HalfClose {
    /// Nothing while the client reads; a client of which nobody knows is given up after so long without a byte for it.
    Delay(Duration),
    /// That the stream has ended, as kubectl does. For runtimes that pass it on.
    Immediate,
}

/// A local connection with what has to be remembered of it if its pod turns out not to be there.
#[derive(Debug)]
pub(crate) struct Client<L> {
    pub(crate) stream: L,
    /// It sends nothing more.
    ended: bool,
    /// Everything it has said; `None` once that cannot or need not be said again.
    said: Option<Vec<u8>>,
    /// It has got bytes.
    heard: bool,
}

impl<L: Peer> Client<L> {
    /// One that was just accepted.
    pub(crate) fn new(stream: L) -> Self {
        Self {
            stream,
            ended: false,
            said: Some(Vec::new()),
            heard: false,
        }
    }

    /// May all that it has said be said again to another pod?
    pub(crate) fn can_be_repeated(&self) -> bool {
        self.said.is_some() && !self.heard
    }

    fn has_said(&mut self, bytes: &[u8]) {
        if let Some(said) = &mut self.said {
            if said.len() + bytes.len() <= REPLAY_BYTES {
                said.extend_from_slice(bytes);
            } else {
                self.said = None;
            }
        }
    }
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The pod closed the connection, and the client has all that it sent.
    ByPod,
    /// The client is gone.
    ByClient,
    /// The far end gave a reason why the connection failed.
    Failed(String),
    /// The session is over. `dialled`: the pod may have got what the client said.
    Lost {
        /// Why.
        error: SessionError,
        /// Whether the pod's port may have been connected to.
        dialled: bool,
    },
}

/// Lets a client talk to a port of the session's pod until it is over. Unless the session was lost, it can be proven and
/// used again.
pub(crate) async fn carry<L: Peer>(
    session: &mut Session,
    client: &mut Client<L>,
    connection: &Connection,
    port: u16,
    half_close: HalfClose,
) -> Ended {
    session.open(port);
    if let Some(said) = &client.said {
        session.send(said);
    }
    let mut carrying = Carrying {
        session,
        client,
        connection,
        half_close,
        begun: false,
        told_end: false,
        reply_by: Box::pin(sleep(REPLY_WITHIN)),
        watch: None,
        look: None,
    };
    let ended = poll_fn(|cx| carrying.poll(cx)).await;
    if !matches!(ended, Ended::Lost { .. }) {
        session.give_up();
    }
    ended
}

struct Carrying<'a, L> {
    session: &'a mut Session,
    client: &'a mut Client<L>,
    connection: &'a Connection,
    half_close: HalfClose,
    begun: bool,
    /// The client was told that the pod sends nothing more.
    told_end: bool,
    reply_by: Pin<Box<Sleep>>,
    watch: Option<Watch>,
    look: Option<Pin<Box<Sleep>>>,
}

impl<L: Peer> Carrying<'_, L> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let mut down = false;
        loop {
            let mut moved = false;
            // What the client says goes first: together with the streams' opening it makes one packet.
            if let Err(ended) = self.poll_up(cx, &mut moved) {
                return Poll::Ready(ended);
            }
            if let Err(ended) = self.poll_down(cx, &mut moved, &mut down) {
                return Poll::Ready(ended);
            }
            if let Some(ended) = self.poll_end(cx) {
                return Poll::Ready(ended);
            }
            if !moved {
                return self.poll_timers(cx, down);
            }
        }
    }

    /// From the client to the pod.
    fn poll_up(&mut self, cx: &mut Context<'_>, moved: &mut bool) -> Result<(), Ended> {
        if !std::mem::replace(&mut self.begun, true) {
            // The first bytes go out with the frames that open the streams.
            *moved |= self.poll_client(cx)?;
        }
        match self.session.poll_send(cx) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Err(error)) => return Err(self.lost(error)),
            Poll::Ready(Ok(())) => {}
        }
        *moved |= self.poll_client(cx)?;
        Ok(())
    }

    /// Takes what the client says; whether there was anything.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        if self.client.ended {
            return Ok(self.half_close == HalfClose::Immediate && self.session.finish());
        }
        match self.session.poll_read_from(cx, &mut self.client.stream) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(_)) => Err(Ended::ByClient),
            Poll::Ready(Ok([])) => {
                self.client.ended = true;
                Ok(true)
            }
            Poll::Ready(Ok(bytes)) => {
                self.connection.moved_up(bytes.len());
                self.client.has_said(bytes);
                Ok(true)
            }
        }
    }

    /// From the pod to the client.
    fn poll_down(
        &mut self,
        cx: &mut Context<'_>,
        moved: &mut bool,
        down: &mut bool,
    ) -> Result<(), Ended> {
        if !self.session.has_pieces() {
            match self.session.poll_receive(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(self.lost(error)),
                Poll::Ready(Ok(())) => *moved = true,
            }
        }
        while self.session.has_pieces() {
            match self.session.poll_write_to(cx, &mut self.client.stream) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => return Err(Ended::ByClient),
                Poll::Ready(Ok(written)) => {
                    self.connection.moved_down(written);
                    self.client.heard = true;
                    self.client.said = None;
                    *moved = true;
                    *down = true;
                }
            }
        }
        Ok(())
    }

    /// Is the pod done?
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Option<Ended> {
        let pair = self.session.pair()?;
        if self.session.has_pieces() || !(pair.data_ended || pair.error_ended) {
            return None;
        }
        let reason = pair.reason();
        if self.told_end || self.client.heard || (pair.error_ended && reason.is_none()) {
            // A reason that comes after the pod has ended its stream is about what it did not read.
            if pair.data_ended && !self.told_end {
                // A failure is met again, by whoever uses the socket next.
                let _ = Pin::new(&mut self.client.stream).poll_shutdown(cx);
                self.told_end = true;
            }
        }
        match reason {
            Some(reason) if pair.error_ended && !self.told_end => Some(Ended::Failed(reason)),
            _ if pair.error_ended && pair.data_ended => Some(Ended::ByPod),
            _ => None,
        }
    }

    /// What only time brings.
    fn poll_timers(&mut self, cx: &mut Context<'_>, down: bool) -> Poll<Ended> {
        if self.session.pair().is_some_and(|pair| !pair.replied)
            && self.reply_by.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(self.lost(SessionError::Silent(REPLY_WITHIN)));
        }
        if !self.client.ended {
            return Poll::Pending;
        }
        let Some(tcp) = self.client.stream.as_tcp() else {
            return self.poll_hang_up(cx);
        };
        let watch = self.watch.get_or_insert_with(|| match self.half_close {
            HalfClose::Delay(quiet) => Watch::of(tcp).quiet_at_most(quiet),
            HalfClose::Immediate => Watch::of(tcp),
        });
        watch.poll_gone(cx, tcp, down).map(|()| Ended::ByClient)
    }

    /// Looks again and again at a peer whose going away raises no event.
    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let timer = self.look.get_or_insert_with(|| Box::pin(sleep(LOOK_EVERY)));
        loop {
            if self.client.stream.has_hung_up() {
                return Poll::Ready(Ended::ByClient);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            timer.as_mut().reset(Instant::now() + LOOK_EVERY);
        }
    }

    fn lost(&self, error: SessionError) -> Ended {
        let dialled = self.session.pair().is_some_and(|pair| pair.replied);
        Ended::Lost { error, dialled }
    }
}
