//! Sessions to one pod: used by one connection at a time, and kept for the next.
//!
//! A session that comes back is proven before it is used again; one that cannot be is closed. A spare one is kept ready
//! for a pod that new connections go to, so that a connection costs one round trip.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::spdy::session::Session;
use super::transport::{DialError, Kind, Link, PodName, dial};

/// Sessions to one pod at most. Connections beyond that wait for one of them. Each is a TLS connection to the API
/// server and from there on to the node.
const MAX_SESSIONS: usize = 256;

/// Sessions that are made at the same time. Many connections at once need few sessions if they are short, and a session
/// is made of two TLS handshakes: those that come back are quicker than those that are still being made.
const MAX_DIALS: usize = 8;

/// A session that has not answered its PINGs by then is not used again. They take 0.5 to 1 ms. Later answers prove
/// nothing: a PING overtakes the data that waits for a slow worker.
const PROOF_WITHIN: Duration = Duration::from_millis(500);

/// How long such a session stays open: a slow pod may still be reading what was sent to it.
const DRAIN_WITHIN: Duration = Duration::from_secs(60);

/// How often unused sessions are looked after. Load balancers drop connections that are idle for minutes.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// An unused session that does not answer for so long is dead.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How long a session beyond the spare one may be unused.
const IDLE_AT_MOST: Duration = Duration::from_secs(150);

/// A clock on the wall that is so far ahead of the one that counts says that the machine slept.
const SLEPT: Duration = Duration::from_secs(5);

/// A session that somebody uses.
#[derive(Debug)]
pub(crate) struct Leased {
    pub(crate) session: Box<Session>,
    permit: OwnedSemaphorePermit,
}

/// What a connection gets.
#[derive(Debug)]
pub(crate) enum Lease {
    /// A session.
    Session(Leased),
    /// The server needs a websocket per connection.
    PerConnection,
}

type Waiter = oneshot::Sender<Result<Lease, DialError>>;

#[derive(Debug)]
struct Idle {
    leased: Leased,
    since: Instant,
}

#[derive(Debug, Default)]
struct State {
    /// The one that was used last is the last.
    idle: Vec<Idle>,
    waiters: VecDeque<Waiter>,
    dialling: usize,
    /// New connections go to this pod.
    warm: bool,
    per_connection: bool,
    closed: bool,
}

/// The sessions to one pod.
pub(crate) struct Pool {
    cluster: Arc<Cluster>,
    pod: PodName,
    forced: Option<Kind>,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
    /// Ends what runs in the background.
    end: CancellationToken,
}

impl Pool {
    /// None yet.
    pub(crate) fn new(cluster: Arc<Cluster>, pod: PodName, forced: Option<Kind>) -> Arc<Self> {
        let pool = Arc::new(Self {
            cluster,
            pod,
            forced,
            permits: Arc::new(Semaphore::new(MAX_SESSIONS)),
            state: Mutex::default(),
            end: CancellationToken::new(),
        });
        let looking = Arc::clone(&pool);
        tokio::spawn(async move {
            let end = looking.end.clone();
            end.run_until_cancelled(looking.look_after()).await;
        });
        pool
    }

    /// The pod.
    pub(crate) fn pod(&self) -> &PodName {
        &self.pod
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; and if, the state is whole between any two lines.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a spare session ready from now on, or none at all any more.
    pub(crate) fn keep_warm(self: &Arc<Self>, warm: bool) {
        let mut state = self.lock();
        state.warm = warm;
        if warm {
            self.warm_up(&mut state);
        } else {
            state.idle.clear();
        }
    }

    /// Closes what is unused, and what is used as soon as it is not any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.warm = false;
        state.idle.clear();
        state.waiters.clear();
        self.end.cancel();
    }

    /// Waits until it is closed: its pod is gone.
    pub(crate) async fn closed(&self) {
        self.end.cancelled().await;
    }

    /// A session for one connection: an unused one, else whichever is free or connected first.
    ///
    /// # Errors
    /// [`DialError`]; `None` if the pool was closed.
    pub(crate) async fn lease(self: &Arc<Self>) -> Option<Result<Lease, DialError>> {
        let waiting = {
            let mut state = self.lock();
            if state.closed {
                return None;
            }
            if state.per_connection {
                return Some(Ok(Lease::PerConnection));
            }
            while let Some(mut idle) = state.idle.pop() {
                if idle.leased.session.is_alive() {
                    self.warm_up(&mut state);
                    return Some(Ok(Lease::Session(idle.leased)));
                }
            }
            let (waiter, waiting) = oneshot::channel();
            state.waiters.push_back(waiter);
            self.dial_for_waiters(&mut state);
            waiting
        };
        waiting.await.ok()
    }

    /// Lets the next connection find out again how the pod is reached.
    pub(crate) fn forget_the_way(&self) {
        self.lock().per_connection = false;
    }

