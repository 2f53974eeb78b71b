//! The task that owns all forwards, and its handle.

use std::sync::Arc;

use indexmap::IndexMap;
use monday_shared::ask::ask;
use monday_shared::holder;
use monday_shared::protocol::fwd::{Event, ForwardSpec, ForwardStatus};
use monday_shared::rpc::hub::Hub;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::Error;
use crate::forward::{Forward, Wish};
use crate::kubernetes_remote::Surroundings;
use crate::listener::Bound;
use crate::place::Place;
use crate::scope::{Parts, Scope, State};
use crate::threads::Threads;

/// How many requests may wait for the task.
const REQUESTS_AHEAD: usize = 16;

/// The handle of the task. The forwards are there until [`Running::end`], however many handles there are.
#[derive(Clone, Debug)]
pub struct Table {
    requests: mpsc::Sender<Request>,
}

/// The running task. Dropping this ends it as well, without waiting until it has.
#[derive(Debug)]
pub struct Running {
    end: DropGuard,
    task: JoinHandle<Result<(), Error>>,
}

#[derive(Debug)]
enum Request {
    Open(
        Vec<ForwardSpec>,
        oneshot::Sender<Result<Vec<ForwardStatus>, Error>>,
    ),
    Close(Vec<String>, oneshot::Sender<Vec<String>>),
    List(oneshot::Sender<Vec<ForwardStatus>>),
    Watch(oneshot::Sender<Vec<(String, watch::Receiver<State>)>>),
}

/// Starts the task, without any forwards. What happens is told to the hub.
#[must_use]
pub(crate) fn start(
    threads: Threads,
    hub: Hub<Event>,
    surroundings: Surroundings,
) -> (Table, Running) {
    let (requests, queue) = mpsc::channel(REQUESTS_AHEAD);
    let end = CancellationToken::new();
    let owner = Owner {
        forwards: IndexMap::new(),
        threads,
        hub,
        surroundings,
    };
    let task = tokio::spawn(owner.run(queue, end.clone()));
    let running = Running {
        end: end.drop_guard(),
        task,
    };
    (Table { requests }, running)
}

impl Table {
    /// Opens forwards, all of them or none. Their tunnels are made afterwards.
    ///
    /// A forward of the same id and specification stays as it is, unless it has failed: then it is tried again. One with
    /// another specification is replaced, and keeps its listener while it is asked to listen where it was asked before,
    /// so that port 0 stays the port that it became.
    ///
    /// # Errors
    /// [`Error`] for the first forward that cannot be opened. Nothing has changed then.
    pub async fn open(&self, forwards: Vec<ForwardSpec>) -> Result<Vec<ForwardStatus>, Error> {
        self.ask(|reply| Request::Open(forwards, reply)).await?
    }

    /// Closes forwards and cuts their connections. Returns those that were open.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn close(&self, ids: Vec<String>) -> Result<Vec<String>, Error> {
        self.ask(|reply| Request::Close(ids, reply)).await
    }

    /// All forwards, in the order in which they were opened first.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn list(&self) -> Result<Vec<ForwardStatus>, Error> {
        self.ask(Request::List).await
    }

    /// Waits until all forwards that are open now are up, or have been up.
    ///
    /// # Errors
    /// [`Error::Failed`]: one of them cannot work.
    pub async fn until_up(&self) -> Result<(), Error> {
        for (id, mut state) in self.ask(Request::Watch).await? {
            let settled = state
                .wait_for(|state| matches!(state, State::Up | State::Failed { .. }))
                .await
                .map_err(|_| Error::Ending)?;
            if let State::Failed { why } = &*settled {
                let why = why.clone();
                return Err(Error::Failed { id, why });
            }
        }
        Ok(())
    }

    /// Waits until one of the forwards that are open now has failed for good, and says why. For ever if none does.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn until_failed(&self) -> Result<Error, Error> {
        let mut waiting = JoinSet::new();
        for (id, mut state) in self.ask(Request::Watch).await? {
            waiting.spawn(async move {
                let failed = state
                    .wait_for(|state| matches!(state, State::Failed { .. }))
                    .await;
                match failed.as_deref() {
                    Ok(State::Failed { why }) => Some(Error::Failed {
                        id,
                        why: why.clone(),
                    }),
                    _ => None,
                }
            });
        }
        while let Some(ended) = waiting.join_next().await {
            if let Ok(Some(failed)) = ended {
                return Ok(failed);
            }
        }
        std::future::pending().await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Error> {
        ask(&self.requests, request).await.ok_or(Error::Ending)
    }
}

impl Running {
    /// Closes all forwards and cuts their connections, after they have put back what they have changed elsewhere.
    ///
    /// # Errors
    /// Why one could not.
    pub async fn end(self) -> Result<(), Error> {
        drop(self.end);
        self.task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the forwards ended badly");
            Ok(())
        })
    }
}

struct Owner {
    forwards: IndexMap<String, Forward>,
    threads: Threads,
    hub: Hub<Event>,
    surroundings: Surroundings,
}

