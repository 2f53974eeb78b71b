//! A stream to a port of a pod, through a port-forward of its own.

use std::io;
use std::sync::Arc;

use monday_shared::protocol::fwd;
use monday_shared::rpc::hub::Hub;
use tokio::net::UnixStream;
use tokio::runtime::Handle;

use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::spdy::carry::{Client, Ended, HalfClose, carry};
use crate::kubernetes::transport::{DialError, Kind, Link, PodName, dial};
use crate::kubernetes::v4;
use crate::local::Local;
use crate::scope::{Parts, Scope};

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// The API server gives none.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The system gives none.
    #[error("cannot make a pair of sockets: {0}")]
    Pair(#[from] io::Error),
}

/// A stream, and what becomes of what carries it.
pub(crate) struct PodStream {
    pub(crate) stream: UnixStream,
    /// Why it ended.
    pub(crate) ended: tokio::task::JoinHandle<String>,
}

/// Opens one.
///
/// # Errors
/// [`StreamError`]: the port may not have been connected to even without one.
pub(crate) async fn open(
    cluster: &Arc<Cluster>,
    pod: &PodName,
    port: u16,
    forced: Option<Kind>,
) -> Result<PodStream, StreamError> {
    let link = dial(cluster, pod, forced).await?;
    let (stream, near) = UnixStream::pair()?;
    let near = Local::from(near);
    // The tunnel is not one of the forward's connections.
    let connection = uncounted().connection(String::new());
    let ended = match link {
        Link::Session(mut session) => tokio::spawn(async move {
            let mut client = Client::new(near);
            // The agent passes it on.
            let ended = carry(
                &mut session,
                &mut client,
                &connection,
                port,
                HalfClose::Immediate,
            )
            .await;
            match ended {
                Ended::ByPod => "the agent closed the connection".to_owned(),
                Ended::ByClient => "it was closed here".to_owned(),
                Ended::Failed(reason) => reason,
                Ended::Lost { error, .. } => error.to_string(),
            }
        }),
        Link::PerConnection => {
            let access = cluster.access().await.map_err(DialError::from)?;
            let pod = pod.clone();
            tokio::spawn(async move {
                let carried = v4::carry(
                    &access,
                    &pod,
                    port,
                    &near,
                    &connection,
                    HalfClose::Immediate,
                )
                .await;
                match carried {
                    Ok(v4::Ended::ByPod) => "the agent closed the connection".to_owned(),
                    Ok(v4::Ended::ByClient) => "it was closed here".to_owned(),
                    Ok(v4::Ended::Failed(reason)) => reason,
                    Err(error) => error.to_string(),
                }
            })
        }
    };
    Ok(PodStream { stream, ended })
}

/// A scope that nobody hears of.
fn uncounted() -> Scope {
    Scope::new(Parts {
        id: String::new(),
        kind: fwd::Kind::KubernetesRemote,
        listen: String::new(),
        target: String::new(),
        stats: Arc::default(),
        hub: Hub::new(),
        runtime: Handle::current(),
    })
}
