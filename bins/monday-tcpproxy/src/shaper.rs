//! A direction with faults: late, slow, in pieces, spoilt, or not at all.
//!
//! While a direction has faults its bytes come through here, by way of the scratch buffer, and wait in a queue until
//! their time has come. Once it has none any more, what waits goes out at once, and the direction moves bytes by itself
//! again.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use crate::chance::Chance;
use crate::direction::{End, TURN_BYTES, count, yield_turn};
use crate::faults::Effects;
use crate::scratch;
use crate::socket::Socket;

/// How many bytes may wait in a direction. Latency limits the throughput to this much in its time: 40 MiB a second at
/// 100 ms.
const MOST_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// A slow direction moves what it may in this time at once: short enough that it looks steady.
const RATE_STEP: Duration = Duration::from_millis(10);

/// One direction's queue.
#[derive(Debug)]
pub(crate) struct Shaper {
    /// `None`: there are no faults any more; what waits is let out.
    effects: Option<Effects>,
    chance: Chance,
    waiting: VecDeque<Chunk>,
    waiting_bytes: usize,
    /// When the next piece may go out.
    next_piece: Instant,
    /// How many bytes were taken in since there is the limit that there is.
    taken: u64,
    /// How many bytes are left alone before the next one is changed.
    until_corrupt: u64,
    end: SourceEnd,
    timer: Pin<Box<Sleep>>,
    /// How often bytes were read, and how many of them were written.
    pub(crate) moves: u32,
    pub(crate) written: u64,
}

#[derive(Debug)]
struct Chunk {
    due: Instant,
    bytes: Box<[u8]>,
    written: usize,
}

/// How far the end of the stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SourceEnd {
    NotYet,
    /// It has come, and is passed on then.
    Due(Instant),
    /// It was not passed on.
    Swallowed,
}

impl Shaper {
    pub(crate) fn new(effects: Effects, chance: Chance, (held, at_end): (Vec<u8>, bool)) -> Self {
        let now = Instant::now();
        let mut shaper = Self {
            effects: None,
            chance,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            next_piece: now,
            taken: 0,
            until_corrupt: 0,
            end: SourceEnd::NotYet,
            timer: Box::pin(sleep_until(now.into())),
            moves: 0,
            written: 0,
        };
        shaper.change(Some(effects));
        // What was read before there were faults is not theirs any more.
        if !held.is_empty() {
            shaper.waiting_bytes = held.len();
            shaper.waiting.push_back(Chunk {
                due: now,
                bytes: held.into(),
                written: 0,
            });
        }
        if at_end {
            shaper.end = SourceEnd::Due(now);
        }
        shaper
    }

    /// Other faults, or none, from now on.
    pub(crate) fn change(&mut self, effects: Option<Effects>) {
        if self.effects == effects {
            return;
        }
        let now = Instant::now();
        let limit = |effects: &Option<Effects>| effects.as_ref().and_then(|it| it.cut_bytes);
        if limit(&effects) != limit(&self.effects) {
            // It counts from its own beginning, and not from that of another fault.
            self.taken = 0;
        }
        if let Some(effects) = &effects {
            self.until_corrupt = self.chance.misses(effects.corrupt);
        }
        // What waits was delayed by what held before; it must not come later than what comes now, and with no latency
        // any more there is nothing to wait for.
        let latest = effects
            .as_ref()
            .map_or(now, |effects| now + effects.latency + effects.jitter);
        for chunk in &mut self.waiting {
            chunk.due = chunk.due.min(latest);
        }
        if let SourceEnd::Due(due) = self.end {
            self.end = SourceEnd::Due(due.min(latest));
        }
        self.next_piece = self.next_piece.min(now);
        self.effects = effects;
    }

    /// Whether nothing is left to do for it: no fault, nothing waiting, no end to be passed on.
    pub(crate) fn is_done(&self) -> bool {
        self.effects.is_none() && self.waiting.is_empty() && self.end == SourceEnd::NotYet
    }

    /// Whether the end of the stream was swallowed, and now should not have been.
    pub(crate) fn owes_the_end(&self) -> bool {
        self.end == SourceEnd::Swallowed
            && self
                .effects
                .as_ref()
                .is_none_or(|effects| !effects.swallow_end)
    }

