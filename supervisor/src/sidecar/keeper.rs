//! Keeps one sidecar alive: starts it, tells it the current wish, and when it dies starts it again and tells it again.
//!
//! [`Keeper`] is the task, [`Sidecar`] the handle. Whoever uses the handle never sees a restart: a call that a death
//! interrupted is made again to the next process, which is safe because every operation is idempotent.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use monday_shared::backoff::{Backoff, Policy};
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::method::Call;
use monday_shared::protocol::supervisor::{Level, SidecarStatus};
use monday_shared::rpc::client::{Client, ClientError, Events, Received};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::launch::{Ended, Launch, Process};
use super::nursery::Nursery;
use super::wish::Wish;
use crate::escalate::facts::{is_the_helper, trial};
use crate::state::State;

/// How many events wait for whoever handles them before the sidecar's own queue takes over.
const EVENTS_AHEAD: usize = 16;

/// How long a sidecar may take to clean up at the end before it is killed.
const END_GRACE: Duration = Duration::from_secs(5);

/// How to ask again for what was refused after a restart: whoever took a port meanwhile may give it back at any moment.
const ASK_AGAIN: Policy = Policy {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(5),
    healthy_after: Duration::MAX,
};

/// What the keeper tells the owner of the sidecar.
#[derive(Debug)]
pub enum News<E> {
    /// The sidecar told something.
    Event(E),
    /// This many lines were lost on the way.
    Lagged(u64),
    /// The sidecar died. All that it had going is gone with it; it is being started again.
    Died,
    /// A new sidecar refused this piece of the wish, for this reason; it is asked again.
    Refused(String, String),
    /// It has granted that piece after all.
    Granted(String),
}

/// The handle of a kept sidecar. `W` is the call that carries the whole wish.
#[derive(Debug)]
pub struct Sidecar<W> {
    label: String,
    wish: watch::Sender<Option<W>>,
    client: watch::Receiver<Option<Client>>,
    relaunch: mpsc::Sender<Relaunch>,
    /// Whether it was root, and is not any more.
    lost_root: Arc<AtomicBool>,
    /// Cancelled to end it.
    end: CancellationToken,
    /// Cancelled when it has ended.
    ended: CancellationToken,
}

/// It is to be started in another way from now on.
struct Relaunch {
    launch: Launch,
    /// Told when the old one is gone.
    gone: oneshot::Sender<()>,
}

/// Why the life of a sidecar is over.
enum Over {
    /// The end was asked for.
    Ended,
    /// It is started again in another way.
    Relaunched,
    /// This went wrong.
    Trouble(String),
}

/// What a keeper works with.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Who are our children.
    pub nursery: Nursery,
    /// Who is told.
    pub state: State,
}

