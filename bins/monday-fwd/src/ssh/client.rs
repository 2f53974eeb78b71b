//! What the server may say to us between requests.

use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::host_key::HostKeys;

/// A connection that came to the port that the server listens on for us.
pub(super) struct Incoming {
    /// Its two directions.
    pub(super) channel: Channel<Msg>,
    /// To which port it came.
    pub(super) port: u32,
    /// Who connected, as the server sees it.
    pub(super) from: String,
    /// To take it or not.
    pub(super) reply: ChannelOpenHandle,
}

/// What is heard of a connection to a server, for whoever holds it.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// It is over.
    pub(super) ended: CancellationToken,
    said: Arc<Mutex<Said>>,
}

#[derive(Debug, Default)]
struct Said {
    distrust: Option<String>,
    end: Option<String>,
    refusal: Option<String>,
}

impl Heard {
    fn say(&self, what: impl FnOnce(&mut Said)) {
        // Nothing panics while it holds the lock, and if it did the texts would still be good.
        what(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn ask<T>(&self, what: impl FnOnce(&Said) -> T) -> T {
        what(&self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why the host key is not trusted.
    pub(super) fn distrust(&self) -> Option<String> {
        self.ask(|said| said.distrust.clone())
    }

    /// Why the connection ended.
    pub(super) fn end(&self) -> Option<String> {
        self.ask(|said| said.end.clone())
    }

    /// What the server said when it opened no channel, the last time.
    pub(super) fn refusal(&self) -> Option<String> {
        self.ask(|said| said.refusal.clone())
    }
}

/// Our side of a connection, as the protocol's task calls it.
pub(super) struct Client {
    keys: HostKeys,
    heard: Heard,
    incoming: Option<mpsc::UnboundedSender<Incoming>>,
    /// However the task ends, this goes with it.
    _ended: DropGuard,
}

impl Client {
    /// One that accepts these host keys; connections from the server are passed on, if there is somebody who takes them.
    pub(super) fn new(
        keys: HostKeys,
        heard: Heard,
        incoming: Option<mpsc::UnboundedSender<Incoming>>,
    ) -> Self {
        let ended = heard.ended.clone().drop_guard();
        Self {
            keys,
            heard,
            incoming,
            _ended: ended,
        }
    }
}

/// Nothing that a server opens is taken unless it was asked for.
async fn refuse(reply: ChannelOpenHandle) -> Result<(), russh::Error> {
    reply
        .reject(ChannelOpenFailure::AdministrativelyProhibited)
        .await;
    Ok(())
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        match self.keys.check(shown) {
            Ok(()) => Ok(true),
            Err(why) => {
                self.heard.say(|said| said.distrust = Some(why));
                Ok(false)
            }
        }
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), russh::Error> {
        tracing::info!(banner = banner.trim_end(), "the server says");
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.heard
            .say(|said| said.refusal = Some(description.to_owned()));
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _: &str,
        connected_port: u32,
        originator_address: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(incoming) = &self.incoming else {
            return refuse(reply).await;
        };
        let came = Incoming {
            channel,
            port: connected_port,
            from: format!("{originator_address} port {originator_port}"),
            reply,
        };
        // Never answered here: this runs within the task that serves all channels. Whoever took them may be gone, then
        // dropping it refuses it.
        let _ = incoming.send(came);
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        refuse(reply).await
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<russh::Error>,
    ) -> Result<(), russh::Error> {
        let why = match reason {
            DisconnectReason::ReceivedDisconnect(info) => info.message,
            DisconnectReason::Error(russh::Error::KeepaliveTimeout) => {
                "the server has not answered any more".to_owned()
            }
            DisconnectReason::Error(russh::Error::HUP | russh::Error::Disconnect) => {
                "the server closed the connection".to_owned()
            }
            DisconnectReason::Error(error) => error.to_string(),
        };
        self.heard.say(|said| said.end = Some(why));
        Ok(())
    }
}
