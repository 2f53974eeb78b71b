//! Is the peer that has ended its stream still there?
//!
//! A peer that has sent everything may go on reading for as long as it likes, or it has closed for good and reads
//! nothing any more: on the wire both are one FIN. A relay that takes every FIN for the first keeps sockets for ever
//! that nobody uses; one that takes it for the second loses answers. Here the kernel is asked which it is.
//!
//! Where it cannot know, because the peer is elsewhere, the answer may take its time as well, but a connection on which
//! nothing at all happens for long is given up.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::platform::{self, PeerState};
use crate::socket::Socket;

/// When to ask after the end of the stream. A peer that closes is, for a moment, still there when its FIN arrives; and
/// most connections are over on both sides before the first question, which then is saved.
const ASK_AFTER: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(50)];

/// How often to ask after that: a peer that closes later says nothing a second time.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// How long a half-closed connection may be without a byte where nobody knows whether the peer is there. Ten minutes is
/// what the usual proxies allow to an idle connection. The peer's own system answers earlier as a rule: it is probed
/// ([`PROBE_AFTER`]), and resets what it does not know any more.
const QUIET_AT_MOST: Duration = Duration::from_secs(600);

/// A system forgets a closed socket after a minute (tcp(7), `tcp_fin_timeout`), and resets a connection that it has
/// forgotten. This is when it is asked, by a keep-alive probe, and how often again.
const PROBE_AFTER: Duration = Duration::from_secs(70);

/// Watches one peer.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Our address and the peer's.
    addresses: Option<(SocketAddr, SocketAddr)>,
    asked: usize,
    seen: bool,
    quiet_since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Watch {
    /// Begins with a peer that has ended its stream.
    pub(crate) fn of(socket: &Socket) -> Self {
        Self {
            addresses: socket.addresses().ok(),
            asked: 0,
            seen: false,
            quiet_since: Instant::now(),
            timer: Box::pin(sleep(ask_after(0))),
        }
    }

    /// Is ready once the peer is gone. `moved` says that there were bytes for it since the last time.
    pub(crate) fn poll_gone(
        &mut self,
        cx: &mut Context<'_>,
        socket: &Socket,
        moved: bool,
    ) -> Poll<()> {
        if moved {
            self.quiet_since = Instant::now();
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let state = self.addresses.map_or(PeerState::Unknown, |(own, peer)| {
                platform::peer_state(own, peer)
            });
            if is_gone(state, self.seen, self.quiet_since.elapsed()) {
                return Poll::Ready(());
            }
            self.seen |= state == PeerState::Open;
            if self.asked == 1 && !self.seen {
                socket.probe_peer(PROBE_AFTER);
            }
            self.asked = self.asked.saturating_add(1);
            let next = Instant::now() + ask_after(self.asked);
            self.timer.as_mut().reset(next);
        }
        Poll::Pending
    }
}

/// How long to wait until the question that comes after so many.
fn ask_after(asked: usize) -> Duration {
    ASK_AFTER.get(asked).copied().unwrap_or(ASK_EVERY)
}

/// What an answer means, after the peer was `seen` or not, and after so long without a byte for it.
fn is_gone(state: PeerState, seen: bool, quiet: Duration) -> bool {
    match state {
        PeerState::Open => false,
        PeerState::Closed => true,
        PeerState::Missing => seen || quiet >= QUIET_AT_MOST,
        PeerState::Unknown => !seen && quiet >= QUIET_AT_MOST,
    }
}

/// How long to wait between two looks at whether a peer has everything: the first, and the longest.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Ends a connection whose other side is gone, once this peer's system has all that was written to it.
///
/// What the peer sends meanwhile is thrown away, for nobody is there to read it. A socket that is closed before that
/// resets the connection when the peer sends something, and the reset overtakes what is still on its way.
pub(crate) async fn settle(socket: Socket) {
    let (mut pause, longest) = LOOK_AGAIN;
    if let Ok((own, peer)) = socket.addresses() {
        while socket.discard() && platform::unacknowledged(own, peer).is_some_and(|left| left > 0) {
            sleep(pause).await;
            pause = (2 * pause).min(longest);
        }
    }
    socket.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_there_is_never_given_up() {
        assert!(!is_gone(PeerState::Open, true, Duration::MAX));
        assert!(!is_gone(PeerState::Unknown, true, Duration::MAX));
    }

    #[test]
    fn a_peer_that_closed_or_has_vanished_is_gone_at_once() {
        assert!(is_gone(PeerState::Closed, false, Duration::ZERO));
        assert!(is_gone(PeerState::Missing, true, Duration::ZERO));
    }

    #[test]
    fn a_peer_of_which_nothing_is_known_has_ten_quiet_minutes() {
        for state in [PeerState::Missing, PeerState::Unknown] {
            assert!(!is_gone(state, false, Duration::from_secs(599)));
            assert!(is_gone(state, false, Duration::from_secs(600)));
        }
    }

    #[test]
    fn questions_become_rare() {
        let pauses: Vec<_> = (0..4).map(|asked| ask_after(asked).as_millis()).collect();
        assert_eq!(pauses, [5, 50, 2000, 2000]);
    }
}
