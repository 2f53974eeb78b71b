//! `ssh-remote`: from a port of the remote machine to what this one reaches.

use std::sync::Arc;
use std::time::Duration;

use monday_shared::address::Target;
use monday_shared::dial::{Patience, dial};
use monday_shared::protocol::fwd::SshRemoteSpec;
use russh::ChannelOpenFailure;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::client::Incoming;
use super::connect::{Link, Plan};
use super::error::{ConnectError, Step};
use super::keeper::{self, Use};
use super::relay::{From, relay};
use super::rule::{host_and_port, split_host_and_port};
use crate::local::Local;
use crate::scope::Scope;

/// How long the target on this machine may take to accept.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long the server may take to answer whether it listens.
const LISTEN_WITHIN: Duration = Duration::from_secs(15);

/// A specification that makes sense.
#[derive(Clone, Debug)]
pub(crate) struct SshRemoteWish {
    plan: Plan,
    host: String,
    port: u16,
    target: Target,
}

impl SshRemoteWish {
    pub(crate) fn read(spec: &SshRemoteSpec) -> Result<Self, String> {
        let (host, port) = split_host_and_port(&spec.listen)?;
        Ok(Self {
            plan: Plan::read(&spec.remote, &spec.args)?,
            host,
            port,
            target: spec
                .target
                .parse()
                .map_err(|error: monday_shared::address::AddressError| error.to_string())?,
        })
    }

    pub(crate) fn listen(&self) -> String {
        host_and_port(&self.host, self.port)
    }

    pub(crate) fn start(self, scope: &Scope) {
        let (incoming, came) = mpsc::unbounded_channel();
        let (listening, where_) = watch::channel(None);
        let remote = Arc::new(Remote {
            scope: scope.clone(),
            host: self.host,
            port: self.port,
            incoming,
            listening,
        });
        scope.spawn(take_all(came, where_, self.target, scope.clone()));
        keeper::start(self.plan, scope, remote);
    }
}

/// The link through which the server listens, and the port that it chose.
type Listening = Option<(Arc<Link>, u32)>;

struct Remote {
    scope: Scope,
    host: String,
    port: u16,
    incoming: mpsc::UnboundedSender<Incoming>,
    listening: watch::Sender<Listening>,
}

impl Use for Remote {
    async fn prepare(&self, link: &Arc<Link>, again: bool) -> Result<(), ConnectError> {
        // A port that was chosen before stays, so that whoever knows it finds us again.
        let before = self.listening.borrow().as_ref().map(|(_, port)| *port);
        let port = before.unwrap_or_else(|| u32::from(self.port));
        let asking = link.handle.tcpip_forward(self.host.clone(), port);
        let chosen = match timeout(LISTEN_WITHIN, asking).await {
            Ok(Ok(chosen)) => chosen,
            Ok(Err(russh::Error::RequestDenied)) => return Err(self.denied(link, port, again)),
            Ok(Err(_)) => {
                return Err(ConnectError::temporary(
                    Step::Listen,
                    &link.server,
                    link.why_ended(),
                ));
            }
            Err(_) => {
                return Err(ConnectError::temporary(
                    Step::Listen,
                    &link.server,
                    format!("no answer within {} s", LISTEN_WITHIN.as_secs()),
                ));
            }
        };
        // It is told only where it was left to the server.
        let port = if port == 0 { chosen } else { port };
        self.listening.send_replace(Some((Arc::clone(link), port)));
        let port = u16::try_from(port).unwrap_or(self.port);
        self.scope.listens(host_and_port(&self.host, port));
        Ok(())
    }

    fn incoming(&self) -> Option<mpsc::UnboundedSender<Incoming>> {
        Some(self.incoming.clone())
    }
}

impl Remote {
    /// The server does not listen. Where it did before, it may not have noticed yet that we were gone.
    fn denied(&self, link: &Link, port: u32, again: bool) -> ConnectError {
        let listen = format!("port {port} on {}", self.host);
        if again {
            return ConnectError::temporary(
                Step::Listen,
                &link.server,
                format!(
                    "{listen} is still taken, as a rule by our connection from before, which the server has not given up yet; ClientAliveInterval in its sshd_config makes that quicker"
                ),
            );
        }
        ConnectError::permanent(
            Step::Listen,
            &link.server,
            format!(
                "the server refuses {listen}: somebody listens there already, its sshd_config forbids it (AllowTcpForwarding, PermitListen, and GatewayPorts for other than loopback addresses), or the port is below 1024 and the user is not root"
            ),
        )
    }
}

/// Takes every connection that comes, each in a task of its own.
async fn take_all(
    mut came: mpsc::UnboundedReceiver<Incoming>,
    listening: watch::Receiver<Listening>,
    target: Target,
    scope: Scope,
) {
    while let Some(incoming) = came.recv().await {
        let mut listening = listening.clone();
        let (target, own) = (target.clone(), scope.clone());
        scope.spawn(async move {
            // It may come before the server's answer that it listens.
            let ours = async { listening.wait_for(Option::is_some).await.ok()?.clone() };
            let ours = timeout(LISTEN_WITHIN, ours).await.ok().flatten();
            take(incoming, ours, &target, &own).await;
        });
    }
}

async fn take(incoming: Incoming, listening: Listening, target: &Target, scope: &Scope) {
    let Incoming {
        channel,
        port,
        from,
        reply,
    } = incoming;
    let Some((link, _)) = listening.filter(|(_, ours)| *ours == port) else {
        tracing::warn!(
            port,
            "the server passes on a connection to a port that nobody asked for"
        );
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        return;
    };
    let connection = scope.connection(from);
    let patience = Patience {
        connect_timeout: CONNECT_WITHIN,
        connect_wait: Duration::ZERO,
    };
    match dial(target, patience).await {
        Ok(stream) => {
            reply.accept().await;
            relay(
                Local::from(stream),
                channel,
                &link,
                connection,
                From::Remote,
            )
            .await;
        }
        Err(error) => {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            connection.fail(error.to_string());
        }
    }
}
