//! The tunnel to one pod, made again for as long as the pod is there.

use std::sync::Arc;
use std::time::Duration;

use monday_shared::address::Target;
use monday_shared::backoff::{Backoff, Policy};
use monday_shared::channel_relay::{Count, Ended, relay};
use monday_shared::dial::{Patience, Stream, dial};
use russh::ChannelOpenFailure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::keys::Key;
use super::patch::replace::AGENT_PORT;
use super::pod_stream;
use super::ssh::{self, Connected, FromFar, Incoming, ToFar};
use crate::connection::Connection;
use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::transport::{Kind, PodName};
use crate::scope::Scope;

/// How tries follow each other: a pod that has just started is not quite there, an API server that restarts is away for
/// seconds.
const AGAIN: Policy = Policy {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(2),
    healthy_after: Duration::from_secs(10),
};

/// How long all of it may take: the stream, the greeting and the ports.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long the application on this machine may take to accept.
const DIAL_WITHIN: Duration = Duration::from_secs(5);

/// All addresses of the pod.
const EVERYWHERE: &str = "0.0.0.0";

/// What an ordinary sshd cannot say by itself: that the tunnel stands.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What all tunnels of a session have in common.
pub(crate) struct Common {
    pub(crate) scope: Scope,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) key: Key,
    /// Ports of the pod, and where they lead.
    pub(crate) ports: Vec<(u16, Target)>,
    /// The port at which the pod's probe asks.
    pub(crate) ready_port: Option<u16>,
    pub(crate) transport: Option<Kind>,
}

/// How a tunnel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// It is being made.
    #[default]
    Connecting,
    /// It stands.
    Up,
    /// It is away.
    Lost(String),
}

/// Keeps the tunnel to a pod, for ever, and reports how it is.
pub(crate) async fn keep(common: Arc<Common>, pod: PodName, report: impl Fn(State)) {
    let mut backoff = Backoff::new(AGAIN);
    loop {
        let began = Instant::now();
        let why = match timeout(CONNECT_WITHIN, connect(&common, &pod)).await {
            Ok(Ok((connected, came))) => {
                report(State::Up);
                tracing::debug!(%pod, "the tunnel stands");
                take_all(&common, connected, came).await
            }
            Ok(Err(why)) => why,
            Err(_) => format!("it was not made within {} s", CONNECT_WITHIN.as_secs()),
        };
        tracing::debug!(%pod, why, "the tunnel is away");
        report(State::Lost(format!(
            "the tunnel to pod {pod} is away: {why}"
        )));
        sleep(backoff.failed_after(began.elapsed())).await;
    }
}

type Came = mpsc::UnboundedReceiver<Incoming>;

async fn connect(common: &Common, pod: &PodName) -> Result<(Connected, Came), String> {
    let opened = pod_stream::open(&common.cluster, pod, AGENT_PORT, common.transport).await;
    let stream = opened.map_err(|error| error.to_string())?;
    let (incoming, came) = mpsc::unbounded_channel();
    let connected = match ssh::connect(stream.stream, &common.key, incoming).await {
        Ok(connected) => connected,
        Err(error) => {
            // What carried the stream knows better why it ended.
            let why = timeout(Duration::from_millis(200), stream.ended).await;
            return Err(match why {
                Ok(Ok(why)) => format!("{error}: {why}"),
                _ => error.to_string(),
            });
        }
    };
    // The probe's port comes last: it says that all others are there.
    let ports = common.ports.iter().map(|(port, _)| *port);
    for port in ports.chain(common.ready_port) {
        let asked = connected
            .handle
            .tcpip_forward(EVERYWHERE, u32::from(port))
            .await;
        asked.map_err(|error| format!("port {port} of the pod cannot be listened on: {error}"))?;
    }
    Ok((connected, came))
}

/// Takes every connection that comes, until the tunnel is over; says why it is.
async fn take_all(common: &Arc<Common>, connected: Connected, mut came: Came) -> String {
    let mut connections = JoinSet::new();
    let heard = connected.heard.clone();
    loop {
        tokio::select! {
            incoming = came.recv() => match incoming {
                Some(incoming) => {
                    let is_agent = heard.is_agent();
                    connections.spawn(take(Arc::clone(common), incoming, is_agent));
                }
                None => break,
            },
            () = heard.ended.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    heard.why().unwrap_or_else(|| "it has ended".to_owned())
}

async fn take(common: Arc<Common>, incoming: Incoming, is_agent: bool) {
    let Incoming {
        channel,
        port,
        from,
        reply,
    } = incoming;
    if common.ready_port.map(u32::from) == Some(port) {
        reply.accept().await;
        let mut stream = channel.into_stream();
        // Whoever asked may be gone.
        let answer = async {
            let mut question = [0; 1024];
            if stream.read(&mut question).await? > 0 {
                stream.write_all(ANSWER).await?;
            }
            stream.shutdown().await
        };
        let _ = timeout(DIAL_WITHIN, answer).await;
        return;
    }
    let target = common
        .ports
        .iter()
        .find(|(known, _)| u32::from(*known) == port);
    let Some((_, target)) = target else {
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        return;
    };
    let connection = common.scope.connection(from);
    let stream = match reach(target).await {
        Ok(stream) => stream,
        Err(why) => {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            connection.fail(why);
            return;
        }
    };
    reply.accept().await;
    let (reader, writer) = channel.split();
    let (sender, mut receiver) = (ToFar(writer), FromFar(reader));
    let ended = relay(
        stream,
        &sender,
        &mut receiver,
        is_agent,
        &Counted(&connection),
    )
    .await;
    // The tunnel may be gone, and the channel with it.
    let _ = sender.0.close().await;
    match ended {
        Ended::Lost => connection.fail("the tunnel was lost"),
        Ended::Cut => connection.fail("it was cut: the application does not read what comes"),
        Ended::Complete | Ended::Near(_) | Ended::Far => {}
    }
}

/// Connects to the application on this machine.
async fn reach(target: &Target) -> Result<TcpStream, String> {
    let patience = Patience {
        connect_timeout: DIAL_WITHIN,
        connect_wait: Duration::ZERO,
    };
    match dial(target, patience).await {
        Ok(Stream::Tcp(stream)) => Ok(stream),
        Ok(Stream::Unix(_)) => Err("it leads to a Unix socket".to_owned()),
        Err(error) => Err(format!("{error}; is the application running?")),
    }
}

struct Counted<'a>(&'a Connection);

impl Count for Counted<'_> {
    fn sent(&self, bytes: u64) {
        self.0
            .moved_down(usize::try_from(bytes).unwrap_or(usize::MAX));
    }

    fn received(&self, bytes: u64) {
        self.0
            .moved_up(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
}
