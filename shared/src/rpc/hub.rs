//! Fans events out to subscribers, each at its own speed.
//!
//! State events reach every subscriber, always. Bulk events (the output of apps) come in the three ways of
//! [`Bulk`]: a lossy subscriber that is slow misses some and is told how many; a lossless one makes
//! [`Hub::publish_bulk`] wait; a third kind gets none.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use super::history::{History, Limits, Part, Past, belongs};
use crate::protocol::common::{Bulk, Subscribe};
use crate::protocol::message::Stamped;

/// What a hub needs to know of an event.
pub trait Event: Send + Sync + 'static {
    /// What the event weighs in a queue, in bytes, if it is a bulk event; `None` for a state event.
    fn bulk_bytes(&self) -> Option<usize> {
        None
    }

    /// How many things (lines) a subscriber misses when this bulk event is dropped for it.
    fn bulk_items(&self) -> u64 {
        1
    }

    /// What a bulk event is part of, if it is to be kept for readers who come late.
    fn part(&self) -> Option<Part<'_>> {
        None
    }

    /// The same event with only its last so many lines; nothing if it cannot be cut.
    fn last_lines(&self, lines: usize) -> Option<Self>
    where
        Self: Sized,
    {
        let _ = lines;
        None
    }
}

/// How many bytes of bulk events wait for one subscriber: a second of very fast output, a small part of the memory
/// of any machine.
const BULK_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// How many state events wait for one subscriber before it is given up as dead. A project changes state a few times a
/// second at most, so this is hours of not reading.
const STATE_LIMIT: usize = 100_000;

/// How long a lossless subscriber is waited for before it counts as a slow reader and is lossy from then on: a process
/// that was stopped must not stop others for good.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where events are published. Clones are the same hub.
#[derive(Debug)]
pub struct Hub<E> {
    shared: Arc<Mutex<Shared<E>>>,
}

impl<E> Clone for Hub<E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

#[derive(Debug)]
struct Shared<E> {
    seq: u64,
    queues: Vec<Weak<Queue<E>>>,
    /// What is kept for those who come late.
    history: Option<History<E>>,
}

/// What waits for one subscriber.
#[derive(Debug)]
struct Queue<E> {
    waiting: Mutex<Waiting<E>>,
    /// Something was put in, or the queue was given up.
    filled: Notify,
    /// Something was taken out, or the subscriber is gone.
    emptied: Notify,
}

#[derive(Debug)]
struct Waiting<E> {
    bulk: Bulk,
    /// Whose bulk is wanted; nothing: everybody's.
    of: Option<Vec<String>>,
    patience: Duration,
    /// What was published before the subscription began; it weighs nothing, since the history holds it as well.
    past: VecDeque<Past<E>>,
    events: VecDeque<Arc<Stamped<E>>>,
    states: usize,
    bulk_bytes: usize,
    dropped: u64,
    given_up: bool,
}

/// What a subscriber gets.
#[derive(Debug)]
pub enum Delivery<E> {
    /// An event of before the subscription.
    Past(Past<E>),
    /// An event.
    Event(Arc<Stamped<E>>),
    /// This many bulk items (lines) were dropped here, because the subscriber was too slow.
    Lagged(u64),
}

/// The receiving end. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription<E> {
    queue: Arc<Queue<E>>,
}

