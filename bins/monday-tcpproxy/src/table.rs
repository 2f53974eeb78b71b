//! The task that owns all routes, and its handle.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use indexmap::IndexMap;
use monday_shared::protocol::tcpproxy::{Event, RouteSpec, RouteStatus};
use monday_shared::rpc::hub::Hub;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bind;
use crate::connection::Context;
use crate::error::Error;
use crate::listener::{Listener, Listening};
use crate::pipe_pool::{CopyPath, PipePool};
use crate::plan::{self, Step, plan};
use crate::route::{Route, Shared, Wish};
use crate::workers::Workers;

/// How many requests may wait for the task.
const REQUESTS_AHEAD: usize = 16;

/// The handle of the task. The routes are there until [`Running::end`], however many handles there are.
#[derive(Clone, Debug)]
pub struct Table {
    requests: mpsc::Sender<Request>,
    accept: CancellationToken,
}

/// The running task. Dropping this ends it as well, without waiting until it has.
#[derive(Debug)]
pub struct Running {
    end: DropGuard,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Request {
    Open(
        Vec<RouteSpec>,
        oneshot::Sender<Result<Vec<RouteStatus>, Error>>,
    ),
    Close(Vec<String>, oneshot::Sender<Vec<String>>),
    List(oneshot::Sender<Vec<RouteStatus>>),
}

/// Starts the task, without any routes. What happens is told to the hub.
#[must_use]
pub fn start(workers: Workers, path: CopyPath, hub: Hub<Event>) -> (Table, Running) {
    let (requests, queue) = mpsc::channel(REQUESTS_AHEAD);
    let (accept, end) = (CancellationToken::new(), CancellationToken::new());
    let owner = Owner {
        routes: IndexMap::new(),
        listeners: HashMap::new(),
        workers,
        pipes: Arc::new(PipePool::new(path)),
        hub,
        accept: accept.clone(),
    };
    let task = tokio::spawn(owner.run(queue, end.clone()));
    let running = Running {
        end: end.drop_guard(),
        task,
    };
    (Table { requests, accept }, running)
}

impl Table {
    /// Begins to accept clients, which wait in the listeners' queues until then. So nothing is told about a client
    /// before it is told that the routes are there.
    pub fn accept(&self) {
        self.accept.cancel();
    }

    /// Opens routes, all of them or none.
    ///
    /// A route of the same id and specification stays as it is. One with another specification is replaced: new
    /// connections go to the new target, those that live stay with the old one. It keeps its listener while it is
    /// asked to listen on the same address, so its port, even if that was asked for as 0.
    ///
    /// # Errors
    /// [`Error`] for the first route that cannot be opened. Nothing has changed then.
    pub async fn open(&self, routes: Vec<RouteSpec>) -> Result<Vec<RouteStatus>, Error> {
        self.ask(|reply| Request::Open(routes, reply)).await?
    }

    /// Closes routes and cuts their connections. Returns those that were open.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn close(&self, ids: Vec<String>) -> Result<Vec<String>, Error> {
        self.ask(|reply| Request::Close(ids, reply)).await
    }

    /// All routes, in the order in which they were opened first.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn list(&self) -> Result<Vec<RouteStatus>, Error> {
        self.ask(Request::List).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Error> {
        let (reply, replied) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| Error::Ending)?;
        replied.await.map_err(|_| Error::Ending)
    }
}

impl Running {
    /// Closes all routes and cuts their connections.
    pub async fn end(self) {
        drop(self.end);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the routes ended badly");
        }
    }
}

struct Owner {
    routes: IndexMap<String, Route>,
    /// By their addresses. Every route has one, and there are no others.
    listeners: HashMap<SocketAddr, Listener>,
    workers: Workers,
    pipes: Arc<PipePool>,
    hub: Hub<Event>,
    accept: CancellationToken,
}

