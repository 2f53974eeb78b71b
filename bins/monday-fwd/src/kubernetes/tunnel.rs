//! From a local connection to a pod, and to another one if that was not there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use monday_shared::backoff::{Backoff, Policy};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::cluster::Cluster;
use super::follow::Known;
use super::pods::{self, PodFacts, Readiness};
use super::pool::{Lease, Leased, Pool};
use super::refusal::{Place, Refusal, says_undelivered};
use super::spdy::carry::{Client, Ended, HalfClose, carry};
use super::spdy::session::SessionError;
use super::transport::{DialError, Kind, PodName};
use super::v4;
use crate::connection::Connection;
use crate::listener::Tunnel;
use crate::local::Local;

/// How to go on when the API server gives no session.
pub(crate) const DIAL_AGAIN: Policy = Policy {
    first: Duration::from_millis(50),
    longest: Duration::from_secs(1),
    healthy_after: Duration::MAX,
};

/// How long a session may take, once there is a pod.
const DIAL_WITHIN: Duration = Duration::from_secs(10);

/// How often a connection is moved to another session because one was lost before its pod was connected to.
const MOVES: u32 = 5;

/// How long to wait for news of the pods after a pod has refused: that a pod is ending may be known a moment after its
/// application has ended.
const NEWS_WITHIN: Duration = Duration::from_millis(300);

/// A connection to a pod that is gone ends when not a byte went either way for so long. The node usually ends it; one
/// that was opened in the very moment in which the pod ended may be forgotten there, and would never end.
const SILENT_BEHIND_POD: Duration = Duration::from_secs(2);

/// How a forward is to behave.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) connect_wait: Duration,
    pub(crate) half_close: HalfClose,
    pub(crate) transport: Option<Kind>,
    pub(crate) readiness: Readiness,
}

/// A forward's way to its pods.
pub(crate) struct ToPods {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) manner: Manner,
    pub(crate) known: watch::Receiver<Known>,
    /// The namespace, once it is known.
    namespace: Mutex<Option<String>>,
    wished_namespace: Option<String>,
    chosen: Mutex<Option<String>>,
    pools: Mutex<HashMap<String, Arc<Pool>>>,
}

/// Why a connection ends without having been carried.
struct NotCarried {
    why: String,
    client: Local,
}

impl ToPods {
    pub(crate) fn new(
        cluster: Arc<Cluster>,
        manner: Manner,
        known: watch::Receiver<Known>,
        namespace: Option<String>,
    ) -> Self {
        Self {
            cluster,
            manner,
            known,
            namespace: Mutex::new(namespace.clone()),
            wished_namespace: namespace,
            chosen: Mutex::default(),
            pools: Mutex::default(),
        }
    }

    /// The pod that new connections go to is this one from now on.
    pub(crate) fn choose(&self, uid: Option<String>) {
        *lock(&self.chosen) = uid;
    }

    /// The pod that new connections go to.
    pub(crate) fn chosen(&self) -> Option<String> {
        lock(&self.chosen).clone()
    }

    /// The sessions to a pod.
    pub(crate) async fn pool(&self, pod: &PodFacts) -> Result<Arc<Pool>, DialError> {
        if let Some(pool) = lock(&self.pools).get(&pod.uid) {
            return Ok(Arc::clone(pool));
        }
        let namespace = match &self.wished_namespace {
            Some(namespace) => namespace.clone(),
            None => self.cluster.access().await?.default_namespace.clone(),
        };
        *lock(&self.namespace) = Some(namespace.clone());
        let mut pools = lock(&self.pools);
        let pool = pools.entry(pod.uid.clone()).or_insert_with(|| {
            let name = PodName {
                namespace,
                name: pod.name.clone(),
            };
            Pool::new(Arc::clone(&self.cluster), name, self.manner.transport)
        });
        Ok(Arc::clone(pool))
    }

    /// Keeps sessions ready for the chosen pod and the next one only, and none for those that are gone.
    pub(crate) fn tidy(&self, list: &[PodFacts], next: Option<&PodFacts>) {
        let chosen = self.chosen();
        lock(&self.pools).retain(|uid, pool| {
            let there = list.iter().any(|pod| pod.uid == *uid);
            if !there {
                pool.close();
            } else if chosen.as_ref() != Some(uid) && next.is_none_or(|next| next.uid != *uid) {
                pool.keep_warm(false);
            }
            there
        });
    }

