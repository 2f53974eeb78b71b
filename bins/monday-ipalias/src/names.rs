//! The task that owns the names, and the handle through which everybody else asks it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use monday_shared::ask::ask;
use monday_shared::protocol::ipalias::{Bind, Event, NameSpec, Names, Released};
use monday_shared::rpc::hub::Hub;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::error::Error;
use crate::ledger::Ledger;

/// How often to look whether somebody has rewritten the hosts file. It costs one stat(2).
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many requests wait for the task; more wait at their senders.
const REQUESTS_AHEAD: usize = 16;

/// Asks the task. Clones ask the same one; it ends when the last one is gone, or by [`end`](Task::end).
#[derive(Clone, Debug)]
pub struct NamesHandle {
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
enum Request {
    Assign(Vec<NameSpec>, oneshot::Sender<Result<Names, Error>>),
    Release(Vec<String>, oneshot::Sender<Released>),
    Exchange([String; 2], oneshot::Sender<Result<Names, Error>>),
    List(oneshot::Sender<Names>),
    Bind(Bind, oneshot::Sender<Result<OwnedFd, Error>>),
    End,
}

/// The running task.
#[derive(Debug)]
pub struct Task {
    requests: mpsc::Sender<Request>,
    running: JoinHandle<Result<(), Error>>,
}

/// Starts the task over a ledger; what changes is published.
#[must_use]
pub fn start(ledger: Ledger, hub: Hub<Event>) -> (NamesHandle, Task) {
    let (requests, received) = mpsc::channel(REQUESTS_AHEAD);
    let running = tokio::spawn(run(ledger, hub, received));
    let handle = NamesHandle {
        requests: requests.clone(),
    };
    (handle, Task { requests, running })
}

impl NamesHandle {
    /// Gives names addresses.
    ///
    /// # Errors
    /// Those of [`Ledger::assign`], and [`Error::Ending`].
    pub async fn assign(&self, names: Vec<NameSpec>) -> Result<Names, Error> {
        self.ask(|reply| Request::Assign(names, reply)).await?
    }

    /// Takes names back.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn release(&self, names: Vec<String>) -> Result<Released, Error> {
        self.ask(|reply| Request::Release(names, reply)).await
    }

    /// Exchanges the addresses of two names.
    ///
    /// # Errors
    /// Those of [`Ledger::exchange`], and [`Error::Ending`].
    pub async fn exchange(&self, names: [String; 2]) -> Result<Names, Error> {
        self.ask(|reply| Request::Exchange(names, reply)).await?
    }

    /// Lists the names.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn list(&self) -> Result<Names, Error> {
        self.ask(Request::List).await
    }

    /// Binds a port on an address that is assigned.
    ///
    /// # Errors
    /// Those of [`Ledger::bind`], and [`Error::Ending`].
    pub async fn bind(&self, wanted: Bind) -> Result<OwnedFd, Error> {
        self.ask(|reply| Request::Bind(wanted, reply)).await?
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Error> {
        ask(&self.requests, request).await.ok_or(Error::Ending)
    }
}

impl Task {
    /// Takes every name back and ends; requests that came before are served.
    ///
    /// # Errors
    /// Those of [`Ledger::close`].
    pub async fn end(self) -> Result<(), Error> {
        // If it has ended by itself, its result says why.
        let _ = self.requests.send(Request::End).await;
        self.running.await.unwrap_or(Err(Error::Ending))
    }
}