impl Owner {
    async fn run(
        mut self,
        mut queue: mpsc::Receiver<Request>,
        end: CancellationToken,
    ) -> Result<(), Error> {
        while let Some(Some(request)) = end.run_until_cancelled(queue.recv()).await {
            // Whoever asked may be gone; what was asked for is done nevertheless.
            match request {
                Request::Open(specs, reply) => drop(reply.send(self.open(specs).await)),
                Request::Close(ids, reply) => self.close(ids, reply).await,
                Request::List(reply) => {
                    drop(reply.send(self.forwards.values().map(Forward::status).collect()));
                }
                Request::Watch(reply) => drop(reply.send(self.watch())),
            }
        }
        // Handles may outlive us: without this, forwards would only end with the last of them.
        end.cancelled().await;
        let mut ending = JoinSet::new();
        for (_, mut forward) in self.forwards.drain(..) {
            ending.spawn(async move { forward.end().await });
        }
        ending.join_all().await.into_iter().collect()
    }

    fn watch(&self) -> Vec<(String, watch::Receiver<State>)> {
        let forwards = self.forwards.iter();
        forwards
            .map(|(id, forward)| (id.clone(), forward.scope.state()))
            .collect()
    }

    async fn open(&mut self, specs: Vec<ForwardSpec>) -> Result<Vec<ForwardStatus>, Error> {
        let mut wanted = Vec::with_capacity(specs.len());
        for (place, spec) in specs.iter().enumerate() {
            if specs[..place]
                .iter()
                .any(|earlier| earlier.id() == spec.id())
            {
                let id = spec.id().to_owned();
                return Err(Error::SameId { id });
            }
            wanted.push(Wish::read(spec)?);
        }
        let mut ready = Vec::with_capacity(specs.len());
        for (spec, wish) in specs.into_iter().zip(wanted) {
            if self.stays(&spec) {
                ready.push((spec, None));
                continue;
            }
            let bound = match wish.place() {
                Some(place) => Some(self.bind(spec.id(), place)?),
                None => None,
            };
            ready.push((spec, Some((wish, bound))));
        }

        // Nothing fails from here on.
        let mut opened = Vec::with_capacity(ready.len());
        for (spec, new) in ready {
            match new {
                Some((wish, bound)) => opened.push(self.put(spec, wish, bound).await),
                None => opened.extend(self.forwards.get(spec.id()).map(Forward::status)),
            }
        }
        Ok(opened)
    }

    /// Whether a forward is open as it is wished for. One that has failed is opened anew: whoever asks again has
    /// reason to.
    fn stays(&self, spec: &ForwardSpec) -> bool {
        self.forwards.get(spec.id()).is_some_and(|open| {
            let failed = matches!(*open.scope.state().borrow(), State::Failed { .. });
            open.spec == *spec && !failed
        })
    }

    /// Where a forward is to listen: where it does already, or on a new listener.
    fn bind(&self, id: &str, place: &Place) -> Result<Bound, Error> {
        let own = self.forwards.get(id).and_then(|open| {
            let bound = open.bound.as_ref()?;
            (open.asked.as_ref() == Some(place) || bound.place() == *place).then_some(bound)
        });
        if let Some(bound) = own {
            return Ok(bound.clone());
        }
        Bound::bind(place).map_err(|error| match place {
            Place::Tcp(address) => {
                let what = format!("forward `{id}`");
                Error::Listen(holder::bind_error(&what, *address, &error))
            }
            Place::Unix(path) => Error::Socket {
                id: id.to_owned(),
                path: path.clone(),
                source: error,
            },
        })
    }

    /// Puts a forward into its place, and returns it as it is before anything was tried.
    async fn put(&mut self, spec: ForwardSpec, wish: Wish, bound: Option<Bound>) -> ForwardStatus {
        let old = self.forwards.get_mut(spec.id());
        let stats = old.as_ref().map_or_else(Arc::default, |old| {
            // What was counted for this id goes on.
            Arc::clone(old.scope.stats())
        });
        if let Some(old) = old {
            // Why it could not be put back is said by what comes next, which finds it.
            let _ = old.end().await;
        }
        let listen = match &bound {
            Some(bound) => bound.place().to_string(),
            None => wish.listen(),
        };
        let scope = Scope::new(Parts {
            id: spec.id().to_owned(),
            kind: spec.kind(),
            listen,
            target: spec.target(),
            stats,
            hub: self.hub.clone(),
            runtime: self.threads.next(),
        });
        let opened = scope.status();
        self.hub.publish(Event::Opened(opened.clone()));
        let id = spec.id().to_owned();
        let forward = Forward::start(spec, wish, bound, scope, &self.surroundings);
        self.forwards.insert(id, forward);
        opened
    }

    /// Closes forwards. Those that take a while to end do that beside us, so that others can be asked about meanwhile;
    /// the reply waits for them.
    async fn close(&mut self, ids: Vec<String>, reply: oneshot::Sender<Vec<String>>) {
        let mut closed = Vec::new();
        let mut ending = JoinSet::new();
        for id in ids {
            let Some(mut forward) = self.forwards.shift_remove(&id) else {
                continue;
            };
            let hub = self.hub.clone();
            closed.push(id.clone());
            let slow = forward.takes_a_while_to_end();
            let end = async move {
                if let Err(error) = forward.end().await {
                    hub.publish(Event::Failed {
                        id: id.clone(),
                        why: error.to_string(),
                    });
                }
                hub.publish(Event::Closed { id });
            };
            if slow {
                ending.spawn(end);
            } else {
                end.await;
            }
        }
        tokio::spawn(async move {
            ending.join_all().await;
            // Whoever asked may be gone.
            let _ = reply.send(closed);
        });
    }
}
