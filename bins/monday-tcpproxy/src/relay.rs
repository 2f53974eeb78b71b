//! A connection through the proxy, both directions, from the first byte to the end.
//!
//! The two directions are one task: whatever wakes it, both get their turn. How the connection ends on one side is
//! how it is made to end on the other:
//!
//! | one side | the other side |
//! |---|---|
//! | ends its stream (half-close) | is told, and may go on sending as long as it likes |
//! | has closed for good | gets all that was sent to it, then is closed |
//! | resets the connection | is reset |
//! | is gone while there are bytes for it | gets what was sent to it before, then is closed, or reset if that side has reset |
//!
//! A direction with [faults](crate::faults) goes through a [`Shaper`] for as long as it has them.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Duration;

use monday_shared::protocol::fault::FaultEnding;
use tokio::time::{Instant, Sleep, sleep};

use crate::chance::Chance;
use crate::direction::{Direction, End, Means};
use crate::faults::{Fault, Subject, Way, effects};
use crate::orders::{Orders, to_be_cut};
use crate::pipe_pool::PipePool;
use crate::shaper::Shaper;
use crate::socket::Socket;
use monday_shared::half_closed::{self, Watch};

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that connected to us.
    Client,
    /// The one that we connected to.
    Target,
}

/// How a relayed connection ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Both sides ended their streams.
    Finished,
    /// A side has ended its stream and closed for good; the other one got everything.
    Departed(Side),
    /// A side was gone before it had everything; the other got all that it had sent, and then was told.
    Abandoned(io::Error),
    /// A side reset the connection, and so was the other.
    Reset {
        /// The side that did.
        by: Side,
        /// What was heard of it.
        error: io::Error,
    },
    /// It was cut from here: both sides were reset.
    Cut,
    /// Not a byte went either way for too long.
    Idle,
    /// A fault ended it.
    Fault {
        /// How.
        ending: FaultEnding,
        /// What was written arrives before that.
        deliver: bool,
    },
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Target => "target",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => write!(f, "finished"),
            Self::Departed(side) => write!(f, "closed by the {side}"),
            Self::Abandoned(error) => write!(f, "a side went away early: {error}"),
            Self::Reset { by, error } => {
                write!(f, "reset by the {by}: {error}")
            }
            Self::Cut => write!(f, "cut"),
            Self::Idle => write!(f, "idle for too long"),
            Self::Fault { .. } => write!(f, "ended by a fault"),
        }
    }
}

impl Outcome {
    /// Whether the connection ended by a reset.
    pub(crate) fn is_reset(&self) -> bool {
        match self {
            Self::Reset { .. } | Self::Cut => true,
            Self::Fault { ending, .. } => *ending == FaultEnding::Reset,
            Self::Abandoned(error) => error.kind() == io::ErrorKind::ConnectionReset,
            _ => false,
        }
    }
}

/// What is the matter with a connection, besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) orders: &'a Orders,
    pub(crate) generation: u64,
    pub(crate) subject: Subject<'a>,
    /// How long it may be without a byte.
    pub(crate) idle_timeout: Option<Duration>,
    /// How long a half-closed one may be without a byte where nobody knows whether its peer is there.
    pub(crate) half_close_linger: Option<Duration>,
}

/// Counts the bytes that were delivered.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// From the client to the target.
    pub(crate) up: AtomicU64,
    /// From the target to the client.
    pub(crate) down: AtomicU64,
}

