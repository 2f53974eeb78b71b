//! From a server as it was written to a connection that is logged in.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::client::{Config, Handle, Msg, connect_stream};
use russh::{ChannelStream, Limits, SshId};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::ahead::Ahead;
use super::algorithms;
use super::args::Args;
use super::client::{Client, Heard, Incoming};
use super::config::{self, Proxy, Settings, System};
use super::destination::Destination;
use super::error::{ConnectError, Step};
use super::host_key::HostKeys;
use super::login::log_in;
use super::transport::{self, Stream};

/// How much the server may send on a channel before it is told that there is room for more: enough for 160 ms at a
/// gigabit. What we may send is the server's choice.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// The largest packet that we take: what OpenSSH takes as well.
const PACKET_BYTES: u32 = 32 * 1024;

/// How many packets wait for the task that takes them to the client. The protocol's task stops when they are full, so
/// they are many; see [`super::relay`] for who empties them.
const CHANNEL_PACKETS: usize = 512;

/// Keys are changed after an hour at the latest (RFC 4253, section 9).
const REKEY_AFTER: Duration = Duration::from_secs(3600);

/// How many jumps may lead to jumps.
const MOST_JUMPS: usize = 16;

/// How long the server of a jump may take to connect to the next one.
const JUMP_WITHIN: Duration = Duration::from_secs(30);

/// A connection that is logged in.
pub(super) struct Link {
    pub(super) handle: Handle<Client>,
    pub(super) heard: Heard,
    /// `user@host:port`.
    pub(super) server: String,
    /// Connections that it carries.
    pub(super) active: AtomicUsize,
    /// Those of them whose client does not take what there is for it.
    pub(super) stalled: AtomicUsize,
    /// The connections that it runs over.
    _hops: Vec<Handle<Client>>,
}

impl Link {
    /// Why it ended.
    pub(super) fn why_ended(&self) -> String {
        let why = self.heard.end();
        let why = why.filter(|why| !why.is_empty());
        format!(
            "the connection to {} is lost: {}",
            self.server,
            why.unwrap_or_else(|| "it has ended".to_owned())
        )
    }

    /// Whether a client of it does not take what there is.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed) > 0
    }
}

/// What has to be known to connect.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The server as it was written.
    pub(super) destination: Destination,
    /// The arguments of ssh(1).
    pub(super) args: Args,
}

impl Plan {
    /// Reads a server and arguments.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn read(remote: &str, args: &[String]) -> Result<Self, String> {
        Ok(Self {
            destination: Destination::read(remote)?,
            args: Args::read(args)?,
        })
    }

    /// Connects and logs in. `warn` is told what is not honoured.
    ///
    /// # Errors
    /// [`ConnectError`] for the first step that failed.
    pub(super) async fn connect(
        &self,
        incoming: Option<mpsc::UnboundedSender<Incoming>>,
        warn: impl Fn(String),
    ) -> Result<Link, ConnectError> {
        let args = self.destination.and(self.args.clone());
        let settings = resolve(&self.destination, args).await?;
        for ignored in self.args.ignored.iter().chain(&settings.ignored) {
            warn(format!(
                "`{}` ({}) is not honoured here",
                ignored.keyword, ignored.place
            ));
        }
        let mut hops = Vec::new();
        let (handle, heard) = connect(&settings, &self.args, incoming, &mut hops, 0).await?;
        Ok(Link {
            handle,
            heard,
            server: name(&settings),
            active: AtomicUsize::new(0),
            stalled: AtomicUsize::new(0),
            _hops: hops,
        })
    }
}

/// `user@host:port`.
fn name(settings: &Settings) -> String {
    let Settings {
        user, host, port, ..
    } = settings;
    if host.contains(':') {
        format!("{user}@[{host}]:{port}")
    } else {
        format!("{user}@{host}:{port}")
    }
}

async fn resolve(destination: &Destination, args: Args) -> Result<Settings, ConnectError> {
    let host = destination.host.clone();
    let failed = |why: String| ConnectError::permanent(Step::Configure, &destination.host, why);
    // Files are read, and commands of `Match exec` are run.
    tokio::task::spawn_blocking(move || config::resolve(&args, &config::query(&host), &System))
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))
}

type Connected<'a> =
    Pin<Box<dyn Future<Output = Result<(Handle<Client>, Heard), ConnectError>> + Send + 'a>>;

/// Connects to a server by the way that its settings say; the connections that lead there are put into `hops`.
fn connect<'a>(
    settings: &'a Settings,
    args: &'a Args,
    incoming: Option<mpsc::UnboundedSender<Incoming>>,
    hops: &'a mut Vec<Handle<Client>>,
    depth: usize,
) -> Connected<'a> {
    Box::pin(async move {
        let server = name(settings);
        match &settings.proxy {
            Proxy::None => {
                let stream = transport::tcp(settings, &server).await?;
                shake_hands(settings, stream, incoming).await
            }
            Proxy::Command(command) => {
                let stream = transport::piped(command, &server)?;
                shake_hands(settings, stream, incoming)
                    .await
                    .map_err(|error| {
                        if error.step == Step::Exchange {
                            let why = format!("{} (ProxyCommand `{command}`)", error.why);
                            ConnectError {
                                step: Step::Proxy,
                                why,
                                ..error
                            }
                        } else {
                            error
                        }
                    })
            }
            Proxy::Jump(jumps) => {
                let stream = jump(settings, jumps, args, hops, depth).await?;
                shake_hands(settings, stream, incoming).await
            }
        }
    })
}