impl<W> Sidecar<W>
where
    W: Wish,
    W::Reply: Send,
{
    /// Starts to keep a sidecar. Its events come out of the returned channel, which has to be read.
    #[must_use]
    pub fn keep<E>(
        launch: Launch,
        bulk: Bulk,
        surroundings: Surroundings,
    ) -> (Self, mpsc::Receiver<News<E>>)
    where
        E: DeserializeOwned + Send + 'static,
    {
        let (wish, wished) = watch::channel(None);
        let (connected, client) = watch::channel(None);
        let (news, to_handle) = mpsc::channel(EVENTS_AHEAD);
        let end = CancellationToken::new();
        let label = launch.label();
        let (relaunch, relaunches) = mpsc::channel(1);
        let lost_root = Arc::<AtomicBool>::default();
        let keeper = Keeper {
            launch,
            lost_root: Arc::clone(&lost_root),
            bulk,
            surroundings,
            wished,
            connected,
            news,
            end: end.clone(),
            restarts: 0,
        };
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        tokio::spawn(async move {
            keeper.run(relaunches).await;
            drop(guard);
        });
        let sidecar = Self {
            label,
            wish,
            client,
            relaunch,
            lost_root,
            end,
            ended,
        };
        (sidecar, to_handle)
    }

    /// What the sidecar is told whenever it was started again.
    pub fn wish(&self, wish: Option<W>) {
        self.wish.send_replace(wish);
    }

    /// Changes what the sidecar is told whenever it was started again.
    pub fn change_wish(&self, change: impl FnOnce(&mut Option<W>)) {
        self.wish.send_modify(change);
    }

    /// What it would be told.
    #[must_use]
    pub fn wished(&self) -> Option<W> {
        self.wish.borrow().clone()
    }

    /// Whether it would be told something.
    #[must_use]
    pub fn has_wish(&self) -> bool {
        self.wish.borrow().is_some()
    }

    /// Waits until the sidecar is there and knows the wish that it found.
    pub async fn connected(&self) {
        // An error means that it is kept no more; whoever asks it then is told so.
        let _ = self.client.clone().wait_for(Option::is_some).await;
    }

    /// Asks the sidecar, waiting for it to be there, and asking again if it died meanwhile.
    ///
    /// # Errors
    /// What the sidecar replies, or that it is kept no more.
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Reply, ClientError> {
        let mut client = self.client.clone();
        let kept_no_more = || ClientError::Lost {
            socket: self.label.clone(),
            method: C::METHOD,
        };
        loop {
            // Nobody waits for a sidecar that is not started any more.
            let connected = tokio::select! {
                () = self.end.cancelled() => return Err(kept_no_more()),
                connected = client.wait_for(Option::is_some) => match connected {
                    Ok(client) => client.clone().ok_or_else(kept_no_more)?,
                    Err(_) => return Err(kept_no_more()),
                },
            };
            match connected.call(call).await {
                Err(ClientError::Lost { .. }) if !self.end.is_cancelled() => {
                    tracing::debug!(sidecar = self.label, method = C::METHOD, "asking again");
                    // The keeper takes the dead client away, then puts the next one in.
                    client.changed().await.map_err(|_| kept_no_more())?;
                }
                other => return other,
            }
        }
    }

    /// Asks the sidecar if it is there: one that is not has nothing going, and is told its wish when it comes.
    ///
    /// # Errors
    /// What the sidecar replies, or that it died meanwhile.
    pub async fn call_if_there<C: Call>(&self, call: &C) -> Result<Option<C::Reply>, ClientError> {
        let client = self.client.borrow().clone();
        match client {
            Some(client) => client.call(call).await.map(Some),
            None => Ok(None),
        }
    }

    /// Ends the sidecar, starts it again in another way and tells it its wish. Returns when the old one is gone.
    pub async fn relaunch(&self, launch: Launch) {
        let (gone, is_gone) = oneshot::channel();
        // It is kept no more: then nothing is started.
        if self.relaunch.send(Relaunch { launch, gone }).await.is_ok() {
            let _ = is_gone.await;
        }
    }

    /// Whether it was root, and could not become it again.
    #[must_use]
    pub fn has_lost_root(&self) -> bool {
        self.lost_root.load(Ordering::Relaxed)
    }

    /// Ends the sidecar and waits until it is gone.
    pub async fn end(&self) {
        self.end.cancel();
        self.ended.cancelled().await;
    }
}

/// The task.
struct Keeper<W, E> {
    launch: Launch,
    lost_root: Arc<AtomicBool>,
    bulk: Bulk,
    surroundings: Surroundings,
    wished: watch::Receiver<Option<W>>,
    connected: watch::Sender<Option<Client>>,
    news: mpsc::Sender<News<E>>,
    end: CancellationToken,
    restarts: u64,
}

