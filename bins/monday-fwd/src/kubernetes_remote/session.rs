//! The course of one session, from the wish to the state of before.

use std::sync::Arc;
use std::time::Duration;

use monday_shared::backoff::{Backoff, Policy};
use monday_shared::protocol::fwd::Step;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::journal::Journal;
use super::live::{Live, Over};
use super::prepare::{Refused, prepare};
use super::take::{NotTaken, Taken, go_on, take};
use super::undo::{Undone, undo_until};
use super::watcher;
use super::{KubernetesRemoteWish, Surroundings};
use crate::kubernetes::cluster::Cluster;
use crate::scope::Scope;

/// How tries follow each other while the API server does not answer.
const AGAIN: Policy = Policy {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(5),
    healthy_after: Duration::MAX,
};

/// How often the object may change between the look at it and its change.
const TRIES: u32 = 5;

/// How long it is tried to put the cluster back: alone, and below a supervisor, which does not wait for longer. Then the
/// watcher goes on.
const RESTORE_WITHIN: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(4)];

/// How long the end waits until the pods are replaced.
const DRAIN_WITHIN: Duration = Duration::from_secs(60);

/// A session that runs.
#[derive(Debug)]
pub(crate) struct Course {
    end: CancellationToken,
    done: JoinHandle<Result<(), String>>,
}

impl Course {
    /// Ends it, and waits until everything is as it was.
    ///
    /// # Errors
    /// Why it could not be put back.
    pub(crate) async fn end(self) -> Result<(), String> {
        self.end.cancel();
        match self.done.await {
            Ok(done) => done,
            Err(error) => Err(format!("it ended badly: {error}")),
        }
    }
}

/// Begins one. It is not ended with the forward's scope: what it has changed has to be put back first.
pub(super) fn start(
    wish: KubernetesRemoteWish,
    scope: &Scope,
    surroundings: Surroundings,
) -> Course {
    let end = CancellationToken::new();
    let session = Session {
        wish,
        scope: scope.clone(),
        surroundings,
        end: end.clone(),
    };
    let done = scope.runtime().spawn(session.run());
    Course { end, done }
}

struct Session {
    wish: KubernetesRemoteWish,
    scope: Scope,
    surroundings: Surroundings,
    end: CancellationToken,
}

impl Session {
    async fn run(self) -> Result<(), String> {
        let journal = match Journal::own() {
            Ok(journal) => journal,
            Err(error) => {
                self.scope.failed(error.to_string());
                return Ok(());
            }
        };
        let Some(taken) = self.begin(&journal).await else {
            return Ok(());
        };
        let (ports, way) = (self.wish.ports.clone(), self.wish.transport);
        let mut live = Live::start(&self.scope, &taken, ports, way);
        let over = live.run(&self.end).await;
        match over {
            Over::Asked => {
                let undone = self.put_back(&taken, &journal).await?;
                if self.surroundings.may_wait && undone != Undone::Nothing {
                    self.scope.step(
                        Step::Restored,
                        format!(
                            "{} is as it was; waiting until its pods are replaced (once more: do not wait)",
                            taken.entry.object
                        ),
                    );
                    let hurry = self.surroundings.hurry.cancelled();
                    tokio::select! {
                        _ = timeout(DRAIN_WITHIN, live.drain()) => {}
                        () = hurry => {}
                    }
                }
                Ok(())
            }
            Over::Hopeless(why) => {
                drop(live);
                match self.put_back(&taken, &journal).await {
                    Ok(_) => self.scope.failed(format!("{why}; it was put back")),
                    Err(error) => {
                        self.scope.failed(format!("{why}; and {error}"));
                        return Err(error);
                    }
                }
                Ok(())
            }
            Over::Replaced(why) => {
                let put_back = self.put_back(&taken, &journal).await;
                self.scope.waits(format!(
                    "{why}; until its pods are there the others lead here"
                ));
                tokio::select! {
                    _ = timeout(DRAIN_WITHIN, live.drain()) => {}
                    () = self.end.cancelled() => {}
                }
                self.scope.failed(why);
                put_back.map(drop)
            }
            Over::Gone(why) => {
                drop(live);
                // Whatever stands in for its pods goes with it.
                let put_back = self.put_back(&taken, &journal).await;
                self.scope.failed(why);
                put_back.map(drop)
            }
        }
    }

