//! What a forward is to the rest of the executable: how far it is, what it has counted, whom it tells, and when it ends.
//!
//! A kind of forward gets a [`Scope`] and tells it what becomes of its tunnel. Everything that it starts it starts
//! through [`Scope::spawn`], so that closing the forward ends it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use monday_shared::duration::Span;
use monday_shared::protocol::fwd::{Event, ForwardStatus, Kind, Phase, Step};
use monday_shared::rpc::hub::Hub;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::Connection;

/// How long a forward says nothing more about connections that failed after it has said something about one.
const QUIET_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How far a forward is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Its tunnel is being made for the first time.
    #[default]
    Connecting,
    /// Its tunnel is there.
    Up,
    /// Its tunnel is away and is being made again.
    Lost {
        /// Why.
        why: String,
        /// When it is tried again.
        next_try: Option<Instant>,
    },
    /// It cannot work.
    Failed {
        /// Why.
        why: String,
    },
}

impl State {
    fn phase(&self) -> Phase {
        match self {
            Self::Connecting => Phase::Connecting,
            Self::Up => Phase::Up,
            Self::Lost { .. } => Phase::Lost,
            Self::Failed { .. } => Phase::Failed,
        }
    }
}

/// The counters of a forward, for as long as there is a forward of that id.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) active: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) up: AtomicU64,
    pub(crate) down: AtomicU64,
}

/// The handle of one forward. Clones are the same forward.
#[derive(Clone, Debug)]
pub(crate) struct Scope(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    kind: Kind,
    target: String,
    state: watch::Sender<State>,
    told: Mutex<Told>,
    stats: Arc<Stats>,
    hub: Hub<Event>,
    runtime: Handle,
    end: CancellationToken,
    tasks: TaskTracker,
}

/// What is known of a forward besides its state.
#[derive(Debug, Default)]
struct Told {
    listen: String,
    via: Option<String>,
    last_error: Option<String>,
    warnings: Vec<String>,
    last_failure: Option<Instant>,
    step: Option<Step>,
}

/// What a scope is made of.
pub(crate) struct Parts {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) listen: String,
    pub(crate) target: String,
    pub(crate) stats: Arc<Stats>,
    pub(crate) hub: Hub<Event>,
    pub(crate) runtime: Handle,
}