impl<E: Event> Default for Hub<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Event> Hub<E> {
    /// A hub that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self::keeping(None)
    }

    /// The same, keeping so much of each source for those who come late.
    #[must_use]
    pub fn with_history(limits: Limits) -> Self {
        Self::keeping(Some(History::new(limits)))
    }

    fn keeping(history: Option<History<E>>) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                seq: 0,
                queues: Vec::new(),
                history,
            })),
        }
    }

    /// The number of the last event.
    #[must_use]
    pub fn seq(&self) -> u64 {
        lock(&self.shared).seq
    }

    /// Publishes an event at once. A bulk event is dropped for subscribers whose queue is full, whatever they asked
    /// for; [`publish_bulk`](Self::publish_bulk) waits for the lossless ones first.
    pub fn publish(&self, event: E) {
        let mut shared = lock(&self.shared);
        shared.seq += 1;
        let event = Arc::new(Stamped {
            seq: shared.seq,
            event,
        });
        if let Some(history) = &mut shared.history {
            history.keep(&event, SystemTime::now());
        }
        shared.queues.retain(|queue| {
            let Some(queue) = queue.upgrade() else {
                return false;
            };
            let kept = lock(&queue.waiting).put(&event);
            queue.filled.notify_one();
            kept
        });
    }

    /// Publishes a bulk event once every lossless subscriber has room for it, or has had no room for so long that it
    /// is not waited for any more.
    pub async fn publish_bulk(&self, event: E) {
        while let Some(queue) = self.full_lossless_queue() {
            let emptied = queue.emptied.notified();
            // Asked after the waiter exists, so that no wake-up falls between.
            let Some(patience) = lock(&queue.waiting).patience_if_full() else {
                continue;
            };
            if tokio::time::timeout(patience, emptied).await.is_err() {
                lock(&queue.waiting).bulk = Bulk::Lossy;
            }
        }
        self.publish(event);
    }

    /// Begins a subscription: everything that is published from now on. Returns the number of the last event before.
    #[must_use]
    pub fn subscribe(&self, bulk: Bulk) -> (u64, Subscription<E>) {
        self.subscribe_with_patience(bulk, PATIENCE)
    }

    /// The same for a lossless subscriber that is waited for so long and not longer: then it becomes a lossy one.
    #[must_use]
    pub fn subscribe_with_patience(
        &self,
        bulk: Bulk,
        patience: Duration,
    ) -> (u64, Subscription<E>) {
        let all = Subscribe {
            bulk,
            ..Subscribe::default()
        };
        let (seq, _, subscription) = self.begin(&all, patience);
        (seq, subscription)
    }

    /// Begins a subscription as a client asked for it. Returns the number of the last event before, and of how many
    /// events of before the history consists that it begins with.
    #[must_use]
    pub fn subscribe_as(&self, wanted: &Subscribe) -> (u64, usize, Subscription<E>) {
        self.begin(wanted, PATIENCE)
    }

    fn begin(&self, wanted: &Subscribe, patience: Duration) -> (u64, usize, Subscription<E>) {
        let mut shared = lock(&self.shared);
        let past = match (&shared.history, &wanted.history) {
            (Some(history), Some(much)) => history.pick(much, wanted.of.as_deref()),
            _ => VecDeque::new(),
        };
        let history = past.len();
        let queue = Arc::new(Queue {
            waiting: Mutex::new(Waiting {
                bulk: wanted.bulk,
                of: wanted.of.clone(),
                patience,
                past,
                events: VecDeque::new(),
                states: 0,
                bulk_bytes: 0,
                dropped: 0,
                given_up: false,
            }),
            filled: Notify::new(),
            emptied: Notify::new(),
        });
        shared.queues.push(Arc::downgrade(&queue));
        (shared.seq, history, Subscription { queue })
    }

    fn full_lossless_queue(&self) -> Option<Arc<Queue<E>>> {
        lock(&self.shared)
            .queues
            .iter()
            .filter_map(Weak::upgrade)
            .find(|queue| lock(&queue.waiting).patience_if_full().is_some())
    }
}

impl<E: Event> Waiting<E> {
    /// Puts the event in and returns whether the subscriber is still worth keeping.
    fn put(&mut self, event: &Arc<Stamped<E>>) -> bool {
        match event.event.bulk_bytes() {
            None => self.states += 1,
            Some(_) if self.bulk == Bulk::Skip || !self.wants(&event.event) => return true,
            Some(_) if self.bulk_bytes >= BULK_LIMIT_BYTES || self.dropped > 0 => {
                self.dropped += event.event.bulk_items();
                return true;
            }
            Some(bytes) => self.bulk_bytes += bytes,
        }
        self.events.push_back(Arc::clone(event));
        self.given_up = self.states > STATE_LIMIT;
        !self.given_up
    }

    /// Whether it is of one of those whose bulk was asked for.
    fn wants(&self, event: &E) -> bool {
        match (&self.of, event.part()) {
            (Some(of), Some(part)) => belongs(part.source, of),
            _ => true,
        }
    }

    /// What was dropped is told where it is missing: after all bulk that came before it and before all that comes
    /// later, since none is put in while the count stands. State events may overtake the count, never each other.
    fn take(&mut self) -> Option<Delivery<E>> {
        if let Some(past) = self.past.pop_front() {
            return Some(Delivery::Past(past));
        }
        if let Some(event) = self.events.pop_front() {
            match event.event.bulk_bytes() {
                None => self.states -= 1,
                Some(bytes) => self.bulk_bytes -= bytes,
            }
            return Some(Delivery::Event(event));
        }
        match std::mem::take(&mut self.dropped) {
            0 => None,
            dropped => Some(Delivery::Lagged(dropped)),
        }
    }

    /// How long to wait for room, if there is none and it has to be waited for.
    fn patience_if_full(&self) -> Option<Duration> {
        let full = self.bulk_bytes >= BULK_LIMIT_BYTES;
        (full && self.bulk == Bulk::Lossless && !self.given_up).then_some(self.patience)
    }
}

impl<E: Event> Subscription<E> {
    /// The next event; `None` when the subscriber was given up because it let too many pile up. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Delivery<E>> {
        loop {
            if let Some(delivery) = self.try_next() {
                return Some(delivery);
            }
            if lock(&self.queue.waiting).given_up {
                return None;
            }
            // What is put in after the look above has left its permit here.
            self.queue.filled.notified().await;
        }
    }

    /// The next event if one waits.
    pub fn try_next(&mut self) -> Option<Delivery<E>> {
        let delivery = lock(&self.queue.waiting).take();
        if delivery.is_some() {
            self.queue.emptied.notify_waiters();
        }
        delivery
    }
}