    /// Takes a session back that a connection is done with.
    pub(crate) fn give_back(self: &Arc<Self>, mut leased: Leased) {
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let drained_by = Instant::now() + DRAIN_WITHIN;
            let mut first = true;
            while Instant::now() < drained_by {
                let began = Instant::now();
                let left = drained_by.saturating_duration_since(began);
                if !matches!(timeout(left, leased.session.prove()).await, Ok(Ok(()))) {
                    return;
                }
                if began.elapsed() <= PROOF_WITHIN {
                    if first {
                        pool.put(leased);
                    }
                    return;
                }
                first = false;
                tracing::debug!(pod = %pool.pod, "a session is slow to answer, and is not used again");
                sleep(PROOF_WITHIN).await;
            }
        });
    }

    /// Has a proven session for whoever needs one.
    fn put(self: &Arc<Self>, leased: Leased) {
        if !leased.session.is_reusable() {
            return;
        }
        let mut state = self.lock();
        let mut lease = Lease::Session(leased);
        while let Some(waiter) = state.waiters.pop_front() {
            match waiter.send(Ok(lease)) {
                Err(Ok(back)) => lease = back,
                Ok(()) | Err(Err(_)) => return,
            }
        }
        if let Lease::Session(leased) = lease
            && state.warm
        {
            state.idle.push(Idle {
                leased,
                since: Instant::now(),
            });
        }
    }

    /// Sees to it that there is a spare session.
    fn warm_up(self: &Arc<Self>, state: &mut State) {
        let wanted = state.warm && !state.closed && !state.per_connection;
        if wanted && state.idle.is_empty() && state.dialling == 0 {
            self.start_dial(state);
        }
    }

    /// Sees to it that sessions are being made for those who wait for one.
    fn dial_for_waiters(self: &Arc<Self>, state: &mut State) {
        state.waiters.retain(|waiter| !waiter.is_closed());
        while state.dialling < state.waiters.len().min(MAX_DIALS) {
            self.start_dial(state);
        }
    }

    fn start_dial(self: &Arc<Self>, state: &mut State) {
        state.dialling += 1;
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let end = pool.end.clone();
            end.run_until_cancelled(pool.connect()).await;
        });
    }

    async fn connect(self: &Arc<Self>) {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return;
        };
        let needed = {
            let mut state = self.lock();
            state.waiters.retain(|waiter| !waiter.is_closed());
            let needed = !state.waiters.is_empty() || (state.warm && state.idle.is_empty());
            if !needed {
                state.dialling -= 1;
            }
            needed
        };
        if !needed {
            return;
        }
        let dialled = dial(&self.cluster, &self.pod, self.forced).await;
        self.lock().dialling -= 1;
        match dialled {
            Ok(Link::Session(session)) => self.put(Leased { session, permit }),
            Ok(Link::PerConnection) => {
                let mut state = self.lock();
                state.per_connection = true;
                for waiter in state.waiters.drain(..) {
                    let _ = waiter.send(Ok(Lease::PerConnection));
                }
            }
            Err(error) => {
                let waiter = self.lock().waiters.pop_front();
                if let Some(waiter) = waiter {
                    let _ = waiter.send(Err(error));
                } else {
                    tracing::debug!(%error, "no spare session");
                }
            }
        }
        self.dial_for_waiters(&mut self.lock());
    }

    /// Looks after unused sessions, for ever.
    async fn look_after(self: &Arc<Self>) {
        let mut ticks = interval(LOOK_EVERY);
        let (mut wall, mut clock) = (SystemTime::now(), Instant::now());
        loop {
            ticks.tick().await;
            let on_the_wall = wall.elapsed().unwrap_or_default();
            let slept = on_the_wall.saturating_sub(clock.elapsed()) > SLEPT;
            (wall, clock) = (SystemTime::now(), Instant::now());
            let idle = std::mem::take(&mut self.lock().idle);
            let count = idle.len();
            for (place, mut idle) in idle.into_iter().enumerate() {
                let spare = place + 1 == count;
                if slept || (!spare && idle.since.elapsed() > IDLE_AT_MOST) {
                    continue;
                }
                let pool = Arc::clone(self);
                tokio::spawn(async move {
                    let proof = timeout(ANSWER_WITHIN, idle.leased.session.prove()).await;
                    if matches!(proof, Ok(Ok(()))) {
                        pool.put_back(idle);
                    } else {
                        pool.warm_up(&mut pool.lock());
                    }
                });
            }
            if count == 0 {
                let mut state = self.lock();
                self.warm_up(&mut state);
            }
        }
    }

    /// Like [`Pool::put`], but it has been unused for longer.
    fn put_back(self: &Arc<Self>, idle: Idle) {
        if self.lock().waiters.is_empty() {
            let mut state = self.lock();
            if state.warm {
                state.idle.insert(0, idle);
            }
        } else {
            self.put(idle.leased);
        }
    }
}
