//! The task that owns all routes, and its handle.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use indexmap::IndexMap;
use monday_shared::ask::ask;
use monday_shared::protocol::fault::FaultSpec;
use monday_shared::protocol::tcpproxy::{
    Applied, Event, Fate, LiveConnections, RouteSpec, RouteStatus,
};
use monday_shared::rpc::hub::Hub;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::bind;
use crate::connection::Context;
use crate::error::Error;
use crate::faults::{Fault, Faults};
use crate::inherited::Inherited;
use crate::listener::{Door, Listener, Listening};
use crate::pipe_pool::{CopyPath, PipePool};
use crate::place::Place;
use crate::plan::{self, Held, Others, Source, Step, plan};
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

/// What the task is started with, besides its threads.
#[derive(Debug, Default)]
pub struct Settings {
    /// How bytes are moved.
    pub path: CopyPath,
    /// Listeners that were handed over.
    pub inherited: Inherited,
    /// What chance is derived from.
    pub seed: u64,
}

/// What can be done to routes that are open.
#[derive(Clone, Debug)]
pub enum Change {
    /// Adds a fault, or replaces that of the same name.
    AddFault(FaultSpec),
    /// Removes the faults of these names, or all.
    ClearFaults(Vec<String>),
    /// As if they were new.
    Reset,
    /// Refuses new clients.
    Drain,
}

#[derive(Debug)]
enum Request {
    Open(
        Vec<RouteSpec>,
        Others,
        LiveConnections,
        oneshot::Sender<Result<Applied, Error>>,
    ),
    Close(Vec<String>, LiveConnections, oneshot::Sender<Vec<String>>),
    List(oneshot::Sender<Vec<RouteStatus>>),
    Change(
        Vec<String>,
        Change,
        oneshot::Sender<Result<Vec<RouteStatus>, Error>>,
    ),
    /// The time of a fault is over.
    Expire(String, u64),
}