    /// Until the cluster is changed; nothing if it was not.
    async fn begin(&self, journal: &Journal) -> Option<Taken> {
        let cluster = Arc::new(Cluster::new(self.wish.cluster.clone()));
        let mut backoff = Backoff::new(AGAIN);
        let mut outdated = 0;
        self.scope
            .step(Step::Checking, format!("{}: checking", self.wish.listen()));
        if let Err(error) = watcher::keep(&self.surroundings) {
            self.scope.failed(format!(
                "cannot start the process that puts the cluster back if this one is killed: {error}; nothing was changed"
            ));
            return None;
        }
        loop {
            let refused = match self.try_to_begin(&cluster, journal).await? {
                Ok(taken) => return Some(taken),
                Err(NotTaken::Outdated) if outdated < TRIES => {
                    outdated += 1;
                    continue;
                }
                Err(NotTaken::Outdated) => Refused::Final(format!(
                    "{} was changed by others each time it was to be changed; nothing of ours is in it",
                    self.wish.listen()
                )),
                Err(NotTaken::Refused(refused)) => refused,
            };
            match refused {
                Refused::Final(why) => {
                    self.scope.failed(why);
                    return None;
                }
                Refused::ForNow(why) => {
                    let pause = backoff.failed_after(Duration::ZERO);
                    self.scope.lost(why, pause);
                    self.end.run_until_cancelled(sleep(pause)).await?;
                }
            }
        }
    }

    /// One try. Nothing: it was asked to end before anything was changed.
    async fn try_to_begin(
        &self,
        cluster: &Arc<Cluster>,
        journal: &Journal,
    ) -> Option<Result<Taken, NotTaken>> {
        let spec = &self.wish.spec;
        let preparing = prepare(&self.scope, cluster, spec, journal);
        let mut found = match self.end.run_until_cancelled(preparing).await? {
            Ok(found) => found,
            Err(refused) => return Some(Err(refused.into())),
        };
        // From here on it is not broken off: what is begun is finished, and put back.
        Some(match found.goes_on.take() {
            Some((entry, lock)) => {
                let taken = go_on(found, entry, lock, journal, &self.surroundings).await;
                taken.inspect(|taken| {
                    self.scope.step(
                        Step::TakenOver,
                        format!("session {} goes on", taken.entry.id),
                    );
                })
            }
            None => take(found, &self.scope, spec, journal, &self.surroundings).await,
        })
    }

    async fn put_back(&self, taken: &Taken, journal: &Journal) -> Result<Undone, String> {
        let (entry, objects) = (&taken.entry, &taken.objects);
        let name = &entry.object;
        self.scope
            .step(Step::Restoring, format!("putting {name} back"));
        let within = RESTORE_WITHIN[usize::from(self.surroundings.supervisor.is_some())];
        let until = Instant::now() + within;
        match undo_until(objects, name, Some(&entry.id), until).await {
            Ok(undone) => {
                journal.remove(&entry.id);
                let message = match undone {
                    Undone::Restored => format!("{name} is as it was"),
                    Undone::KeptTheirs => {
                        format!("{name} is as somebody else has deployed it meanwhile")
                    }
                    Undone::Nothing => format!("{name} has nothing of this session"),
                };
                self.scope.step(Step::Restored, message);
                Ok(undone)
            }
            Err(error) => Err(format!(
                "{name} ({}) COULD NOT BE PUT BACK: {error}; it is tried again for a minute, and by the next start of monday-fwd or monday-supervisor; `monday-fwd restore` tries it now, and by hand it is: {}",
                objects.place, taken.by_hand
            )),
        }
    }
}
