//! Is the peer that has ended its stream still there?
//!
//! A peer that has sent everything may go on reading for as long as it likes, or it has closed for good and reads
//! nothing any more: on the wire both are one FIN. A relay that takes every FIN for the first keeps sockets for ever
//! that nobody uses; one that takes it for the second loses answers. Here the kernel is asked which it is.
//!
//! Where it cannot know, because the peer is elsewhere, the answer may take its time as well, but a connection on which
//! nothing at all happens for long is given up.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{SockRef, TcpKeepalive};
use tokio::time::{Instant, Sleep, sleep};

use crate::platform::{self, PeerState};

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
pub struct Watch {
    /// Our address and the peer's.
    addresses: Option<(SocketAddr, SocketAddr)>,
    asked: usize,
    seen: bool,
    quiet_since: Instant,
    quiet_at_most: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Watch {
    /// Begins with a peer that has ended its stream.
    #[must_use]
    pub fn of(stream: &impl AsFd) -> Self {
        Self {
            addresses: addresses(stream),
            asked: 0,
            seen: false,
            quiet_since: Instant::now(),
            quiet_at_most: QUIET_AT_MOST,
            timer: Box::pin(sleep(ask_after(0))),
        }
    }

    /// How long a peer of which nothing is known may be without a byte; ten minutes if this is not called.
    #[must_use]
    pub fn quiet_at_most(mut self, quiet: Duration) -> Self {
        self.quiet_at_most = quiet;
        self
    }

    /// Is ready once the peer is gone. `moved` says that there were bytes for it since the last time.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>, stream: &impl AsFd, moved: bool) -> Poll<()> {
        if moved {
            self.quiet_since = Instant::now();
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let state = self.addresses.map_or_else(
                || other_end_state(stream),
                |(own, peer)| platform::peer_state(own, peer),
            );
            let quiet = self.quiet_since.elapsed();
            if is_gone(state, self.seen, quiet >= self.quiet_at_most) {
                return Poll::Ready(());
            }
            self.seen |= state == PeerState::Open;
            if self.asked == 1 && !self.seen {
                probe_peer(stream, PROBE_AFTER);
            }
            self.asked = self.asked.saturating_add(1);
            // Whoever may be silent for a shorter time is asked in time.
            let next = Instant::now() + ask_after(self.asked).min(self.quiet_at_most);
            self.timer.as_mut().reset(next);
        }
        Poll::Pending
    }
}

/// Our address and the peer's, over TCP.
fn addresses(stream: &impl AsFd) -> Option<(SocketAddr, SocketAddr)> {
    let socket = SockRef::from(stream);
    let own = socket.local_addr().ok()?.as_socket()?;
    Some((own, socket.peer_addr().ok()?.as_socket()?))
}

/// A Unix-domain socket hangs up once its other end is closed, and not while that has only ended its stream.
fn other_end_state(stream: &impl AsFd) -> PeerState {
    let mut asked = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
    match poll(&mut asked, PollTimeout::ZERO) {
        Ok(_) => match asked[0].revents() {
            Some(seen) if seen.contains(PollFlags::POLLHUP) => PeerState::Closed,
            _ => PeerState::Open,
        },
        Err(_) => PeerState::Unknown,
    }
}

/// Has the kernel ask the peer's system, after so long without a packet and then again and again, whether it still knows
/// the connection; the connection is reset if it does not.
fn probe_peer(stream: &impl AsFd, after: Duration) {
    let probes = TcpKeepalive::new().with_time(after).with_interval(after);
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&probes) {
        tracing::debug!(%error, "a half-closed peer is not probed");
    }
}

/// How long to wait until the question that comes after so many.
fn ask_after(asked: usize) -> Duration {
    ASK_AFTER.get(asked).copied().unwrap_or(ASK_EVERY)
}

/// What an answer means, after the peer was `seen` or not, and was `quiet` for too long or not.
fn is_gone(state: PeerState, seen: bool, quiet: bool) -> bool {
    match state {
        PeerState::Open => false,
        PeerState::Closed => true,
        PeerState::Missing => seen || quiet,
        PeerState::Unknown => !seen && quiet,
    }
}

/// How long to wait between two looks at whether a peer has everything: the first, and the longest.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Ends a connection whose other side is gone, once this peer's system has all that was written to it.
///
/// What the peer sends meanwhile is thrown away, for nobody is there to read it. A socket that is closed before that
/// resets the connection when the peer sends something, and the reset overtakes what is still on its way. `discard` reads
/// what has arrived and returns whether more may come.
pub async fn settle(stream: &impl AsFd, discard: impl Fn() -> bool) {
    let (mut pause, longest) = LOOK_AGAIN;
    if let Some((own, peer)) = addresses(stream) {
        while discard() && platform::unacknowledged(own, peer).is_some_and(|left| left > 0) {
            sleep(pause).await;
            pause = (2 * pause).min(longest);
        }
    }
    discard();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_there_is_never_given_up() {
        assert!(!is_gone(PeerState::Open, true, true));
        assert!(!is_gone(PeerState::Unknown, true, true));
    }

    #[test]
    fn a_peer_that_closed_or_has_vanished_is_gone_at_once() {
        assert!(is_gone(PeerState::Closed, false, false));
        assert!(is_gone(PeerState::Missing, true, false));
    }

    #[test]
    fn a_peer_of_which_nothing_is_known_may_be_quiet_for_a_while() {
        for state in [PeerState::Missing, PeerState::Unknown] {
            assert!(!is_gone(state, false, false));
            assert!(is_gone(state, false, true));
        }
    }

    #[test]
    fn questions_become_rare() {
        let pauses: Vec<_> = (0..4).map(|asked| ask_after(asked).as_millis()).collect();
        assert_eq!(pauses, [5, 50, 2000, 2000]);
    }
}