    /// Where it is, for messages.
    pub(crate) async fn place(&self) -> Place {
        let access = self.cluster.access().await.ok();
        let namespace = lock(&self.namespace).clone();
        Place {
            namespace: namespace
                .or_else(|| Some(access.as_ref()?.default_namespace.clone()))
                .unwrap_or_default(),
            context: access.as_ref().and_then(|access| access.context.clone()),
            server: access.map_or_else(String::new, |access| access.server.clone()),
        }
    }

    /// The pod for a connection, which is waited for: until the deadline, or if a pod was `refused` already, only while
    /// pods come or go.
    async fn pick(
        &self,
        tried: &mut Vec<String>,
        refused: Option<&str>,
        deadline: Instant,
    ) -> Result<(PodFacts, u16), String> {
        let readiness = self.manner.readiness;
        let mut known = self.known.clone();
        let news_until = Instant::now() + NEWS_WITHIN;
        loop {
            let (why, moving) = {
                let known = known.borrow_and_update();
                // One that was away may be tried again when it is back.
                tried.retain(|uid| {
                    let mut pods = known.pods.iter();
                    pods.any(|pod| pod.uid == *uid && pod.is_eligible(readiness))
                });
                let chosen = self.chosen();
                // The chosen one, which has a session ready, even if there is a newer one by now: that is made ready first.
                let mut there = known.pods.iter();
                let pod = there
                    .find(|pod| chosen.as_ref() == Some(&pod.uid))
                    .filter(|pod| pod.is_eligible(readiness) && !tried.contains(&pod.uid))
                    .or_else(|| pods::choose(&known.pods, readiness, chosen.as_deref(), tried));
                if let (Some(pod), Some(port)) = (pod, &known.port) {
                    let port = port.of(pod)?;
                    return Ok((pod.clone(), port));
                }
                if known.given_up {
                    return Err(known
                        .trouble
                        .as_ref()
                        .map_or_else(String::new, ToString::to_string));
                }
                let moving = known.trouble.is_some()
                    || known.port.is_none()
                    || pods::is_moving(&known.pods, readiness);
                let why = match &known.trouble {
                    Some(trouble) => trouble.to_string(),
                    None => pods::why_none(&known.pods),
                };
                (why, moving)
            };
            let until = match refused {
                Some(_) if !moving => news_until.min(deadline),
                _ => deadline,
            };
            let changed = timeout_at(until, known.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                return Err(match refused {
                    Some(refused) => refused.to_owned(),
                    None => format!(
                        "there was no pod within {}: {why}",
                        monday_shared::duration::Span(self.manner.connect_wait)
                    ),
                });
            }
        }
    }

    /// Carries a client to its end.
    async fn carry_one(&self, client: Local, connection: &Connection) -> Result<(), NotCarried> {
        let deadline = Instant::now() + self.manner.connect_wait;
        let mut client = Client::new(client);
        let mut tried = Vec::new();
        let mut refused: Option<String> = None;
        let mut backoff = Backoff::new(DIAL_AGAIN);
        let mut moved = 0;
        loop {
            let (pod, port) = match self.pick(&mut tried, refused.as_deref(), deadline).await {
                Ok(picked) => picked,
                Err(why) => return Err(client.not_carried(why)),
            };
            let leased = match self.pool(&pod).await {
                Err(error) => Err(error),
                Ok(pool) => match timeout(DIAL_WITHIN, pool.lease()).await {
                    // The pod has just gone.
                    Ok(None) => continue,
                    Ok(Some(leased)) => leased.map(|lease| (pool, lease)),
                    Err(_) if Instant::now() < deadline => continue,
                    Err(_) => {
                        return Err(client.not_carried(format!(
                            "no session to pod {} in time: all of them are in use, or the API server does not answer",
                            pod.name
                        )));
                    }
                },
            };
            let (pool, lease) = match leased {
                Ok(leased) => leased,
                Err(error) => {
                    let why = self.after_failed_dial(&error, &pod, &mut tried).await;
                    let again =
                        error.is_about_the_pod() || (error.may_pass() && Instant::now() < deadline);
                    if !again {
                        return Err(client.not_carried(why));
                    }
                    if error.may_pass() {
                        sleep(backoff.failed_after(Duration::ZERO)).await;
                    } else {
                        refused = Some(why);
                    }
                    continue;
                }
            };
            let ended = match lease {
                Lease::Session(leased) => {
                    self.carry_leased(&pool, leased, port, &mut client, connection)
                        .await
                }
                Lease::PerConnection => match self.carry_v4(&pool, port, &client, connection).await
                {
                    Ok(ended) => ended,
                    Err(error) => {
                        pool.forget_the_way();
                        let why = self.after_failed_dial(&error, &pod, &mut tried).await;
                        if error.is_about_the_pod() {
                            refused = Some(why);
                            continue;
                        }
                        if error.may_pass() && Instant::now() < deadline {
                            sleep(backoff.failed_after(Duration::ZERO)).await;
                            continue;
                        }
                        return Err(client.not_carried(why));
                    }
                },
            };
            match ended {
                Ended::ByPod => {
                    client.stream.settle().await;
                    return Ok(());
                }
                Ended::ByClient => return Ok(()),
                Ended::Failed(reason) => {
                    let why = format!("port {port} of pod {}: {reason}", pod.name);
                    if !(says_undelivered(&reason) && client.can_be_repeated()) {
                        return Err(client.not_carried(why));
                    }
                    tried.push(pod.uid);
                    refused = Some(why);
                }
                Ended::Lost { error, dialled } => {
                    let again = !dialled && client.can_be_repeated() && moved < MOVES;
                    if !again {
                        let why = format!("the session to pod {} was lost: {error}", pod.name);
                        return Err(client.not_carried(why));
                    }
                    moved += 1;
                    tracing::debug!(pod = pod.name, %error, "a connection is moved to another session");
                }
            }
        }
    }