impl<W, E> Keeper<W, E>
where
    W: Wish,
    W::Reply: Send,
    E: DeserializeOwned + Send + 'static,
{
    async fn run(mut self, mut relaunches: mpsc::Receiver<Relaunch>) {
        let mut backoff = Backoff::new(Policy::SIDECARS);
        let end = self.end.clone();
        loop {
            let started = Instant::now();
            let trouble = match self.one_life(&mut relaunches).await {
                Over::Ended => return,
                Over::Relaunched => continue,
                Over::Trouble(trouble) => trouble,
            };
            self.go_on_without_root().await;
            // What it left behind is ended first: the next one shall find ports and files free.
            let strays = self.surroundings.nursery.end_strays().await;
            if strays > 0 {
                tracing::info!(
                    strays,
                    sidecar = self.launch.label(),
                    "left-over processes were ended"
                );
            }
            let pause = backoff.failed_after(started.elapsed());
            self.notice(backoff.failures(), &trouble);
            self.restarts += 1;
            tokio::select! {
                () = end.cancelled() => return,
                Some(relaunch) = relaunches.recv() => self.take(relaunch),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn take(&mut self, relaunch: Relaunch) {
        self.launch = relaunch.launch;
        self.lost_root.store(false, Ordering::Relaxed);
        // Whoever asked may have gone.
        let _ = relaunch.gone.send(());
    }

    /// After a death, it may be that it cannot become root any more: sudo forgets.
    async fn go_on_without_root(&mut self) {
        let Some(escalation) = self.launch.escalation.clone() else {
            return;
        };
        if self.still_becomes_root(&escalation.prefix).await {
            return;
        }
        self.lost_root.store(true, Ordering::Relaxed);
        self.launch.escalation = None;
        self.launch.args = escalation.args_without;
        self.surroundings.state.notice(
            Level::Warning,
            None,
            format!(
                "{} cannot become root any more without asking for a password, and goes on without: host names stay as they \
                 are, new ports below 1024 cannot be listened on; start the project anew to put that right",
                self.launch.name
            ),
        );
    }

    /// Tries it. The trial has a place among our children: another sidecar that dies at the same moment must not take it
    /// for a stray.
    async fn still_becomes_root(&self, prefix: &[OsString]) -> bool {
        let Some(trial) = trial(prefix, &self.launch.executable) else {
            return false;
        };
        let Ok((child, _place)) = self.surroundings.nursery.spawn(trial) else {
            return false;
        };
        child
            .wait_with_output()
            .await
            .is_ok_and(|said| is_the_helper(&said))
    }

    /// From start to end.
    async fn one_life(&mut self, relaunches: &mut mpsc::Receiver<Relaunch>) -> Over {
        let end = self.end.clone();
        let started = {
            let starting = self.launch.start(&self.surroundings.nursery);
            tokio::pin!(starting);
            tokio::select! {
                started = &mut starting => started,
                // Ended half-way it would leave its socket behind: it becomes ready first, which is a matter of moments.
                () = end.cancelled() => match tokio::time::timeout(END_GRACE, &mut starting).await {
                    Ok(started) => started,
                    Err(_) => return Over::Ended,
                },
            }
        };
        let mut process = match started {
            Ok(process) => process,
            Err(_) if end.is_cancelled() => return Over::Ended,
            Err(error) => return Over::Trouble(error.to_string()),
        };
        self.show(process.pid());
        let mut relaunch = None;
        let trouble = tokio::select! {
            biased;
            () = end.cancelled() => None,
            Some(asked) = relaunches.recv() => {
                relaunch = Some(asked);
                None
            }
            trouble = self.serve(&mut process) => Some(trouble),
        };
        self.connected.send_replace(None);
        // Its connection is gone; its process is, or has to be.
        let status = process.end(END_GRACE).await;
        self.show(None);
        match (trouble, relaunch) {
            (Some(trouble), _) => {
                let _ = self.news.send(News::Died).await;
                Over::Trouble(format!("{trouble} ({})", Ended(status)))
            }
            (None, Some(relaunch)) => {
                self.take(relaunch);
                Over::Relaunched
            }
            (None, None) => Over::Ended,
        }
    }

    /// Connects, tells the wish, and passes on what it tells until it dies.
    async fn serve(&self, process: &mut Process) -> String {
        let name = self.launch.name;
        let subscribed = Client::subscribe::<E>(&self.launch.socket, self.bulk).await;
        let (client, _, mut events) = match subscribed {
            Ok(subscribed) => subscribed,
            Err(error) => return format!("{name} cannot be asked: {error}"),
        };
        let told = async {
            let refused = self.tell(&client).await;
            self.connected.send_replace(Some(client.clone()));
            self.insist(&client, refused).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = told => {}
            () = self.pass_on(&mut events) => {}
            () = self.pass_on_log(process) => {}
        }
        format!("{name} died")
    }

    /// Tells the wish, and returns the pieces of it that were refused and shall be asked for again.
    async fn tell(&self, client: &Client) -> Vec<W> {
        let Some(wish) = self.wished.borrow().clone() else {
            return Vec::new();
        };
        let Err(error) = client.call(&wish).await else {
            return Vec::new();
        };
        let pieces = wish.pieces();
        if pieces.len() == 1 {
            return self.refused(wish, &error).await.into_iter().collect();
        }
        let mut refused = Vec::new();
        for piece in pieces {
            if let Err(error) = client.call(&piece).await {
                refused.extend(self.refused(piece, &error).await);
            }
        }
        refused
    }

    /// Tells that a piece was refused; returns it if it is to be asked for again.
    async fn refused(&self, piece: W, error: &ClientError) -> Option<W> {
        if let Some(subject) = piece.subject() {
            // Nobody may handle it any more.
            let _ = self
                .news
                .send(News::Refused(subject, error.to_string()))
                .await;
            return Some(piece);
        }
        self.surroundings.state.notice(
            Level::Error,
            Some(self.launch.label()),
            format!("after its restart: {error}"),
        );
        None
    }

    /// Asks for pieces again until they are granted, or wished for no more.
    async fn insist(&self, client: &Client, mut refused: Vec<W>) {
        let mut backoff = Backoff::new(ASK_AGAIN);
        while !refused.is_empty() {
            tokio::time::sleep(backoff.failed_after(Duration::ZERO)).await;
            let wished = self.wished.borrow().as_ref().map(Wish::pieces);
            let wished = wished.unwrap_or_default();
            refused.retain(|piece| wished.contains(piece));
            let mut left = Vec::new();
            for piece in refused {
                match client.call(&piece).await {
                    Ok(_) => {
                        let subject = piece.subject().unwrap_or_default();
                        let _ = self.news.send(News::Granted(subject)).await;
                    }
                    Err(_) => left.push(piece),
                }
            }
            refused = left;
        }
    }

    async fn pass_on(&self, events: &mut Events<E>) {
        while let Some(received) = events.next().await {
            let news = match received {
                Received::Event(event) | Received::Past { event, .. } => News::Event(event),
                Received::Lagged(dropped) => News::Lagged(dropped),
            };
            if self.news.send(news).await.is_err() {
                // Nobody handles events: then they are only read.
                tracing::trace!("an event was dropped");
            }
        }
    }

    /// Shows what it logs; returns when it has ended.
    async fn pass_on_log(&self, process: &mut Process) {
        while let Some(line) = process.log.recv().await {
            self.surroundings
                .state
                .notice(Level::Warning, Some(self.launch.label()), said(&line));
        }
        process.wait().await;
    }

    fn show(&self, pid: Option<u32>) {
        self.surroundings.state.sidecar(SidecarStatus {
            name: self.launch.name.to_owned(),
            app: self.launch.app.clone(),
            pid,
            socket: self.launch.socket.display().to_string(),
            restarts: self.restarts,
        });
    }

    fn notice(&self, failures: u32, trouble: &str) {
        // One line tells of a death; a row of them is told at its doublings, so that nothing scrolls away.
        if failures.is_power_of_two() {
            let again = match failures {
                1 => "it is started again".to_owned(),
                more => format!("it is started again (time {more} in a row)"),
            };
            self.surroundings.state.notice(
                Level::Warning,
                self.launch.app.clone(),
                format!("{trouble}; {again}"),
            );
        }
    }
}

/// What a line of a sidecar's log says: its log is JSON, people read the message.
#[must_use]
pub fn said(line: &str) -> String {
    let message = serde_json::from_str::<serde_json::Value>(line)
        .ok()
        .and_then(|value| value.get("message")?.as_str().map(str::to_owned));
    message.unwrap_or_else(|| line.to_owned())
}
