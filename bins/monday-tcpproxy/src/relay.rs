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
//! | is gone while there are bytes for it | gets what was sent to it before, then is closed |

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};

use crate::direction::{Direction, End, Means};
use crate::orders::{Orders, to_be_cut};
use crate::pipe_pool::PipePool;
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
    /// A side was gone before it had everything; the other was told as gently as it could be.
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
        }
    }
}

/// Counts the bytes that were delivered.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// From the client to the target.
    pub(crate) up: AtomicU64,
    /// From the target to the client.
    pub(crate) down: AtomicU64,
}

/// Relays until the connection is over, and ends it on both sides.
pub(crate) async fn relay(
    client: Socket,
    target: Socket,
    pipes: &Arc<PipePool>,
    traffic: &Traffic,
    (orders, generation): (&Orders, u64),
) -> Outcome {
    let mut up = Half::new(pipes, &traffic.up);
    let mut down = Half::new(pipes, &traffic.down);
    let outcome = loop {
        let order = orders.look_up(generation);
        if order.cut {
            break Outcome::Cut;
        }
        let relayed = std::future::poll_fn(|cx| {
            up.poll(cx, &client, &target);
            down.poll(cx, &target, &client);
            if let Some(outcome) = verdict(&mut up.end, &mut down.end) {
                return Poll::Ready(outcome);
            }
            if up.poll_source_gone(cx, &client, &mut down) {
                return Poll::Ready(Outcome::Departed(Side::Client));
            }
            if down.poll_source_gone(cx, &target, &mut up) {
                return Poll::Ready(Outcome::Departed(Side::Target));
            }
            Poll::Pending
        });
        if let Some(outcome) = order.news.run_until_cancelled(relayed).await {
            break outcome;
        }
    };
    let cut = || Box::pin(to_be_cut(orders, generation));
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
        Outcome::Abandoned(_) => settle_unless(cut(), [Some(client), Some(target)]).await,
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
    outcome
}

/// Ends connections gently, unless they are to be cut meanwhile.
async fn settle_unless(cut: impl Future<Output = ()>, sockets: [Option<Socket>; 2]) {
    // Boxed, so that no connection carries it along until then.
    let settling = Box::pin(async {
        for socket in sockets.into_iter().flatten() {
            half_closed::settle(&socket, || socket.discard()).await;
        }
    });
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
}

impl<'a> Half<'a> {
    fn new(pipes: &'a Arc<PipePool>, relayed: &'a AtomicU64) -> Self {
        Self {
            direction: Direction::new(pipes),
            means: Means { pipes, relayed },
            end: None,
            watch: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, source: &Socket, sink: &Socket) {
        if self.end.is_none()
            && let Poll::Ready(end) = self.direction.poll(cx, source, sink, self.means)
        {
            self.end = Some(end);
        }
    }

    /// Whether the source, having ended its stream, turns out to be gone; `back` is the direction that leads to it.
    fn poll_source_gone(&mut self, cx: &mut Context<'_>, source: &Socket, back: &mut Self) -> bool {
        if !matches!(self.end, Some(End::Complete)) || back.end.is_some() {
            return false;
        }
        let watch = self
            .watch
            .get_or_insert_with(|| Box::new(Watch::of(source)));
        let moved = back.direction.has_moved();
        watch.poll_gone(cx, source, moved).is_ready()
    }
}

/// What the ends of the two directions, as far as they are known, mean for the connection. `None`: it goes on.
///
/// A direction whose sink is gone does not end the other one: its source is the same dead socket, but the kernel still
/// hands out what that peer sent before it went, and then says how it went.
fn verdict(up: &mut Option<End>, down: &mut Option<End>) -> Option<Outcome> {
    match (up.take(), down.take()) {
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
        assert!(reset_by(verdict(&mut gone(), &mut gone())).is_some());
    }
}