    /// Moves bytes until there is nothing to do, until their time comes, or until it is others' turn. Pending with
    /// [`is_done`](Self::is_done): the direction goes on by itself.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &Socket,
        sink: &Socket,
        relayed: &AtomicU64,
    ) -> Poll<End> {
        let mut moved = 0;
        loop {
            let now = Instant::now();
            let cut_at = self.effects.as_ref().and_then(|effects| effects.cut_at);
            if cut_at.is_some_and(|at| at <= now) {
                return Poll::Ready(self.cut(false));
            }
            match self.write_due(now, sink, relayed) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match sink.poll_writable(cx) {
                        Poll::Ready(Ok(())) => continue,
                        Poll::Ready(Err(error)) => return Poll::Ready(End::SinkFailed(error)),
                        Poll::Pending => {}
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Poll::Ready(End::SinkFailed(error)),
            }
            if self.waiting.is_empty() {
                if self.is_at_byte_limit() {
                    return Poll::Ready(self.cut(true));
                }
                if let SourceEnd::Due(due) = self.end
                    && due <= now
                {
                    return Poll::Ready(self.pass_end_on(sink));
                }
                if self.effects.is_none() {
                    return Poll::Pending;
                }
            }
            if moved >= TURN_BYTES {
                yield_turn(cx);
                return Poll::Pending;
            }
            if self.may_read() {
                match self.read(source, sink, relayed) {
                    Ok(len) => {
                        moved += len;
                        continue;
                    }
                    Err(Stop::Nothing) => match source.poll_readable(cx) {
                        Poll::Ready(Ok(())) => continue,
                        Poll::Ready(Err(error)) => return Poll::Ready(End::SourceFailed(error)),
                        Poll::Pending => {}
                    },
                    Err(Stop::End(end)) => return Poll::Ready(end),
                }
            }
            // Whoever waits for the sink or the source is woken by it.
            let Some(at) = self.next_event(now) else {
                return Poll::Pending;
            };
            self.timer.as_mut().reset(at.into());
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn cut(&self, deliver: bool) -> End {
        let effects = self.effects.as_ref();
        End::Fault {
            ending: effects.map_or_else(Default::default, |effects| effects.ending),
            deliver,
        }
    }

    fn is_at_byte_limit(&self) -> bool {
        self.bytes_left() == Some(0)
    }

    /// How many bytes may still be taken in.
    fn bytes_left(&self) -> Option<u64> {
        let limit = self.effects.as_ref()?.cut_bytes?;
        Some(limit.saturating_sub(self.taken))
    }

    fn may_read(&self) -> bool {
        // Only what is on its way for a while has to wait in here. What is slow for another reason is slow because of
        // whoever takes it, and the source is to feel that as it does without faults.
        let room = match &self.effects {
            Some(effects) if effects.latency.is_zero() && effects.jitter.is_zero() => 1,
            _ => MOST_WAITING_BYTES,
        };
        self.end == SourceEnd::NotYet
            && self.waiting_bytes < room
            && !self.is_at_byte_limit()
            && self.effects.as_ref().is_some_and(|effects| !effects.stall)
    }

    fn pass_end_on(&mut self, sink: &Socket) -> End {
        if self
            .effects
            .as_ref()
            .is_some_and(|effects| effects.swallow_end)
        {
            self.end = SourceEnd::Swallowed;
            return End::Complete;
        }
        self.end = SourceEnd::NotYet;
        match sink.shutdown_write() {
            Ok(()) => End::Complete,
            Err(error) => End::SinkFailed(error),
        }
    }

    /// When something happens by itself next.
    fn next_event(&self, now: Instant) -> Option<Instant> {
        let head = self
            .waiting
            .front()
            .map(|chunk| chunk.due.max(self.next_piece));
        let end = match self.end {
            SourceEnd::Due(due) if self.waiting.is_empty() => Some(due),
            _ => None,
        };
        let cut = self.effects.as_ref().and_then(|effects| effects.cut_at);
        // A head that is due already waits for the sink.
        [head, end, cut]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }

    /// Writes whatever its time has come for.
    fn write_due(&mut self, now: Instant, sink: &Socket, relayed: &AtomicU64) -> io::Result<()> {
        while let Some(chunk) = self.waiting.front_mut() {
            if chunk.due > now || self.next_piece > now {
                return Ok(());
            }
            let rest = &chunk.bytes[chunk.written..];
            let piece = piece_bytes(self.effects.as_ref(), rest.len());
            let written = sink.try_write(&rest[..piece])?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.written += written as u64;
            count(relayed, written);
            chunk.written += written;
            self.waiting_bytes -= written;
            if chunk.written == chunk.bytes.len() {
                self.waiting.pop_front();
            }
            if let Some(effects) = &self.effects {
                self.next_piece = after_piece(effects, self.next_piece, now, written);
            }
        }
        Ok(())
    }

    fn read(&mut self, source: &Socket, sink: &Socket, relayed: &AtomicU64) -> Result<usize, Stop> {
        scratch::with(|buffer| {
            let room = self.bytes_left().map_or(buffer.len(), |left| {
                usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len())
            });
            match source.try_read(&mut buffer[..room]) {
                Ok(0) => {
                    self.end = SourceEnd::Due(self.due(Instant::now()));
                    Ok(0)
                }
                Ok(len) => {
                    self.take(&mut buffer[..len], sink, relayed)?;
                    Ok(len)
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => Err(Stop::Nothing),
                    io::ErrorKind::Interrupted => Ok(0),
                    _ => Err(Stop::End(End::SourceFailed(error))),
                },
            }
        })
    }

    /// Does to bytes what is to be done, and queues them, unless they may go at once.
    fn take(&mut self, bytes: &mut [u8], sink: &Socket, relayed: &AtomicU64) -> Result<(), Stop> {
        self.taken += bytes.len() as u64;
        self.moves = self.moves.wrapping_add(1);
        let Some(effects) = &self.effects else {
            return Ok(());
        };
        if effects.blackhole {
            return Ok(());
        }
        if effects.corrupt > 0.0 {
            corrupt(
                bytes,
                effects.corrupt,
                &mut self.until_corrupt,
                &mut self.chance,
            );
        }
        let at_once = effects.latency.is_zero()
            && effects.bytes_per_second.is_none()
            && effects.slice_bytes.is_none()
            && self.waiting.is_empty();
        let mut written = 0;
        while at_once && written < bytes.len() {
            match sink.try_write(&bytes[written..]) {
                Ok(now) => {
                    written += now;
                    self.written += now as u64;
                    count(relayed, now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::End(End::SinkFailed(error))),
            }
        }
        if written < bytes.len() {
            let due = self.due(Instant::now());
            self.waiting_bytes += bytes.len() - written;
            self.waiting.push_back(Chunk {
                due,
                bytes: bytes[written..].into(),
                written: 0,
            });
        }
        Ok(())
    }

    /// When what comes in now may go out: never before what came in earlier.
    fn due(&mut self, now: Instant) -> Instant {
        let Some(effects) = &self.effects else {
            return now;
        };
        let mut delay = effects.latency;
        if !effects.jitter.is_zero() {
            let swing = effects.jitter.mul_f64(2.0 * self.chance.share());
            delay = (delay + swing).saturating_sub(effects.jitter);
        }
        let due = now + delay;
        self.waiting.back().map_or(due, |last| last.due.max(due))
    }
}

/// Why reading stops.
enum Stop {
    /// There is nothing to read now.
    Nothing,
    /// The direction has ended.
    End(End),
}

/// How much goes out at once.
fn piece_bytes(effects: Option<&Effects>, waiting: usize) -> usize {
    let Some(effects) = effects else {
        return waiting;
    };
    let step = effects.bytes_per_second.map_or(usize::MAX, |rate| {
        let bytes = u128::from(rate) * RATE_STEP.as_millis() / 1000;
        usize::try_from(bytes.max(1)).unwrap_or(usize::MAX)
    });
    waiting
        .min(step)
        .min(effects.slice_bytes.unwrap_or(usize::MAX))
}

/// When the next piece may go out, after one of that size. `planned` is when this one might have gone.
fn after_piece(effects: &Effects, planned: Instant, now: Instant, bytes: usize) -> Instant {
    let mut next = planned;
    if let Some(rate) = effects.bytes_per_second {
        #[allow(
            clippy::cast_precision_loss,
            reason = "a piece is small and a rate need not be exact"
        )]
        let time = Duration::from_secs_f64(bytes as f64 / rate as f64);
        // What was not sent in time is not made up for, beyond what a timer may be late.
        next = planned.max(now.checked_sub(RATE_STEP).unwrap_or(now)) + time;
    }
    if effects.slice_bytes.is_some() {
        next = next.max(now + effects.slice_delay);
    }
    next
}