/// Relays until the connection is over; [`end`] is what is left to do then.
pub(crate) async fn relay(
    client: &Socket,
    target: &Socket,
    pipes: &Arc<PipePool>,
    traffic: &Traffic,
    terms: &Terms<'_>,
) -> (Outcome, [u64; 2]) {
    let orders = terms.orders;
    let mut up = Half::new(pipes, &traffic.up, terms);
    let mut down = Half::new(pipes, &traffic.down, terms);
    let mut idle = terms.idle_timeout.map(|limit| Box::new(Idle::new(limit)));
    let outcome = loop {
        let order = orders.look_up(terms.generation);
        if order.cut {
            break Outcome::Cut;
        }
        up.obey(&order.faults, terms.subject, Way::Up);
        down.obey(&order.faults, terms.subject, Way::Down);
        let relayed = std::future::poll_fn(|cx| {
            if order.is_old(orders) {
                // What was ordered before a byte came holds for that byte. The news is looked at next.
                return Poll::Pending;
            }
            up.poll(cx, client, target, down.sink_was_reset());
            down.poll(cx, target, client, up.sink_was_reset());
            if let Some(outcome) = verdict(&mut up.end, &mut down.end) {
                return Poll::Ready(outcome);
            }
            if up.poll_source_gone(cx, client, &mut down) {
                return Poll::Ready(Outcome::Departed(Side::Client));
            }
            if down.poll_source_gone(cx, target, &mut up) {
                return Poll::Ready(Outcome::Departed(Side::Target));
            }
            if let Some(idle) = &mut idle
                && idle
                    .poll(cx, up.moves().wrapping_add(down.moves()))
                    .is_ready()
            {
                return Poll::Ready(Outcome::Idle);
            }
            Poll::Pending
        });
        if let Some(outcome) = order.news.run_until_cancelled(relayed).await {
            break outcome;
        }
    };
    let written = [up.written(), down.written()];
    (outcome, written)
}

/// Ends both sides as the outcome asks for.
pub(crate) async fn end(client: Socket, target: Socket, outcome: &Outcome, terms: &Terms<'_>) {
    let cut = || to_be_cut(terms.orders, terms.generation);
    match outcome {
        // Both have read the other's end, so closing is all that is left to do, and dropping does it.
        Outcome::Finished => {}
        Outcome::Departed(Side::Client) => {
            drop(client);
            settle_unless(cut(), [Some(target), None]).await;
        }
        Outcome::Departed(Side::Target) => {
            drop(target);
            settle_unless(cut(), [Some(client), None]).await;
        }
        Outcome::Fault {
            ending: FaultEnding::Reset,
            deliver,
        } => {
            if *deliver {
                delivered([&client, &target]).await;
            }
            client.reset();
            target.reset();
        }
        Outcome::Abandoned(_) if outcome.is_reset() => {
            delivered([&client, &target]).await;
            client.reset();
            target.reset();
        }
        Outcome::Abandoned(_)
        | Outcome::Idle
        | Outcome::Fault {
            ending: FaultEnding::Close,
            ..
        } => settle_unless(cut(), [Some(client), Some(target)]).await,
        Outcome::Reset {
            by: Side::Client, ..
        } => target.reset(),
        Outcome::Reset {
            by: Side::Target, ..
        } => client.reset(),
        Outcome::Cut => {
            client.reset();
            target.reset();
        }
    }
}

/// How long a reset that is to come after what was written waits for that to arrive at most.
const DELIVERED_WITHIN: Duration = Duration::from_secs(2);

/// Waits until the peers' systems have what was written.
async fn delivered(sockets: [&Socket; 2]) {
    let deadline = Instant::now() + DELIVERED_WITHIN;
    let on_its_way = |socket: &&Socket| socket.unacknowledged().is_some_and(|left| left > 0);
    while sockets.iter().any(on_its_way) && Instant::now() < deadline {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Looks whether anything moves.
struct Idle {
    limit: Duration,
    moves: u32,
    timer: Pin<Box<Sleep>>,
    since: Instant,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            moves: 0,
            timer: Box::pin(sleep(limit)),
            since: Instant::now(),
        }
    }

    /// Is ready once nothing has moved for too long.
    fn poll(&mut self, cx: &mut Context<'_>, moves: u32) -> Poll<()> {
        if moves != self.moves {
            self.moves = moves;
            self.since = Instant::now();
        }
        // The timer is not moved with every byte: it looks again when it fires.
        while self.timer.as_mut().poll(cx).is_ready() {
            if self.since.elapsed() >= self.limit {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.since + self.limit);
        }
        Poll::Pending
    }
}