impl<E> Drop for Subscription<E> {
    fn drop(&mut self) {
        // A publisher that waits for room must not wait for one that is gone.
        let mut waiting = lock(&self.queue.waiting);
        waiting.given_up = true;
        drop(waiting);
        self.queue.emptied.notify_waiters();
    }
}

/// A panic while the lock was held cannot leave these few fields half changed in a way that matters more than going on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Sample {
        State(u32),
        Text(usize),
    }

    impl Event for Sample {
        fn bulk_bytes(&self) -> Option<usize> {
            match self {
                Self::State(_) => None,
                Self::Text(bytes) => Some(*bytes),
            }
        }
    }

    fn drain(subscription: &mut Subscription<Sample>) -> (Vec<u64>, u64) {
        let (mut seqs, mut lagged) = (Vec::new(), 0);
        while let Some(delivery) = subscription.try_next() {
            match delivery {
                Delivery::Event(event) => seqs.push(event.seq),
                Delivery::Lagged(dropped) => lagged += dropped,
                Delivery::Past(_) => panic!("no history was asked for"),
            }
        }
        (seqs, lagged)
    }

    #[test]
    fn every_subscriber_gets_every_state_event_with_rising_numbers() {
        let hub = Hub::new();
        hub.publish(Sample::State(0));
        let (seq, mut first) = hub.subscribe(Bulk::Lossy);
        let (_, mut second) = hub.subscribe(Bulk::Skip);
        hub.publish(Sample::State(1));
        hub.publish(Sample::Text(10));
        hub.publish(Sample::State(2));
        assert_eq!(seq, 1);
        assert_eq!(drain(&mut first), (vec![2, 3, 4], 0));
        assert_eq!(drain(&mut second), (vec![2, 4], 0));
    }

    #[test]
    fn a_slow_lossy_subscriber_misses_bulk_with_a_count_and_no_state() {
        let hub = Hub::new();
        let (_, mut slow) = hub.subscribe(Bulk::Lossy);
        for _ in 0..10 {
            hub.publish(Sample::Text(BULK_LIMIT_BYTES / 4));
            hub.publish(Sample::State(0));
        }
        let (seqs, lagged) = drain(&mut slow);
        assert_eq!(lagged, 6);
        assert_eq!(seqs.len(), 4 + 10);
        hub.publish(Sample::Text(1));
        assert_eq!(drain(&mut slow), (vec![21], 0), "it starts afresh");
    }

    #[tokio::test]
    async fn a_lossless_subscriber_makes_the_publisher_wait_and_misses_nothing() {
        let hub = Hub::new();
        let (_, mut reader) = hub.subscribe(Bulk::Lossless);
        let publisher = tokio::spawn({
            let hub = hub.clone();
            async move {
                for _ in 0..100 {
                    hub.publish_bulk(Sample::Text(BULK_LIMIT_BYTES / 2)).await;
                }
            }
        });
        for seq in 1..=100 {
            match reader.next().await.unwrap() {
                Delivery::Event(event) => assert_eq!(event.seq, seq),
                other => panic!("a lossless subscriber lost something: {other:?}"),
            }
            assert!(lock(&reader.queue.waiting).bulk_bytes <= BULK_LIMIT_BYTES * 3 / 2);
        }
        publisher.await.unwrap();
    }

    #[tokio::test]
    async fn a_lossless_subscriber_that_goes_away_frees_the_publisher() {
        let hub = Hub::new();
        let (_, reader) = hub.subscribe(Bulk::Lossless);
        hub.publish_bulk(Sample::Text(BULK_LIMIT_BYTES)).await;
        let publisher = tokio::spawn({
            let hub = hub.clone();
            async move { hub.publish_bulk(Sample::Text(1)).await }
        });
        tokio::task::yield_now().await;
        assert!(!publisher.is_finished());
        drop(reader);
        publisher.await.unwrap();
    }

    #[tokio::test]
    async fn a_lossless_subscriber_that_stalls_for_too_long_is_lossy_from_then_on() {
        let hub = Hub::new();
        let (_, mut stalled) =
            hub.subscribe_with_patience(Bulk::Lossless, Duration::from_millis(1));
        for _ in 0..5 {
            hub.publish_bulk(Sample::Text(BULK_LIMIT_BYTES)).await;
        }
        assert_eq!(drain(&mut stalled), (vec![1], 4));
    }

    #[test]
    fn a_subscriber_that_never_reads_is_given_up_at_last() {
        let hub = Hub::new();
        let (_, reader) = hub.subscribe(Bulk::Lossy);
        for number in 0..=u32::try_from(STATE_LIMIT).unwrap() {
            hub.publish(Sample::State(number));
        }
        assert!(lock(&hub.shared).queues.is_empty());
        drop(reader);
    }
}