async fn run(
    mut ledger: Ledger,
    hub: Hub<Event>,
    mut requests: mpsc::Receiver<Request>,
) -> Result<(), Error> {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let request = tokio::select! {
            request = requests.recv() => request.unwrap_or(Request::End),
            _ = looks.tick() => {
                let looked;
                (ledger, looked) = aside(ledger, Ledger::look_again).await?;
                if let Some(event) = looked {
                    hub.publish(event);
                }
                continue;
            }
        };
        match request {
            Request::Assign(specs, reply) => {
                let assigned;
                (ledger, assigned) = aside(ledger, move |ledger| ledger.assign(&specs)).await?;
                if let Ok(names) = &assigned {
                    hub.publish(Event::Assigned(names.clone()));
                }
                // Whoever asked may have gone away; the names are assigned nevertheless.
                let _ = reply.send(assigned);
            }
            Request::Release(names, reply) => {
                let released;
                (ledger, released) = aside(ledger, move |ledger| ledger.release(&names)).await?;
                if !released.released.is_empty() {
                    hub.publish(Event::Released {
                        names: released.released.clone(),
                    });
                }
                let _ = reply.send(released);
            }
            Request::Exchange(pair, reply) => {
                let exchanged;
                (ledger, exchanged) = aside(ledger, move |ledger| ledger.exchange(&pair)).await?;
                if let Ok(names) = &exchanged {
                    hub.publish(Event::Assigned(names.clone()));
                }
                let _ = reply.send(exchanged);
            }
            Request::List(reply) => {
                let names;
                (ledger, names) = aside(ledger, |ledger| ledger.list()).await?;
                let _ = reply.send(names);
            }
            Request::Bind(wanted, reply) => {
                let bound;
                (ledger, bound) = aside(ledger, move |ledger| ledger.bind(&wanted)).await?;
                let _ = reply.send(bound);
            }
            Request::End => break,
        }
    }
    let closed = tokio::task::spawn_blocking(|| ledger.close()).await;
    closed.unwrap_or(Err(Error::Ending))
}

/// Does something with the ledger that may take a while: files are read and written, and locks waited for.
async fn aside<T: Send + 'static>(
    mut ledger: Ledger,
    work: impl FnOnce(&mut Ledger) -> T + Send + 'static,
) -> Result<(Ledger, T), Error> {
    tokio::task::spawn_blocking(move || {
        let done = work(&mut ledger);
        (ledger, done)
    })
    .await
    // Only if the runtime is being torn down, since nothing in there panics.
    .map_err(|_| Error::Ending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::LeaseFolder;
    use crate::settings::Settings;
    use monday_shared::protocol::common::Bulk;
    use monday_shared::rpc::hub::{Delivery, Subscription};

    fn ledger(folder: &std::path::Path) -> Ledger {
        std::fs::write(folder.join("hosts"), "127.0.0.1 localhost\n").unwrap();
        let leases = LeaseFolder::at(folder.join("leases")).unwrap();
        Ledger::open(Settings::new(folder.join("hosts"), leases)).unwrap()
    }

    async fn next(events: &mut Subscription<Event>) -> Event {
        match events.next().await {
            Some(Delivery::Event(event)) => event.event.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn names_are_assigned_listed_and_released_and_everybody_hears_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::new();
        let (_, mut events) = hub.subscribe(Bulk::Lossy);
        let (names, task) = start(ledger(folder.path()), hub);
        let assigned = names
            .assign(vec![NameSpec::new("api.local")])
            .await
            .unwrap();
        assert_eq!(next(&mut events).await, Event::Assigned(assigned.clone()));
        assert_eq!(names.list().await.unwrap(), assigned);
        assert!(names.assign(vec![NameSpec::new("a b")]).await.is_err());
        let released = names
            .release(vec!["api.local".to_owned(), "x".to_owned()])
            .await
            .unwrap();
        assert_eq!(released.released, ["api.local"]);
        let told = Event::Released {
            names: released.released,
        };
        assert_eq!(next(&mut events).await, told);
        task.end().await.unwrap();
        assert!(matches!(names.list().await, Err(Error::Ending)));
    }

    #[tokio::test]
    async fn the_end_takes_every_name_back() {
        let folder = tempfile::tempdir().unwrap();
        let (names, task) = start(ledger(folder.path()), Hub::new());
        names
            .assign(vec![NameSpec::new("api.local")])
            .await
            .unwrap();
        task.end().await.unwrap();
        let hosts = std::fs::read(folder.path().join("hosts")).unwrap();
        assert_eq!(hosts, b"127.0.0.1 localhost\n");
    }

    #[tokio::test]
    async fn a_block_that_somebody_removes_comes_back_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::new();
        let (names, task) = start(ledger(folder.path()), hub.clone());
        names
            .assign(vec![NameSpec::new("api.local")])
            .await
            .unwrap();
        let (_, mut events) = hub.subscribe(Bulk::Lossy);
        std::fs::write(folder.path().join("hosts"), "10.0.0.1 theirs\n").unwrap();
        assert_eq!(next(&mut events).await, Event::Rewritten { times: 1 });
        assert!(names.list().await.unwrap().names[0].resolves);
        task.end().await.unwrap();
        let hosts = std::fs::read(folder.path().join("hosts")).unwrap();
        assert_eq!(hosts, b"10.0.0.1 theirs\n");
    }
}