/// Ends connections gently, unless they are to be cut meanwhile.
async fn settle_unless(cut: impl Future<Output = ()>, sockets: [Option<Socket>; 2]) {
    let settling = async {
        for socket in sockets.into_iter().flatten() {
            half_closed::settle(&socket, || socket.discard()).await;
        }
    };
    tokio::select! {
        () = settling => {}
        () = cut => {}
    }
}

/// A direction, what it uses, and how it ended once it has.
struct Half<'a> {
    direction: Direction,
    means: Means<'a>,
    end: Option<End>,
    /// Watches the source once the direction is complete and the other one is not.
    watch: Option<Box<Watch>>,
    linger: Option<Duration>,
    /// What had moved when the other direction's watch asked last.
    seen_moves: u32,
    /// While it has faults.
    shaper: Option<Box<Shaper>>,
    /// What former shapers have moved, and written.
    past_moves: u32,
    past_written: u64,
}

impl<'a> Half<'a> {
    fn new(pipes: &'a Arc<PipePool>, relayed: &'a AtomicU64, terms: &Terms<'_>) -> Self {
        Self {
            linger: terms.half_close_linger,
            seen_moves: 0,
            shaper: None,
            past_moves: 0,
            past_written: 0,
            direction: Direction::new(pipes),
            means: Means { pipes, relayed },
            end: None,
            watch: None,
        }
    }

    /// Whether it was found out by writing that the peer of the sink has reset the connection.
    fn sink_was_reset(&self) -> bool {
        self.end.as_ref().is_some_and(End::is_reset_of_sink)
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &Socket,
        sink: &Socket,
        source_was_reset: bool,
    ) {
        if self.shaper.is_some() {
            self.poll_shaper(cx, source, sink);
        }
        if self.end.is_none()
            && self.shaper.is_none()
            && let Poll::Ready(end) =
                self.direction
                    .poll(cx, source, sink, self.means, source_was_reset)
        {
            self.end = Some(end);
        }
    }

    /// Moves bytes through the shaper.
    fn poll_shaper(&mut self, cx: &mut Context<'_>, source: &Socket, sink: &Socket) {
        let Some(shaper) = &mut self.shaper else {
            return;
        };
        if shaper.owes_the_end() {
            // The sink may be gone by now, which ends the other direction.
            let _ = sink.shutdown_write();
            self.drop_shaper();
            return;
        }
        if self.end.is_some() {
            return;
        }
        match shaper.poll(cx, source, sink, self.means.relayed) {
            Poll::Ready(end) => self.end = Some(end),
            Poll::Pending if shaper.is_done() => self.drop_shaper(),
            Poll::Pending => {}
        }
    }

    fn drop_shaper(&mut self) {
        if let Some(shaper) = self.shaper.take() {
            self.past_moves = self.past_moves.wrapping_add(shaper.moves);
            self.past_written += shaper.written;
        }
    }

    /// Has these faults from now on.
    fn obey(&mut self, faults: &[Arc<Fault>], subject: Subject<'_>, way: Way) {
        let effects = effects(faults, subject, way);
        match (&mut self.shaper, effects) {
            (Some(shaper), effects) => shaper.change(effects),
            (None, Some(_)) if self.end.is_some() => {}
            (None, Some(effects)) => {
                let name = match way {
                    Way::Up => "up",
                    Way::Down => "down",
                };
                let chance = Chance::of(subject.seed, &[subject.route, name], subject.number);
                let before = self.direction.hand_over();
                self.shaper = Some(Box::new(Shaper::new(effects, chance, before)));
            }
            (None, None) => {}
        }
    }

    /// How often bytes were read.
    fn moves(&self) -> u32 {
        let shaped = self.shaper.as_ref().map_or(0, |shaper| shaper.moves);
        self.direction
            .moves
            .wrapping_add(shaped)
            .wrapping_add(self.past_moves)
    }

    /// How many bytes were written.
    fn written(&self) -> u64 {
        let shaped = self.shaper.as_ref().map_or(0, |shaper| shaper.written);
        self.direction.written + shaped + self.past_written
    }