impl Scope {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            id: parts.id,
            kind: parts.kind,
            target: parts.target,
            state: watch::Sender::default(),
            told: Mutex::new(Told {
                listen: parts.listen,
                ..Told::default()
            }),
            stats: parts.stats,
            hub: parts.hub,
            runtime: parts.runtime,
            end: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }))
    }

    /// What the forward is known by.
    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }

    /// Its counters.
    pub(crate) fn stats(&self) -> &Arc<Stats> {
        &self.0.stats
    }

    /// Runs something of the forward, on its thread, until it is done or the forward is closed.
    pub(crate) fn spawn<F>(&self, task: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let end = self.0.end.clone();
        self.0
            .tasks
            .spawn_on(
                async move {
                    end.run_until_cancelled(task).await;
                },
                &self.0.runtime,
            )
            .abort_handle()
    }

    /// The tunnel is there, through this host or pod.
    pub(crate) fn up(&self, via: impl Into<String>) {
        let mut told = self.told();
        let via = Some(via.into());
        let moved = std::mem::replace(&mut told.via, via.clone()) != via;
        told.last_error = None;
        drop(told);
        if self.0.state.send_replace(State::Up) != State::Up || moved {
            self.0.hub.publish(Event::Up(self.status()));
        }
    }

    /// The tunnel is away, or could not be made yet.
    pub(crate) fn lost(&self, why: impl Into<String>, next_try: Duration) {
        self.away(why.into(), Some(next_try));
    }

    /// The tunnel is away, and will be there as soon as what it leads to is.
    pub(crate) fn waits(&self, why: impl Into<String>) {
        self.away(why.into(), None);
    }

    /// Has the tunnel ever been there?
    pub(crate) fn has_been_up(&self) -> bool {
        self.told().via.is_some()
    }

    /// The same again is not told twice.
    fn away(&self, why: String, next_try: Option<Duration>) {
        let at = next_try.and_then(|span| Instant::now().checked_add(span));
        let mut same = false;
        self.0.state.send_if_modified(|state| {
            if let State::Lost {
                why: before,
                next_try,
            } = state
                && *before == why
            {
                same = true;
                *next_try = at;
            }
            false
        });
        if same {
            return;
        }
        self.told().last_error = Some(why.clone());
        self.0.state.send_replace(State::Lost {
            why: why.clone(),
            next_try: at,
        });
        self.0.hub.publish(Event::Lost {
            id: self.0.id.clone(),
            why,
            next_try: next_try.map(whole_millis),
        });
    }

    /// The forward cannot work and nothing more is tried.
    pub(crate) fn failed(&self, why: impl Into<String>) {
        let why = why.into();
        self.told().last_error = Some(why.clone());
        self.0
            .state
            .send_replace(State::Failed { why: why.clone() });
        self.0.hub.publish(Event::Failed {
            id: self.0.id.clone(),
            why,
        });
    }

    /// Something is not honoured. It is told once.
    pub(crate) fn warn(&self, message: impl Into<String>) {
        let message = message.into();
        let mut told = self.told();
        if told.warnings.contains(&message) {
            return;
        }
        told.warnings.push(message.clone());
        drop(told);
        self.0.hub.publish(Event::Warning {
            id: self.0.id.clone(),
            message,
        });
    }

    /// It is a step further with what it changes in a cluster.
    pub(crate) fn step(&self, step: Step, message: impl Into<String>) {
        self.told().step = Some(step);
        self.0.hub.publish(Event::Step {
            id: self.0.id.clone(),
            step,
            message: message.into(),
        });
    }

    /// The thread that it lives on.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// It listens there: for the remote types, whose port may be chosen at the other end.
    pub(crate) fn listens(&self, listen: impl Into<String>) {
        self.told().listen = listen.into();
    }

    /// How far it is, and every change of that.
    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.0.state.subscribe()
    }

    /// Waits until the tunnel is there.
    ///
    /// # Errors
    /// Why not: the forward has failed, or it was not there in time.
    pub(crate) async fn until_up(&self, wait: Duration) -> Result<(), String> {
        let mut state = self.state();
        let settled = state.wait_for(|state| matches!(state, State::Up | State::Failed { .. }));
        match tokio::time::timeout(wait, settled)
            .await
            .map(|settled| settled.map(|state| state.clone()))
        {
            Ok(Ok(State::Failed { why })) => Err(why),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err("the forward is being closed".to_owned()),
            Err(_) => {
                let why = match &*self.0.state.borrow() {
                    State::Lost { why, .. } => why.clone(),
                    _ => "it is still being made".to_owned(),
                };
                Err(format!(
                    "the tunnel was not there within {}: {why}",
                    Span(wait)
                ))
            }
        }
    }

    /// A connection begins.
    pub(crate) fn connection(&self, client: String) -> Connection {
        Connection::begin(self.clone(), client)
    }

    /// The listener cannot accept for now.
    pub(crate) fn cannot_accept(&self, error: &io::Error) {
        let error = error.to_string();
        if self.note_failure(&error, Instant::now()) {
            self.0.hub.publish(Event::AcceptFailed {
                id: self.0.id.clone(),
                error,
            });
        }
    }

    /// Notes that a connection failed, and returns whether it is to be told.
    pub(crate) fn note_failure(&self, error: &str, now: Instant) -> bool {
        let mut told = self.told();
        told.last_error = Some(error.to_owned());
        let news = told
            .last_failure
            .is_none_or(|last| now.duration_since(last) >= QUIET_AFTER_FAILURE);
        if news {
            told.last_failure = Some(now);
        }
        news
    }

    /// Tells everybody.
    pub(crate) fn publish(&self, event: Event) {
        self.0.hub.publish(event);
    }

    /// The forward as it really is.
    pub(crate) fn status(&self) -> ForwardStatus {
        let state = self.0.state.borrow().clone();
        let told = self.told();
        let counted = &self.0.stats;
        ForwardStatus {
            id: self.0.id.clone(),
            kind: self.0.kind,
            phase: state.phase(),
            step: told.step,
            listen: told.listen.clone(),
            target: self.0.target.clone(),
            via: told.via.clone(),
            active: counted.active.load(Ordering::Relaxed),
            accepted: counted.accepted.load(Ordering::Relaxed),
            failed: counted.failed.load(Ordering::Relaxed),
            bytes_up: counted.up.load(Ordering::Relaxed),
            bytes_down: counted.down.load(Ordering::Relaxed),
            last_error: told.last_error.clone(),
            next_try: match state {
                State::Lost { next_try, .. } => {
                    let left = |at: Instant| at.saturating_duration_since(Instant::now());
                    next_try.map(left).map(whole_millis)
                }
                _ => None,
            },
            warnings: told.warnings.clone(),
        }
    }

    /// Ends everything that the forward has started, and waits for it at most so long.
    pub(crate) async fn end(&self, within: Duration) {
        self.0.end.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(within, self.0.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                forward = self.0.id,
                "something of a closed forward has not ended yet"
            );
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Nothing panics while it holds the lock, and if it did the texts would still be good.
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole milliseconds read better, and nobody needs more.
fn whole_millis(span: Duration) -> Span {
    Span::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope::new(Parts {
            id: "db".to_owned(),
            kind: Kind::Ssh,
            listen: "127.0.0.1:1".to_owned(),
            target: "127.0.0.1:2".to_owned(),
            stats: Arc::default(),
            hub: Hub::new(),
            runtime: Handle::current(),
        })
    }

    #[tokio::test]
    async fn whoever_waits_for_the_tunnel_is_told_when_it_is_there_or_why_it_is_not() {
        let scope = scope();
        scope.lost("no route", Duration::from_secs(3));
        let why = scope.until_up(Duration::from_millis(5)).await.unwrap_err();
        assert_eq!(why, "the tunnel was not there within 5ms: no route");
        let waiting = tokio::spawn({
            let scope = scope.clone();
            async move { scope.until_up(Duration::from_secs(10)).await }
        });
        tokio::task::yield_now().await;
        scope.up("db.example.com");
        assert_eq!(waiting.await.unwrap(), Ok(()));
        scope.failed("refused");
        assert_eq!(
            scope.until_up(Duration::from_secs(10)).await,
            Err("refused".to_owned())
        );
    }

    #[tokio::test]
    async fn the_next_try_is_that_of_the_last_failure_even_if_it_is_not_told_again() {
        let scope = scope();
        scope.lost("no route", Duration::from_millis(1));
        scope.lost("no route", Duration::from_secs(100));
        let next_try = scope.status().next_try.unwrap();
        assert!(next_try.0 > Duration::from_secs(10), "{next_try}");
    }

    #[tokio::test]
    async fn closing_a_forward_ends_what_it_has_started() {
        let scope = scope();
        let task = scope.spawn(std::future::pending());
        scope.end(Duration::from_secs(10)).await;
        assert!(task.is_finished());
    }

    #[tokio::test]
    async fn failures_in_quick_succession_are_told_once() {
        let (scope, now) = (scope(), Instant::now());
        assert!(scope.note_failure("one", now));
        assert!(!scope.note_failure("two", now + QUIET_AFTER_FAILURE / 2));
        assert_eq!(scope.status().last_error.as_deref(), Some("two"));
        assert!(scope.note_failure("three", now + QUIET_AFTER_FAILURE));
    }
}
