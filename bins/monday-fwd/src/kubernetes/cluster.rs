//! A cluster as a user of it: its client, made anew when the credentials have to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use kube::Client;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::Instant;

use super::client::client;
use super::kubeconfig::{self, ConfigError, Wish, causes};
use super::transport::Kind;

/// How often the configuration is read again at most: a plugin that hands out tokens which the server refuses shall
/// not be run all the time.
const RENEW_EVERY: Duration = Duration::from_secs(2);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The credentials, the certificates or the proxy in it.
    #[error("context {context}: {}", causes(.source))]
    Client {
        /// Which context.
        context: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// It panicked or was cancelled.
    #[error("reading the configuration was broken off: {0}")]
    Broken(#[from] JoinError),
}

/// A client and what messages say about it.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) client: Client,
    /// The namespace where none is asked for.
    pub(crate) default_namespace: String,
    /// The context's name; `None` in a cluster.
    pub(crate) context: Option<String>,
    /// The API server's address.
    pub(crate) server: String,
    /// Rises when it is made anew.
    generation: u64,
}

/// A cluster.
pub(crate) struct Cluster {
    wish: Wish,
    state: Mutex<State>,
    /// The transport that worked last: a [`Kind`] and one, or 0.
    works: AtomicU8,
}

#[derive(Default)]
struct State {
    access: Option<Arc<Access>>,
    made: Option<Instant>,
    generation: u64,
}

impl Cluster {
    /// One that is not connected to yet.
    pub(crate) fn new(wish: Wish) -> Self {
        Self {
            wish,
            state: Mutex::default(),
            works: AtomicU8::new(0),
        }
    }

    /// The client.
    ///
    /// # Errors
    /// [`ClusterError`], the first time it is needed.
    pub(crate) async fn access(&self) -> Result<Arc<Access>, ClusterError> {
        let mut state = self.state.lock().await;
        match &state.access {
            Some(access) => Ok(Arc::clone(access)),
            None => self.make(&mut state).await,
        }
    }

    /// Another client after the server did not accept the credentials of this one: the configuration is read again, and
    /// an exec plugin run again. `None`: that has just been done.
    ///
    /// # Errors
    /// [`ClusterError`]
    pub(crate) async fn renewed(
        &self,
        refused: &Access,
    ) -> Result<Option<Arc<Access>>, ClusterError> {
        let mut state = self.state.lock().await;
        if let Some(access) = &state.access
            && access.generation != refused.generation
        {
            return Ok(Some(Arc::clone(access)));
        }
        if refused.generation > 1 && state.made.is_some_and(|made| made.elapsed() < RENEW_EVERY) {
            return Ok(None);
        }
        self.make(&mut state).await.map(Some)
    }

    async fn make(&self, state: &mut State) -> Result<Arc<Access>, ClusterError> {
        state.generation += 1;
        state.made = Some(Instant::now());
        let (wish, generation) = (self.wish.clone(), state.generation);
        let runtime = Handle::current();
        // A plugin that asks for credentials is waited for: not on a thread that others need.
        let access = spawn_blocking(move || {
            // `Client::new` starts a task.
            let _entered = runtime.enter();
            runtime.block_on(make_access(&wish, generation))
        })
        .await??;
        let access = Arc::new(access);
        state.access = Some(Arc::clone(&access));
        Ok(access)
    }

    /// The transport that worked last.
    pub(crate) fn works(&self) -> Option<Kind> {
        let works = self.works.load(Ordering::Relaxed).checked_sub(1)?;
        Kind::ALL.get(usize::from(works)).copied()
    }

    /// Remembers what worked, or that it does not any more.
    pub(crate) fn set_works(&self, kind: Option<Kind>) {
        let place = kind.and_then(|kind| Kind::ALL.iter().position(|known| *known == kind));
        let value = place.map_or(0, |place| u8::try_from(place + 1).unwrap_or(0));
        self.works.store(value, Ordering::Relaxed);
    }
}

async fn make_access(wish: &Wish, generation: u64) -> Result<Access, ClusterError> {
    let found = kubeconfig::load(wish).await?;
    let client = client(&found.config).map_err(|source| ClusterError::Client {
        context: found
            .context
            .clone()
            .unwrap_or_else(|| "of the pod's service account".to_owned()),
        source: Box::new(source),
    })?;
    Ok(Access {
        client,
        default_namespace: found.config.default_namespace,
        context: found.context,
        server: found.config.cluster_url.to_string(),
        generation,
    })
}
