//! An API server in this process, for what a real one cannot be made to do: refuse a way of forwarding, lose a token,
//! swallow, delay, cut, lie.
//!
//! It answers what the real `kubectl` asks (`get`, `wait`, `patch`, `port-forward`, watches among them), which a test
//! shows; what it says to `kubectl` it says to everybody. Its pods are names, labels and the loopback addresses that
//! their ports lead to.

mod behaviour;
mod discovery;
mod forward;
mod http;
mod patch;
mod resource;
mod selector;
mod store;
mod table;
mod watch;

pub use behaviour::{Behaviour, Hostility, Refusal};

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch as latest;

use crate::world::World;
use resource::Resource;
use store::Store;

/// The token that its users have to begin with.
const FIRST_TOKEN: &str = "first-token";

/// An API server. It ends when this is dropped.
#[derive(Debug)]
pub struct FakeApi {
    address: SocketAddr,
    state: Arc<State>,
    /// Ended in the background: a connection that somebody stalls on purpose shall not hold up the test's end.
    runtime: Option<Runtime>,
}

/// What every connection looks at.
#[derive(Debug)]
struct State {
    store: Mutex<Store>,
    /// Changes whenever the store does; watches wait for it.
    revision: latest::Sender<u64>,
    /// Changes when every watch has to end.
    watches: latest::Sender<u64>,
    behaviour: Mutex<Behaviour>,
    /// Where a pod's port leads to.
    targets: Mutex<HashMap<(String, u16), SocketAddr>>,
    /// Every request: `METHOD /path?query`, and how it was answered.
    seen: Mutex<Vec<(String, u16)>>,
    recording: Mutex<Option<Recording>>,
}

/// The bytes of a forward, both ways.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// What the client sent.
    pub from_client: Vec<u8>,
    /// What the server sent.
    pub from_server: Vec<u8>,
}

/// A test that panicked while it held a lock has failed already.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = locked(&self.store);
        let result = change(&mut store);
        let revision = store.revision();
        drop(store);
        self.revision.send_replace(revision);
        result
    }
}

impl Default for FakeApi {
    fn default() -> Self {
        Self::start()
    }
}

impl FakeApi {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If there can be no runtime or no port.
    #[must_use]
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let state = Arc::new(State {
            store: Mutex::default(),
            revision: latest::Sender::new(0),
            watches: latest::Sender::new(0),
            behaviour: Mutex::default(),
            targets: Mutex::default(),
            seen: Mutex::default(),
            recording: Mutex::default(),
        });
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        runtime.spawn(http::serve(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            runtime: Some(runtime),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Writes a kubeconfig for it into the world: context `fake`, namespace `default`.
    #[must_use]
    pub fn kubeconfig(&self, world: &World) -> PathBuf {
        Self::kubeconfig_at(world, self.address)
    }

    /// The same for a server that is reached by another address, through a [relay](crate::delay) for example.
    #[must_use]
    pub fn kubeconfig_at(world: &World, address: SocketAddr) -> PathBuf {
        Self::kubeconfig_with(world, address, &json!({"token": FIRST_TOKEN}))
    }

    /// The same with other credentials.
    #[must_use]
    pub fn kubeconfig_with(world: &World, address: SocketAddr, user: &Value) -> PathBuf {
        // JSON is YAML.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "contexts": [{
                "name": "fake",
                "context": {"cluster": "fake", "user": "fake", "namespace": "default"},
            }],
            "clusters": [{"name": "fake", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "fake", "user": user}],
        });
        world.file("kubeconfig", &config.to_string())
    }

    /// Creates or replaces an object.
    ///
    /// # Panics
    /// If it is of a kind that it does not know.
    pub fn put(&self, object: Value) {
        self.state
            .change(|store| store.put(object))
            .expect("an object as Kubernetes has it");
    }

    /// Deletes an object of `default`: `pods`, `NAME`.
    pub fn delete(&self, resource: &str, name: &str) {
        let resource = Resource::named(resource);
        self.state
            .change(|store| store.delete(resource, "default", name));
    }

    /// Creates or replaces a pod in `default` that runs and is ready, has the label `app`, and whose ports (a name, a
    /// number) lead to addresses. A port that is not named leads nowhere.
    pub fn pod(&self, name: &str, app: &str, ports: &[(&str, u16, SocketAddr)]) {
        let mut targets = locked(&self.state.targets);
        for (_, port, address) in ports {
            targets.insert((name.to_owned(), *port), *address);
        }
        drop(targets);
        let declared: Vec<Value> = ports
            .iter()
            .map(|(port_name, port, _)| json!({"name": port_name, "containerPort": port}))
            .collect();
        self.put(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "labels": {"app": app}},
            "spec": {"containers": [{"name": "main", "image": "none", "ports": declared}]},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{
                    "name": "main", "image": "none", "imageID": "", "ready": true, "restartCount": 0,
                    "state": {"running": {"startedAt": "2020-01-01T00:00:00Z"}},
                }],
            },
        }));
    }

    /// Changes how it behaves from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut locked(&self.state.behaviour));
    }

    /// Ends every watch, and forgets what changed so far: who asks for it gets `410 Gone`.
    pub fn forget(&self) {
        self.state.change(Store::forget);
        self.state.watches.send_modify(|epoch| *epoch += 1);
    }

    /// Ends every watch.
    pub fn end_watches(&self) {
        self.state.watches.send_modify(|epoch| *epoch += 1);
    }

    /// Every request so far, `METHOD /path?query`, with the status of its answer.
    #[must_use]
    pub fn seen(&self) -> Vec<(String, u16)> {
        locked(&self.state.seen).clone()
    }

    /// Records the bytes of the forwards from now on.
    pub fn record(&self) {
        *locked(&self.state.recording) = Some(Recording::default());
    }

    /// What was recorded.
    #[must_use]
    pub fn recording(&self) -> Recording {
        locked(&self.state.recording).clone().unwrap_or_default()
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
