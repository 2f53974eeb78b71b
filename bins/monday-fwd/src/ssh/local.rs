//! `ssh`: from a port of this machine to what the remote machine reaches.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use monday_shared::protocol::fwd::SshSpec;
use russh::client::Msg;
use russh::{Channel, ChannelOpenFailure};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::client::Incoming;
use super::connect::{Link, Plan};
use super::error::ConnectError;
use super::keeper::{self, Links, Use};
use super::relay::{From, relay};
use super::rule::split_host_and_port;
use crate::connection::Connection;
use crate::listener::{Bound, Tunnel, accept_all};
use crate::local::Local;
use crate::place::Place;
use crate::scope::Scope;

/// How long the server may take to connect to the target. It says nothing meanwhile, and its own system may try for two
/// minutes.
const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// Where connections lead at the far end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Far {
    Port(String, u16),
    Socket(String),
}

/// A specification that makes sense.
#[derive(Clone, Debug)]
pub(crate) struct SshWish {
    place: Place,
    plan: Plan,
    far: Far,
    target: String,
    wait: Duration,
}

impl SshWish {
    pub(crate) fn read(spec: &SshSpec) -> Result<Self, String> {
        let place = spec.listen.parse::<Place>();
        let far = if spec.target.starts_with('/') {
            Far::Socket(spec.target.clone())
        } else {
            let (host, port) = split_host_and_port(&spec.target)?;
            Far::Port(host, port)
        };
        Ok(Self {
            place: place.map_err(|error| error.to_string())?,
            plan: Plan::read(&spec.remote, &spec.args)?,
            far,
            target: spec.target.clone(),
            wait: spec.connect_wait.0,
        })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn start(self, scope: &Scope, bound: Bound) {
        let links = keeper::start(self.plan, scope, Arc::new(Nothing));
        let tunnel = Arc::new(Forward {
            scope: scope.clone(),
            links,
            far: self.far,
            target: self.target,
            wait: self.wait,
        });
        scope.spawn(accept_all(bound, tunnel, scope.clone()));
    }
}

/// A link needs no preparation.
struct Nothing;

impl Use for Nothing {
    async fn prepare(&self, _: &Arc<Link>, _: bool) -> Result<(), ConnectError> {
        Ok(())
    }

    fn incoming(&self) -> Option<mpsc::UnboundedSender<Incoming>> {
        None
    }
}

struct Forward {
    scope: Scope,
    links: Links,
    far: Far,
    target: String,
    wait: Duration,
}

impl Tunnel for Forward {
    async fn carry(&self, client: Local, connection: Connection) {
        // The opening is in a box of its own, which is gone once it is done.
        let opening = Box::pin(self.open());
        let opened = tokio::select! {
            opened = opening => opened,
            // Nobody waits any more.
            () = client.failed() => return,
        };
        match opened {
            Ok((channel, link)) => relay(client, channel, &link, connection, From::Local).await,
            Err(why) => {
                // As the target would have done: refused is a reset, not the clean end of an empty stream.
                client.reset();
                connection.fail(why);
            }
        }
    }
}

impl Forward {
    /// Opens a channel, on the best link that there is, or will be in time.
    async fn open(&self) -> Result<(Channel<Msg>, Arc<Link>), String> {
        let deadline = Instant::now() + self.wait;
        let mut links = self.links.clone();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if links.best().is_none() {
                links.hurry();
                self.scope.until_up(left).await?;
            }
            let Some(link) = links.best() else {
                let more = timeout(left, links.changed()).await;
                if more.is_err() {
                    return Err(format!(
                        "the tunnel had no room within {:?}: its clients do not read",
                        self.wait
                    ));
                }
                continue;
            };
            match timeout(OPEN_WITHIN, self.open_on(&link)).await {
                Ok(Ok(channel)) => return Ok((channel, link)),
                Ok(Err(Some(why))) => return Err(why),
                // The link is lost; nothing has been sent yet, so the next one will do.
                Ok(Err(None)) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(link.why_ended());
                    }
                    // Its end is noted a moment after it is felt.
                    let _ = timeout(left, link.heard.ended.cancelled()).await;
                }
                Err(_) => {
                    return Err(format!(
                        "{} did not reach {} within {} s",
                        link.server,
                        self.target,
                        OPEN_WITHIN.as_secs()
                    ));
                }
            }
        }
    }

    /// `Err(None)`: the link is lost.
    async fn open_on(&self, link: &Link) -> Result<Channel<Msg>, Option<String>> {
        // Who connects is of no use to the server; what ssh(1) says is this machine's own address as well.
        let origin = SocketAddr::from(([127, 0, 0, 1], 0));
        let opened = match &self.far {
            Far::Port(host, port) => {
                link.handle
                    .channel_open_direct_tcpip(
                        host.clone(),
                        u32::from(*port),
                        origin.ip().to_string(),
                        u32::from(origin.port()),
                    )
                    .await
            }
            Far::Socket(path) => {
                link.handle
                    .channel_open_direct_streamlocal(path.clone())
                    .await
            }
        };
        opened.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(reason) => Some(self.refused(link, &reason)),
            _ => None,
        })
    }

    /// Why the server opens no channel.
    fn refused(&self, link: &Link, reason: &ChannelOpenFailure) -> String {
        let said = link.heard.refusal().filter(|said| !said.is_empty());
        let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
        let (server, target) = (&link.server, &self.target);
        match reason {
            ChannelOpenFailure::AdministrativelyProhibited => format!(
                "{server} does not forward to {target}{said}: its sshd_config forbids it (AllowTcpForwarding, PermitOpen, DisableForwarding), or the key's options in authorized_keys do"
            ),
            ChannelOpenFailure::ConnectFailed => format!(
                "{server} cannot connect to {target}{said}: does it listen there, as seen from that machine?"
            ),
            other => format!("{server} does not open a channel to {target}{said}: {other:?}"),
        }
    }
}
