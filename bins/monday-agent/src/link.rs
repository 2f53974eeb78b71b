//! One tunnel: who may have it, and what may be asked of it.

use bytes::Bytes;
use monday_shared::channel_relay::{CREDIT_TYPE, Came, Gone, Receiver, Sender, credit_of};
use russh::keys::PublicKey;
use russh::server::{Auth, Handler, Msg, Session, VerifiedPublicKey};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::task::JoinSet;

use crate::ports::{Claim, Ports};
use crate::say::say;

/// Our side of a tunnel. Its ports are closed when it is dropped, however it ended.
pub(crate) struct Link {
    key: PublicKey,
    ports: Ports,
    let_in: bool,
    open: JoinSet<()>,
}

impl Link {
    pub(crate) fn new(key: PublicKey, ports: Ports) -> Self {
        Self {
            key,
            ports,
            let_in: false,
            open: JoinSet::new(),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.let_in {
            say("the tunnel is gone");
        }
    }
}

impl Handler for Link {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        if key.public_key.key_data() == self.key.key_data() {
            self.let_in = true;
            say("a tunnel stands");
            return Ok(Auth::Accept);
        }
        say("somebody without the key of this session was refused");
        Ok(Auth::reject())
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        session: &mut Session,
    ) -> Result<bool, russh::Error> {
        let Ok(number @ 1..) = u16::try_from(*port) else {
            return Ok(false);
        };
        let claim = Claim {
            address: address.to_owned(),
            port: number,
            handle: session.handle(),
        };
        match self.ports.open(claim, &mut self.open).await {
            Ok(()) => Ok(true),
            Err(error) => {
                say(format_args!("cannot listen on port {number}: {error}"));
                Ok(false)
            }
        }
    }

    async fn cancel_tcpip_forward(
        &mut self,
        _: &str,
        port: u32,
        _: &mut Session,
    ) -> Result<bool, russh::Error> {
        Ok(u16::try_from(port).is_ok_and(|port| self.ports.close(port)))
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