/// Starts the task, without any routes. What happens is told to the hub.
#[must_use]
pub fn start(workers: Workers, settings: Settings, hub: Hub<Event>) -> (Table, Running) {
    let (requests, queue) = mpsc::channel(REQUESTS_AHEAD);
    let (accept, end) = (CancellationToken::new(), CancellationToken::new());
    let owner = Owner {
        routes: IndexMap::new(),
        listeners: HashMap::new(),
        workers,
        pipes: Arc::new(PipePool::new(settings.path)),
        inherited: settings.inherited,
        seed: settings.seed,
        serial: 0,
        own: requests.clone().downgrade(),
        hub,
        accept: accept.clone(),
        end: end.clone(),
        leaving: TaskTracker::new(),
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
    pub async fn open(
        &self,
        routes: Vec<RouteSpec>,
        live: LiveConnections,
    ) -> Result<Vec<RouteStatus>, Error> {
        self.ask(|reply| Request::Open(routes, Others::Stay, live, reply))
            .await?
            .map(|applied| applied.routes)
    }

    /// The same, and closes all other routes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn apply(
        &self,
        routes: Vec<RouteSpec>,
        live: LiveConnections,
    ) -> Result<Applied, Error> {
        self.ask(|reply| Request::Open(routes, Others::Close, live, reply))
            .await?
    }

    /// Closes routes. Their connections are cut, or drained in the background. Returns those that were open.
    ///
    /// # Errors
    /// [`Error::Ending`].
    pub async fn close(
        &self,
        ids: Vec<String>,
        live: LiveConnections,
    ) -> Result<Vec<String>, Error> {
        self.ask(|reply| Request::Close(ids, live, reply)).await
    }

    /// Changes routes of these ids, or all; returns them.
    ///
    /// # Errors
    /// [`Error::NoRoute`]: there is none of that id, and nothing has changed.
    pub async fn change(
        &self,
        ids: Vec<String>,
        change: Change,
    ) -> Result<Vec<RouteStatus>, Error> {
        self.ask(|reply| Request::Change(ids, change, reply))
            .await?
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
        ask(&self.requests, request).await.ok_or(Error::Ending)
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
    /// By their addresses. Every one belongs to a route, and every route has at least one.
    listeners: HashMap<Place, Listener>,
    workers: Workers,
    pipes: Arc<PipePool>,
    inherited: Inherited,
    seed: u64,
    /// The number of the last fault.
    serial: u64,
    /// For what is to be done later.
    own: mpsc::WeakSender<Request>,
    hub: Hub<Event>,
    accept: CancellationToken,
    end: CancellationToken,
    /// Closed routes whose connections still have time.
    leaving: TaskTracker,
}

impl Owner {
    async fn run(mut self, mut queue: mpsc::Receiver<Request>, end: CancellationToken) {
        while let Some(Some(request)) = end.run_until_cancelled(queue.recv()).await {
            // Whoever asked may be gone; what was asked for is done nevertheless.
            match request {
                Request::Open(specs, others, live, reply) => {
                    drop(reply.send(self.open(specs, others, live).await));
                }
                Request::Close(ids, live, reply) => drop(reply.send(self.close(ids, live).await)),
                Request::Change(ids, change, reply) => {
                    let changed = self.change(ids, &change).await;
                    self.workers.finish_turns().await;
                    drop(reply.send(changed));
                }
                Request::Expire(id, serial) => self.expire(&id, serial).await,
                Request::List(reply) => {
                    drop(reply.send(self.routes.values().map(Route::status).collect()));
                }
            }
        }
        // Handles may outlive us: without this, routes would only end with the last of them.
        end.cancelled().await;
        let all = self.routes.keys().cloned().collect();
        self.close(all, LiveConnections::default()).await;
        self.leaving.close();
        self.leaving.wait().await;
    }

    async fn open(
        &mut self,
        specs: Vec<RouteSpec>,
        others: Others,
        live: LiveConnections,
    ) -> Result<Applied, Error> {
        let wishes: Vec<Wish> = specs
            .into_iter()
            .map(Wish::read)
            .collect::<Result<_, _>>()?;
        let steps = self.plan(&wishes, others)?;
        let new = bind::all(&wishes, &steps, &self.inherited, &self.workers).await?;

        // Nothing fails from here on.
        let ids: Vec<String> = wishes.iter().map(|wish| wish.spec.id.clone()).collect();
        let mut new = new.into_iter();
        for (wish, step) in wishes.into_iter().zip(steps) {
            match step {
                Step::Put(sources) => self.put(wish, sources, &mut new, live).await,
                Step::Keep => self.take_clients_again(&wish.spec.id).await,
            }
        }
        let unwanted = match others {
            Others::Stay => Vec::new(),
            Others::Close => self
                .routes
                .keys()
                .filter(|id| !ids.contains(id))
                .cloned()
                .collect(),
        };
        let closed = self.close(unwanted, live).await;
        self.close_unused_listeners().await;
        self.workers.finish_turns().await;
        let routes = ids.iter().filter_map(|id| self.routes.get(id));
        Ok(Applied {
            routes: routes.map(Route::status).collect(),
            closed,
        })
    }

    fn plan(&self, wishes: &[Wish], others: Others) -> Result<Vec<Step>, Error> {
        let open: Vec<_> = self
            .routes
            .values()
            .map(|route| plan::Open {
                id: &route.wish.spec.id,
                spec: &route.wish.spec,
                held: &route.held,
            })
            .collect();
        let wanted: Vec<_> = wishes
            .iter()
            .map(|wish| plan::Wanted {
                id: &wish.spec.id,
                spec: &wish.spec,
                listen: &wish.listen,
            })
            .collect();
        Ok(plan(&open, &wanted, others)?)
    }

    /// Puts a route on its listeners, new ones or such that there are.
    async fn put(
        &mut self,
        wish: Wish,
        sources: Vec<Source>,
        new: &mut (impl Iterator<Item = Listening> + Send),
        live: LiveConnections,
    ) {
        let shared = self
            .routes
            .get(&wish.spec.id)
            .map_or_else(Shared::default, |route| route.shared.clone());
        let generation = shared.orders.next_generation();
        let context = Arc::new(Context {
            id: wish.spec.id.clone(),
            target: wish.target.clone(),
            patience: wish.patience(),
            shared: shared.clone(),
            generation,
            seed: self.seed,
            idle_timeout: wish.idle_timeout(),
            half_close_linger: wish.spec.half_close_linger.map(|linger| linger.0),
            proxy_protocol: wish.spec.proxy_protocol,
            log_connections: wish.spec.log_connections,
            pipes: Arc::clone(&self.pipes),
            hub: self.hub.clone(),
        });
        let (mut held, mut shown) = (Vec::new(), Vec::new());
        for (source, asked) in sources.into_iter().zip(&wish.listen) {
            let address = match source {
                Source::Reuse(address) => {
                    if let Some(listener) = self.listeners.get(&address) {
                        listener.retarget(Arc::clone(&context));
                    }
                    address
                }
                // There is one for each, in this order.
                Source::Bind(_) => match new.next() {
                    None => continue,
                    Some(listening) => {
                        let address = listening.address.clone();
                        let listener =
                            Listener::start(listening, Arc::clone(&context), &self.accept);
                        self.listeners.insert(address.clone(), listener);
                        address
                    }
                },
            };
            shown.extend(self.listeners.get(&address).map(|it| it.shown().clone()));
            held.push(Held {
                asked: asked.clone(),
                address,
            });
        }
        let route = Route {
            wish,
            held,
            shown,
            shared,
            draining: false,
        };
        // Before the first client: faults come with their route.
        self.begin_faults(&route);
        self.set_doors(&route).await;
        self.dismiss(&route.shared, generation, live);
        self.hub.publish(Event::Opened(route.status()));
        self.routes.insert(route.wish.spec.id.clone(), route);
    }

    /// Gives a route the faults of its wish. Those that it has already go on.
    fn begin_faults(&mut self, route: &Route) {
        let id = route.wish.spec.id.clone();
        let wanted = &route.wish.spec.faults;
        let before = route.shared.orders.faults();
        let faults: Faults = wanted
            .iter()
            .map(|spec| {
                let same = before.iter().find(|fault| fault.spec == *spec);
                same.map_or_else(
                    || self.new_fault(&id, spec.clone(), &route.shared),
                    Arc::clone,
                )
            })
            .collect();
        if !(faults.is_empty() && before.is_empty()) {
            route.shared.orders.set_faults(faults);
        }
    }

    fn new_fault(&mut self, id: &str, spec: FaultSpec, shared: &Shared) -> Arc<Fault> {
        self.serial += 1;
        if let Some(time) = spec.expires {
            let (own, id, serial) = (self.own.clone(), id.to_owned(), self.serial);
            tokio::spawn(async move {
                sleep(time.0).await;
                if let Some(own) = own.upgrade() {
                    // Everything is over if nobody takes it.
                    let _ = own.send(Request::Expire(id, serial)).await;
                }
            });
        }
        let accepted = shared.stats.numbers.load(Ordering::Relaxed);
        Arc::new(Fault::begin(spec, self.serial, accepted))
    }

    async fn change(
        &mut self,
        ids: Vec<String>,
        change: &Change,
    ) -> Result<Vec<RouteStatus>, Error> {
        if let Some(id) = ids.iter().find(|id| !self.routes.contains_key(*id)) {
            return Err(Error::NoRoute { id: id.clone() });
        }
        let ids = if ids.is_empty() {
            self.routes.keys().cloned().collect()
        } else {
            ids
        };
        for id in &ids {
            match change {
                Change::AddFault(spec) => self.add_fault(id, spec.clone()).await,
                Change::ClearFaults(names) => {
                    self.keep_faults(id, |fault| {
                        !names.is_empty() && !names.contains(&fault.name)
                    })
                    .await;
                }
                Change::Reset => {
                    self.keep_faults(id, |_| false).await;
                    if let Some(route) = self.routes.get(id) {
                        route.shared.stats.forget();
                    }
                    self.take_clients_again(id).await;
                }
                Change::Drain => self.set_draining(id, true).await,
            }
        }
        let routes = ids.iter().filter_map(|id| self.routes.get(id));
        Ok(routes.map(Route::status).collect())
    }

    async fn add_fault(&mut self, id: &str, spec: FaultSpec) {
        let Some(shared) = self.routes.get(id).map(|route| route.shared.clone()) else {
            return;
        };
        let new = self.new_fault(id, spec, &shared);
        let before = shared.orders.faults();
        let others = before.iter().filter(|fault| fault.name != new.name);
        let faults = others.cloned().chain([Arc::clone(&new)]).collect();
        self.set_faults(id, faults).await;
    }

    async fn keep_faults(&mut self, id: &str, keep: impl Fn(&Fault) -> bool + Send) {
        let Some(route) = self.routes.get(id) else {
            return;
        };
        let before = route.shared.orders.faults();
        let faults: Faults = before.iter().filter(|fault| keep(fault)).cloned().collect();
        if faults.len() != before.len() {
            self.set_faults(id, faults).await;
        }
    }

    async fn set_faults(&mut self, id: &str, faults: Faults) {
        if let Some(route) = self.routes.get(id) {
            route.shared.orders.set_faults(faults);
            self.hub.publish(Event::Faults {
                id: id.to_owned(),
                faults: route.faults(),
            });
        }
        self.update_doors(id).await;
    }

    async fn expire(&mut self, id: &str, serial: u64) {
        self.keep_faults(id, |fault| fault.serial != serial).await;
    }

    async fn take_clients_again(&mut self, id: &str) {
        self.set_draining(id, false).await;
    }

    async fn set_draining(&mut self, id: &str, draining: bool) {
        if let Some(route) = self.routes.get_mut(id) {
            route.draining = draining;
        }
        self.update_doors(id).await;
    }

    async fn update_doors(&mut self, id: &str) {
        if let Some(route) = self.routes.get(id) {
            let (door, held) = (route.door(), route.held.clone());
            self.set_doors_of(&held, door).await;
        }
    }

    async fn set_doors(&mut self, route: &Route) {
        self.set_doors_of(&route.held, route.door()).await;
    }

    async fn set_doors_of(&mut self, held: &[Held], door: Door) {
        for held in held {
            if let Some(listener) = self.listeners.get_mut(&held.address) {
                if door == Door::Silent && listener.pause() {
                    // Whoever still accepts would take the one that is to fill the queue.
                    self.workers.finish_turns().await;
                    self.workers.finish_turns().await;
                }
                listener.set_door(door);
            }
        }
    }

    /// Does with the connections of earlier generations what was asked for.
    fn dismiss(&self, shared: &Shared, generation: u64, live: LiveConnections) {
        match live.connections.unwrap_or(Fate::Keep) {
            Fate::Keep => {}
            Fate::Cut => shared.orders.cut_before(generation),
            Fate::Drain => {
                let (orders, end) = (Arc::clone(&shared.orders), self.end.clone());
                let limit = live.drain_timeout().0;
                self.leaving.spawn(async move {
                    if let Some(()) = end.run_until_cancelled(sleep(limit)).await {
                        orders.cut_before(generation);
                    }
                });
            }
        }
    }

    async fn close(&mut self, ids: Vec<String>, live: LiveConnections) -> Vec<String> {
        let mut closed = Vec::new();
        for id in ids {
            let Some(route) = self.routes.shift_remove(&id) else {
                continue;
            };
            self.close_unused_listeners().await;
            if live.connections == Some(Fate::Drain) {
                let (shared, end) = (route.shared, self.end.clone());
                let limit = live.drain_timeout().0;
                self.leaving.spawn(async move {
                    // Over early, late or never: then the rest is cut.
                    let drained = timeout(limit, shared.drained());
                    let _ = end.run_until_cancelled(drained).await;
                    shared.cut().await;
                });
            } else {
                route.shared.cut().await;
            }
            self.hub.publish(Event::Closed { id: id.clone() });
            closed.push(id);
        }
        closed
    }

    async fn close_unused_listeners(&mut self) {
        let routes = &self.routes;
        let is_used = |address: &Place| {
            let mut all = routes.values().flat_map(|route| &route.held);
            all.any(|held| held.address == *address)
        };
        let unused: Vec<_> = self
            .listeners
            .extract_if(|address, _| !is_used(address))
            .collect();
        for (_, listener) in unused {
            listener.close().await;
        }
    }
}