impl Owner {
    async fn run(mut self, mut queue: mpsc::Receiver<Request>, end: CancellationToken) {
        while let Some(Some(request)) = end.run_until_cancelled(queue.recv()).await {
            // Whoever asked may be gone; what was asked for is done nevertheless.
            match request {
                Request::Open(specs, reply) => drop(reply.send(self.open(specs).await)),
                Request::Close(ids, reply) => drop(reply.send(self.close(ids).await)),
                Request::List(reply) => {
                    drop(reply.send(self.routes.values().map(Route::status).collect()));
                }
            }
        }
        // Handles may outlive us: without this, routes would only end with the last of them.
        end.cancelled().await;
        let all = self.routes.keys().cloned().collect();
        self.close(all).await;
    }

    async fn open(&mut self, specs: Vec<RouteSpec>) -> Result<Vec<RouteStatus>, Error> {
        let wishes: Vec<Wish> = specs
            .into_iter()
            .map(Wish::read)
            .collect::<Result<_, _>>()?;
        let steps = self.plan(&wishes)?;
        let mut new = bind::all(&wishes, &steps, &self.workers).await?.into_iter();

        // Nothing fails from here on.
        let ids: Vec<String> = wishes.iter().map(|wish| wish.spec.id.clone()).collect();
        for (wish, step) in wishes.into_iter().zip(steps) {
            match step {
                Step::Keep => {}
                Step::Reuse(address) => self.put(wish, address, None),
                Step::Bind(_) => {
                    if let Some(listening) = new.next() {
                        self.put(wish, listening.address, Some(listening));
                    }
                }
            }
        }
        self.close_unused_listeners().await;
        Ok(ids
            .iter()
            .filter_map(|id| self.routes.get(id).map(Route::status))
            .collect())
    }

    fn plan(&self, wishes: &[Wish]) -> Result<Vec<Step>, Error> {
        let open: Vec<_> = self
            .routes
            .values()
            .map(|route| plan::Open {
                id: &route.wish.spec.id,
                spec: &route.wish.spec,
                asked: route.wish.listen,
                address: route.address,
            })
            .collect();
        let wanted: Vec<_> = wishes
            .iter()
            .map(|wish| plan::Wanted {
                id: &wish.spec.id,
                spec: &wish.spec,
                listen: wish.listen,
            })
            .collect();
        Ok(plan(&open, &wanted)?)
    }

    /// Puts a route on a listener, a new one or one that there is.
    fn put(&mut self, wish: Wish, address: SocketAddr, new: Option<Listening>) {
        let shared = self
            .routes
            .get(&wish.spec.id)
            .map_or_else(Shared::default, |route| route.shared.clone());
        let context = Arc::new(Context {
            id: wish.spec.id.clone(),
            target: wish.target.clone(),
            patience: wish.patience(),
            shared: shared.clone(),
            pipes: Arc::clone(&self.pipes),
            hub: self.hub.clone(),
        });
        if let Some(listening) = new {
            let listener = Listener::start(listening, context, &self.accept);
            self.listeners.insert(address, listener);
        } else if let Some(listener) = self.listeners.get(&address) {
            listener.retarget(context);
        }
        let route = Route {
            wish,
            address,
            shared,
        };
        self.hub.publish(Event::Opened(route.status()));
        self.routes.insert(route.wish.spec.id.clone(), route);
    }

    async fn close(&mut self, ids: Vec<String>) -> Vec<String> {
        let mut closed = Vec::new();
        for id in ids {
            let Some(route) = self.routes.shift_remove(&id) else {
                continue;
            };
            self.close_unused_listeners().await;
            route.shared.cut().await;
            self.hub.publish(Event::Closed { id: id.clone() });
            closed.push(id);
        }
        closed
    }

    async fn close_unused_listeners(&mut self) {
        let routes = &self.routes;
        let unused: Vec<_> = self
            .listeners
            .extract_if(|address, _| routes.values().all(|route| route.address != *address))
            .collect();
        for (_, listener) in unused {
            listener.close().await;
        }
    }
}
