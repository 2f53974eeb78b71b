//! Keeps the links of a forward: makes the first one, makes it again when it is lost, and makes more when a client stalls.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::client::Incoming;
use super::connect::{Link, Plan};
use super::course::{Clocks, Course, Next, SOONEST, TICK};
use super::error::{ConnectError, Step};
use crate::scope::Scope;

/// How many links a forward has at most. One is enough unless clients stall.
const MOST_LINKS: usize = 4;

/// How long a server may take to answer after the machine has slept.
const AWAKE_WITHIN: Duration = Duration::from_secs(5);

/// The links of a forward, for whoever opens channels.
#[derive(Clone)]
pub(super) struct Links {
    list: watch::Receiver<Vec<Arc<Link>>>,
    wanted: Arc<Wanted>,
}

/// What those who open channels ask for.
#[derive(Default)]
struct Wanted {
    /// A try before its time: somebody waits.
    sooner: Notify,
    /// One more link.
    more: Notify,
}

impl Links {
    /// The link for a new connection: of those whose clients all keep up the one with the fewest. Where there is none,
    /// one more is asked for.
    pub(super) fn best(&self) -> Option<Arc<Link>> {
        let list = self.list.borrow();
        let alive = list.iter().filter(|link| !link.heard.ended.is_cancelled());
        let best = alive
            .clone()
            .filter(|link| !link.is_stalled())
            .min_by_key(|link| link.active.load(Ordering::Relaxed));
        if best.is_some() {
            return best.cloned();
        }
        if list.len() < MOST_LINKS {
            self.wanted.more.notify_one();
            return None;
        }
        alive
            .min_by_key(|link| link.active.load(Ordering::Relaxed))
            .cloned()
    }

    /// Waits until there may be another answer.
    pub(super) async fn changed(&mut self) {
        if self.list.changed().await.is_err() {
            // The keeper is gone, and the forward with it.
            std::future::pending::<()>().await;
        }
    }

    /// Somebody waits for a tunnel that is away.
    pub(super) fn hurry(&self) {
        self.wanted.sooner.notify_one();
    }
}

/// What is done with a link once it is there, beyond keeping it.
pub(super) trait Use: Send + Sync + 'static {
    /// Prepares a link. An error makes the keeper try again, or give up if it is permanent; `again` says whether the
    /// forward has worked before.
    fn prepare(
        &self,
        link: &Arc<Link>,
        again: bool,
    ) -> impl Future<Output = Result<(), ConnectError>> + Send;

    /// Who takes connections that the server opens.
    fn incoming(&self) -> Option<mpsc::UnboundedSender<Incoming>>;
}

/// Begins to keep links.
pub(super) fn start(plan: Plan, scope: &Scope, what: Arc<impl Use>) -> Links {
    let (list, links) = watch::channel(Vec::new());
    let wanted = Arc::new(Wanted::default());
    let keeper = Keeper {
        plan,
        scope: scope.clone(),
        list,
        wanted: Arc::clone(&wanted),
        what,
        course: Course::default(),
    };
    scope.spawn(keeper.run());
    Links {
        list: links,
        wanted,
    }
}

struct Keeper<U> {
    plan: Plan,
    scope: Scope,
    list: watch::Sender<Vec<Arc<Link>>>,
    wanted: Arc<Wanted>,
    what: Arc<U>,
    course: Course,
}

impl<U: Use> Keeper<U> {
    async fn run(mut self) {
        loop {
            let tried = Instant::now();
            let link = match self.connect().await {
                Ok(link) => link,
                Err(error) => {
                    match self
                        .course
                        .failed(error.permanent, error.step == Step::Resolve)
                    {
                        Next::GiveUp => {
                            self.scope.failed(error.to_string());
                            return;
                        }
                        Next::Again(pause) => {
                            self.scope.lost(error.to_string(), pause);
                            self.pause(pause, tried).await;
                        }
                    }
                    continue;
                }
            };
            self.course.works();
            let since = Instant::now();
            self.list.send_modify(|list| list.push(Arc::clone(&link)));
            self.scope.up(&link.server);
            let why = self.until_all_ended(link).await;
            let pause = self.course.lost_after(since.elapsed());
            self.scope.lost(why, pause);
            self.pause(pause, Instant::now()).await;
        }
    }

    async fn connect(&self) -> Result<Arc<Link>, ConnectError> {
        let warn = |message| self.scope.warn(message);
        let link = Arc::new(self.plan.connect(self.what.incoming(), warn).await?);
        self.what.prepare(&link, self.course.has_worked()).await?;
        Ok(link)
    }

    /// Waits before the next try, or until somebody who waits makes it urgent, or until the machine wakes up.
    async fn pause(&mut self, pause: Duration, tried: Instant) {
        let until = Instant::now() + pause;
        let mut clocks = Clocks::now();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = sleep(left.min(TICK)) => if clocks.have_slept() {
                    self.course.forgive();
                    return;
                },
                () = self.wanted.sooner.notified() => {
                    let earliest = tried + SOONEST;
                    tokio::time::sleep_until(earliest.min(until)).await;
                    return;
                }
            }
        }
    }

    /// Keeps links until the last one has ended, and says why the first one did.
    async fn until_all_ended(&self, first: Arc<Link>) -> String {
        let mut links = vec![first];
        let mut why = None;
        let mut clocks = Clocks::now();
        loop {
            let ended = first_to_end(&links);
            tokio::select! {
                place = ended => {
                    let link = links.swap_remove(place);
                    why.get_or_insert_with(|| link.why_ended());
                    self.list.send_modify(|list| list.retain(|known| !Arc::ptr_eq(known, &link)));
                    if links.is_empty() {
                        return why.unwrap_or_default();
                    }
                }
                () = self.wanted.more.notified(), if links.len() < MOST_LINKS => {
                    let needed = links.iter().all(|link| link.is_stalled());
                    if needed {
                        match self.connect().await {
                            Ok(link) => {
                                links.push(Arc::clone(&link));
                                self.list.send_modify(|list| list.push(link));
                            }
                            Err(error) => {
                                tracing::warn!(forward = self.scope.id(), %error, "no further connection");
                                sleep(SOONEST).await;
                            }
                        }
                    }
                    // Whoever asked looks again: where there is no new link, an old one may do by now.
                    self.list.send_modify(|_| {});
                }
                () = sleep(TICK) => if clocks.have_slept() {
                    for link in &links {
                        check(link);
                    }
                }
            }
        }
    }
}

/// Waits until one of the links has ended, and says at which place it is.
fn first_to_end(links: &[Arc<Link>]) -> impl Future<Output = usize> + use<> {
    let ended = links
        .iter()
        .map(|link| Box::pin(link.heard.ended.clone().cancelled_owned()));
    let first = futures_util::future::select_all(ended);
    async move { first.await.1 }
}

/// The machine has slept: a server that does not answer now has forgotten us.
fn check(link: &Arc<Link>) {
    let link = Arc::clone(link);
    tokio::spawn(async move {
        if !matches!(
            timeout(AWAKE_WITHIN, link.handle.send_ping()).await,
            Ok(Ok(()))
        ) {
            link.heard.ended.cancel();
        }
    });
}