/// The stream to a server through others.
async fn jump(
    settings: &Settings,
    jumps: &[String],
    args: &Args,
    hops: &mut Vec<Handle<Client>>,
    depth: usize,
) -> Result<ChannelStream<Msg>, ConnectError> {
    let server = name(settings);
    if depth >= MOST_JUMPS {
        return Err(ConnectError::permanent(
            Step::Configure,
            &server,
            "ProxyJump leads from server to server without an end",
        ));
    }
    let mut before: Option<Handle<Client>> = None;
    let mut way = Vec::with_capacity(jumps.len());
    for jump in jumps {
        let destination = Destination::with_port(jump).map_err(|why| {
            ConnectError::permanent(Step::Configure, &server, format!("ProxyJump: {why}"))
        })?;
        let args = destination.and(args.for_jump());
        way.push(resolve(&destination, args).await?);
    }
    for hop in &way {
        let handle = match before.take() {
            // The first one is reached by its own settings, as ssh(1) does it.
            None => connect(hop, args, None, hops, depth + 1).await?.0,
            Some(handle) => {
                let stream = through(&handle, hop).await?;
                hops.push(handle);
                shake_hands(hop, stream, None).await?.0
            }
        };
        before = Some(handle);
    }
    let Some(handle) = before else {
        return Err(ConnectError::permanent(
            Step::Configure,
            &server,
            "ProxyJump names no server",
        ));
    };
    let stream = through(&handle, settings).await?;
    hops.push(handle);
    Ok(stream)
}

/// A channel to the next server.
async fn through(
    handle: &Handle<Client>,
    next: &Settings,
) -> Result<ChannelStream<Msg>, ConnectError> {
    let server = name(next);
    let failed = |why: String| ConnectError::temporary(Step::Connect, &server, why);
    let opening =
        handle.channel_open_direct_tcpip(next.host.clone(), u32::from(next.port), "127.0.0.1", 0);
    match timeout(JUMP_WITHIN, opening).await {
        Ok(Ok(channel)) => Ok(channel.into_stream()),
        Ok(Err(error)) => Err(failed(format!("the server before it says: {error}"))),
        Err(_) => Err(failed(format!(
            "the server before it did not reach it within {} s",
            JUMP_WITHIN.as_secs()
        ))),
    }
}

/// Agrees on keys, checks who it is, and logs in.
async fn shake_hands(
    settings: &Settings,
    stream: impl Stream,
    incoming: Option<mpsc::UnboundedSender<Incoming>>,
) -> Result<(Handle<Client>, Heard), ConnectError> {
    let server = name(settings);
    let keys = HostKeys::read(settings)
        .map_err(|why| ConnectError::permanent(Step::HostKey, &server, why))?;
    let preferred = algorithms::preferred(settings, &keys.kinds(), keys.has_authority())
        .map_err(|why| ConnectError::permanent(Step::Configure, &server, why))?;
    let rekey_bytes = settings.rekey_bytes.unwrap_or(REKEY_BYTES).min(REKEY_BYTES);
    let config = Config {
        client_id: SshId::Standard(concat!("SSH-2.0-monday_", env!("CARGO_PKG_VERSION")).into()),
        limits: Limits::new(rekey_bytes, rekey_bytes, REKEY_AFTER),
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES,
        channel_buffer_size: CHANNEL_PACKETS,
        preferred,
        keepalive_interval: settings.alive_interval,
        keepalive_max: settings.alive_count as usize,
        ..Config::default()
    };
    let heard = Heard::default();
    let client = Client::new(keys, heard.clone(), incoming);
    let exchanging = connect_stream(Arc::new(config), Ahead::new(stream), client);
    let mut handle = match timeout(settings.connect_timeout, exchanging).await {
        Ok(Ok(handle)) => handle,
        Ok(Err(error)) => return Err(explain(&error, &heard, &server)),
        Err(_) => {
            let why = format!(
                "it was not done within {} s (ConnectTimeout)",
                settings.connect_timeout.as_secs()
            );
            return Err(ConnectError::temporary(Step::Exchange, &server, why));
        }
    };
    log_in(&mut handle, settings, &server, &heard).await?;
    Ok((handle, heard))
}

/// Keys are changed after that many bytes at the latest (RFC 4253, section 9).
const REKEY_BYTES: usize = 1 << 30;

fn explain(error: &russh::Error, heard: &Heard, server: &str) -> ConnectError {
    if let Some(why) = heard.distrust() {
        return ConnectError::permanent(Step::HostKey, server, why);
    }
    match error {
        russh::Error::NoCommonAlgo { kind, ours, theirs } => ConnectError::permanent(
            Step::Exchange,
            server,
            format!(
                "there is no common {kind:?} algorithm: we offer {}, the server accepts {}; name one of its own with -o ({})",
                ours.join(", "),
                theirs.join(", "),
                "Ciphers, KexAlgorithms, MACs or HostKeyAlgorithms"
            ),
        ),
        russh::Error::HUP | russh::Error::Disconnect => ConnectError::temporary(
            Step::Exchange,
            server,
            "the other side closed the connection: is it an SSH server, and does it let this machine in (MaxStartups, a firewall)?",
        ),
        russh::Error::Version => ConnectError::temporary(
            Step::Exchange,
            server,
            "the other side does not speak SSH: is this the right port?",
        ),
        error => ConnectError::temporary(Step::Exchange, server, error),
    }
}