    /// Carries a client over a session of the pool, which gets it back where it may be used again.
    async fn carry_leased(
        &self,
        pool: &Arc<Pool>,
        mut leased: Leased,
        port: u16,
        client: &mut Client<Local>,
        connection: &Connection,
    ) -> Ended {
        let half_close = self.manner.half_close;
        let ended = tokio::select! {
            ended = carry(&mut leased.session, client, connection, port, half_close) => Some(ended),
            () = silent_behind(pool, connection) => None,
        };
        let ended = ended.unwrap_or_else(|| Ended::Lost {
            error: SessionError::PodGone(SILENT_BEHIND_POD),
            dialled: leased.session.pair().is_some_and(|pair| pair.replied),
        });
        if matches!(ended, Ended::Lost { .. }) {
            // Before its pair may be opened again elsewhere, it must not be opened here any more.
            drop(leased);
        } else {
            pool.give_back(leased);
        }
        ended
    }

    async fn carry_v4(
        &self,
        pool: &Pool,
        port: u16,
        client: &Client<Local>,
        connection: &Connection,
    ) -> Result<Ended, DialError> {
        let access = self.cluster.access().await?;
        let half_close = self.manner.half_close;
        let ended = v4::carry(
            &access,
            pool.pod(),
            port,
            &client.stream,
            connection,
            half_close,
        )
        .await?;
        Ok(match ended {
            v4::Ended::ByPod => Ended::ByPod,
            v4::Ended::ByClient => Ended::ByClient,
            v4::Ended::Failed(reason) => Ended::Failed(reason),
        })
    }

    async fn after_failed_dial(
        &self,
        error: &DialError,
        pod: &PodFacts,
        tried: &mut Vec<String>,
    ) -> String {
        if error.is_about_the_pod() {
            tried.push(pod.uid.clone());
        }
        Refusal::of_dial(error, &self.place().await).to_string()
    }
}

/// Waits until the pod is gone and the connection to it is silent.
async fn silent_behind(pool: &Pool, connection: &Connection) {
    pool.closed().await;
    let mut before = None;
    loop {
        let moved = Some(connection.moved());
        if std::mem::replace(&mut before, moved) == moved {
            return;
        }
        sleep(SILENT_BEHIND_POD).await;
    }
}

impl Client<Local> {
    fn not_carried(self, why: String) -> NotCarried {
        NotCarried {
            why,
            client: self.stream,
        }
    }
}

impl Tunnel for ToPods {
    async fn carry(&self, client: Local, connection: Connection) {
        if let Err(NotCarried { why, client }) = self.carry_one(client, &connection).await {
            client.reset();
            connection.fail(why);
        }
    }
}

impl Drop for ToPods {
    fn drop(&mut self) {
        for pool in lock(&self.pools).values() {
            pool.close();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one is held, and what is in them is whole between any two lines.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