/// Changes a share of the bytes.
fn corrupt(bytes: &mut [u8], share: f64, until_next: &mut u64, chance: &mut Chance) {
    let mut at = 0_usize;
    loop {
        let left = (bytes.len() - at) as u64;
        if *until_next >= left {
            *until_next -= left;
            return;
        }
        at += usize::try_from(*until_next).unwrap_or(usize::MAX);
        // Never by zero, which would leave it as it was.
        bytes[at] ^= 1 + (chance.next() % 255) as u8;
        at += 1;
        *until_next = chance.misses(share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_goes_out_in_steady_steps() {
        let effects = Effects {
            bytes_per_second: Some(100_000),
            ..Effects::default()
        };
        assert_eq!(piece_bytes(Some(&effects), 1 << 20), 1000);
        let now = Instant::now();
        let next = after_piece(&effects, now, now, 1000);
        assert_eq!(next - now, Duration::from_millis(10));
        let late = now + Duration::from_secs(5);
        assert_eq!(after_piece(&effects, now, late, 1000), late);
    }

    #[test]
    fn as_many_bytes_are_spoilt_as_was_asked_for_however_they_come() {
        let mut chance = Chance::of(1, &["x"], 0);
        let mut bytes = vec![0_u8; 100_000];
        let mut until = chance.misses(0.01);
        for part in bytes.chunks_mut(77) {
            corrupt(part, 0.01, &mut until, &mut chance);
        }
        let spoilt = bytes.iter().filter(|byte| **byte != 0).count();
        assert!((850..1150).contains(&spoilt), "{spoilt}");
        let mut all = vec![0_u8; 100];
        corrupt(&mut all, 1.0, &mut 0, &mut chance);
        assert!(all.iter().all(|byte| *byte != 0));
    }
}
