//! SSH to an agent, or to an ordinary sshd in its place.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use monday_shared::channel_relay::{CREDIT_TYPE, Came, Gone, Receiver, Sender, credit_of};
use russh::client::{
    AuthResult, ChannelOpenHandle, Config, DisconnectReason, Handle, Handler, Msg, Session,
    connect_stream,
};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::keys::Key;

/// Who we are there. The agent lets in whoever has the key, and an ordinary sshd made for this knows root.
const USER: &str = "root";

/// How the agent begins its greeting (RFC 4253, section 4.2).
const AGENT_ID: &[u8] = b"SSH-2.0-monday_agent";

/// A tunnel that is silent is asked for a sign of life so often, and given up after so many without one.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVES: usize = 3;

/// The credit of the protocol; the agent and we agree on less ([`monday_shared::channel_relay`]).
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// More packets of one channel than that may not wait, or all channels do. They are taken at once.
const CHANNEL_PACKETS: usize = 512;

/// A connection that came to a port of the pod.
pub(crate) struct Incoming {
    pub(crate) channel: Channel<Msg>,
    pub(crate) port: u32,
    /// Who connected, as the pod sees it.
    pub(crate) from: String,
    pub(crate) reply: ChannelOpenHandle,
}

/// What is heard of a connection.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    /// It is over.
    pub(crate) ended: CancellationToken,
    why: Arc<Mutex<Option<String>>>,
    is_agent: Arc<std::sync::atomic::AtomicBool>,
}

impl Heard {
    /// Why it is over.
    pub(crate) fn why(&self) -> Option<String> {
        self.why
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Is it the agent, and not an ordinary sshd?
    pub(crate) fn is_agent(&self) -> bool {
        self.is_agent.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Our side of a connection.
pub(crate) struct Client {
    heard: Heard,
    incoming: mpsc::UnboundedSender<Incoming>,
    /// However it ends.
    _ended: DropGuard,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        // It was made when the pod started, so that nobody can know it. That this is the pod is what the API server says,
        // over TLS, as with every port-forward.
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        _: &russh::Names,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let is_agent = session.remote_sshid().starts_with(AGENT_ID);
        self.heard
            .is_agent
            .store(is_agent, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _: &str,
        port: u32,
        ip: &str,
        from: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        // Never answered here: this runs within the task that serves all channels. Dropping it refuses it.
        let _ = self.incoming.send(Incoming {
            channel,
            port,
            from: format!("{ip} port {from}"),
            reply,
        });
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<russh::Error>,
    ) -> Result<(), russh::Error> {
        let why = match reason {
            DisconnectReason::ReceivedDisconnect(info) => info.message,
            DisconnectReason::Error(russh::Error::KeepaliveTimeout) => {
                "the agent has not answered any more".to_owned()
            }
            DisconnectReason::Error(error) => error.to_string(),
        };
        *self
            .heard
            .why
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(why);
        Ok(())
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SshError {
    /// They did not agree on anything.
    #[error("{0}")]
    Protocol(#[from] russh::Error),
    /// We are not let in.
    #[error("the agent lets nobody in with the key of this session")]
    Refused,
}

/// A connection that is logged in.
pub(crate) struct Connected {
    pub(crate) handle: Handle<Client>,
    pub(crate) heard: Heard,
}

/// Logs in over a stream; connections to ports of the pod are passed on.
///
/// # Errors
/// [`SshError`]
pub(crate) async fn connect(
    stream: UnixStream,
    key: &Key,
    incoming: mpsc::UnboundedSender<Incoming>,
) -> Result<Connected, SshError> {
    let config = Arc::new(Config {
        window_size: WINDOW_BYTES,
        channel_buffer_size: CHANNEL_PACKETS,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES,
        ..Config::default()
    });
    let heard = Heard::default();
    let client = Client {
        heard: heard.clone(),
        incoming,
        _ended: heard.ended.clone().drop_guard(),
    };
    let mut handle = connect_stream(config, stream, client).await?;
    let key = PrivateKeyWithHashAlg::new(Arc::new(key.private().clone()), None);
    let mut answer = handle.authenticate_publickey(USER, key).await?;
    if !matches!(answer, AuthResult::Success) && !heard.is_agent() {
        // An sshd that asks for nothing says so in one of two ways.
        answer = handle.authenticate_none(USER).await?;
        if !matches!(answer, AuthResult::Success) {
            answer = handle.authenticate_password(USER, "").await?;
        }
    }
    match answer {
        AuthResult::Success => Ok(Connected { handle, heard }),
        AuthResult::Failure { .. } => Err(SshError::Refused),
    }
}

/// The sending side of a channel.
pub(crate) struct ToFar(pub(crate) ChannelWriteHalf<Msg>);

impl Sender for ToFar {
    async fn data(&self, bytes: Bytes) -> Result<(), Gone> {
        self.0.data_bytes(bytes).await.map_err(|_| Gone)
    }

    async fn credit(&self, bytes: Bytes) -> Result<(), Gone> {
        let sent = self.0.extended_data_bytes(CREDIT_TYPE, bytes).await;
        sent.map_err(|_| Gone)
    }

    async fn eof(&self) -> Result<(), Gone> {
        self.0.eof().await.map_err(|_| Gone)
    }
}

/// The receiving side of a channel.
pub(crate) struct FromFar(pub(crate) ChannelReadHalf);

impl Receiver for FromFar {
    async fn next(&mut self) -> Came {
        loop {
            match self.0.wait().await {
                Some(ChannelMsg::Data { data }) => return Came::Data(data),
                Some(ChannelMsg::ExtendedData {
                    data,
                    ext: CREDIT_TYPE,
                }) => {
                    if let Some(bytes) = credit_of(&data) {
                        return Came::Credit(bytes);
                    }
                }
                Some(ChannelMsg::Eof) => return Came::Eof,
                Some(ChannelMsg::Close) => return Came::Closed,
                Some(_) => {}
                None => return Came::Lost,
            }
        }
    }
}