    /// Whether the source, having ended its stream, turns out to be gone; `back` is the direction that leads to it.
    fn poll_source_gone(&mut self, cx: &mut Context<'_>, source: &Socket, back: &mut Self) -> bool {
        if !matches!(self.end, Some(End::Complete)) || back.end.is_some() {
            return false;
        }
        let watch = self.watch.get_or_insert_with(|| {
            let watch = Watch::of(source);
            Box::new(match self.linger {
                Some(linger) => watch.quiet_at_most(linger),
                None => watch,
            })
        });
        let now = back.moves();
        let moved = std::mem::replace(&mut back.seen_moves, now) != now;
        watch.poll_gone(cx, source, moved).is_ready()
    }
}

/// What the ends of the two directions, as far as they are known, mean for the connection. `None`: it goes on.
///
/// A direction whose sink is gone does not end the other one: its source is the same dead socket, but the kernel still
/// hands out what that peer sent before it went, and then says how it went.
fn verdict(up: &mut Option<End>, down: &mut Option<End>) -> Option<Outcome> {
    match (up.take(), down.take()) {
        (Some(End::Fault { ending, deliver }), _) | (_, Some(End::Fault { ending, deliver })) => {
            Some(Outcome::Fault { ending, deliver })
        }
        (Some(End::SourceFailed(error)), Some(End::SinkFailed(_)))
        | (Some(End::SinkFailed(_)), Some(End::SourceFailed(error))) => {
            Some(Outcome::Abandoned(error))
        }
        (Some(End::SourceFailed(error)), _) => Some(Outcome::Reset {
            by: Side::Client,
            error,
        }),
        (_, Some(End::SourceFailed(error)))
        | (Some(End::SinkFailed(error)), Some(End::SinkFailed(_))) => Some(Outcome::Reset {
            by: Side::Target,
            error,
        }),
        (Some(End::SinkFailed(error)), Some(End::Complete))
        | (Some(End::Complete), Some(End::SinkFailed(error))) => Some(Outcome::Abandoned(error)),
        (Some(End::Complete), Some(End::Complete)) => Some(Outcome::Finished),
        (one, other) => {
            (*up, *down) = (one, other);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> io::Error {
        io::ErrorKind::ConnectionReset.into()
    }

    #[test]
    fn a_connection_goes_on_until_both_directions_have_ended() {
        assert!(verdict(&mut None, &mut None).is_none());
        let mut up = Some(End::Complete);
        assert!(verdict(&mut up, &mut None).is_none());
        assert!(up.is_some(), "an end is not forgotten");
        assert!(matches!(
            verdict(&mut up, &mut Some(End::Complete)),
            Some(Outcome::Finished)
        ));
    }

    fn reset_by(outcome: Option<Outcome>) -> Option<Side> {
        match outcome {
            Some(Outcome::Reset { by, .. }) => Some(by),
            _ => None,
        }
    }

    #[test]
    fn a_reset_ends_both_directions_at_once() {
        let reset = || Some(End::SourceFailed(error()));
        let complete = || Some(End::Complete);
        assert_eq!(
            reset_by(verdict(&mut reset(), &mut None)),
            Some(Side::Client)
        );
        assert_eq!(
            reset_by(verdict(&mut None, &mut reset())),
            Some(Side::Target)
        );
        assert_eq!(
            reset_by(verdict(&mut complete(), &mut reset())),
            Some(Side::Target)
        );
        assert_eq!(
            reset_by(verdict(&mut reset(), &mut complete())),
            Some(Side::Client)
        );
    }

    #[test]
    fn what_a_dead_peer_had_sent_is_delivered_before_the_connection_ends() {
        let gone = || Some(End::SinkFailed(error()));
        assert!(verdict(&mut gone(), &mut None).is_none());
        assert!(matches!(
            verdict(&mut gone(), &mut Some(End::Complete)),
            Some(Outcome::Abandoned(_))
        ));
        assert!(matches!(
            verdict(&mut gone(), &mut Some(End::SourceFailed(error()))),
            Some(Outcome::Abandoned(error)) if error.kind() == io::ErrorKind::ConnectionReset
        ));
        assert!(reset_by(verdict(&mut gone(), &mut gone())).is_some());
    }
}
