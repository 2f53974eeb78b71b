//! Talks to one executable.

use std::collections::HashMap;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use interprocess::local_socket::tokio::Stream;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};

use super::framing::{Frame, LineReader};
use crate::protocol::MAX_LINE_BYTES;
use crate::protocol::common::{Bulk, Subscribe, SubscribeReply};
use crate::protocol::error::{ErrorKind, RpcError};
use crate::protocol::message::{Id, Outcome, Reply, Request, Version};
use crate::protocol::method::Call;
use crate::socket::{self, SocketError};

/// How many events wait here for a reader; then the connection is not read, and the server's queue takes over.
const EVENTS_AHEAD: usize = 64;

/// How many calls may wait to be written.
const CALLS_AHEAD: usize = 64;

/// Why a call did not bring a reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket could not be reached.
    #[error(transparent)]
    Connect(#[from] SocketError),
    /// The other side answered with an error.
    #[error(transparent)]
    Refused(#[from] RpcError),
    /// The connection ended before the reply came.
    #[error(
        "{socket}: the connection ended before `{method}` was answered; the process behind it died or was stopped"
    )]
    Lost {
        /// The control socket.
        socket: String,
        /// What was asked.
        method: &'static str,
    },
    /// The reply is not what the protocol says.
    #[error(
        "{socket}: the answer to `{method}` is not what protocol {} says: {source}; use executables of one version of monday together",
        crate::protocol::PROTOCOL
    )]
    Garbled {
        /// The control socket.
        socket: String,
        /// What was asked.
        method: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// A connection to a control socket. Clones share it; it closes when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    calls: mpsc::Sender<Pending>,
}

/// A call on its way to the task that owns the connection.
#[derive(Debug)]
struct Pending {
    method: &'static str,
    params: Value,
    reply: oneshot::Sender<Result<Value, RpcError>>,
}

/// The events of a subscription, as they were sent.
#[derive(Debug)]
pub struct Events<E> {
    raw: mpsc::Receiver<Value>,
    kind: PhantomData<E>,
}

/// What a subscription brings.
#[derive(Debug)]
pub enum Received<E> {
    /// An event of before the subscription.
    Past {
        /// When it was told first.
        at: SystemTime,
        /// The event.
        event: E,
    },
    /// An event.
    Event(E),
    /// This many lines were dropped on the way, because we were too slow.
    Lagged(u64),
}

impl Client {
    /// Connects to a control socket.
    ///
    /// # Errors
    /// [`ClientError::Connect`] if nobody serves it or it cannot be reached.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let (client, events) = Self::connect_with_events::<Value>(path).await?;
        // Without a reader of events none is subscribed to.
        drop(events);
        Ok(client)
    }

    /// Connects to a control socket and subscribes to its events.
    ///
    /// # Errors
    /// [`ClientError::Connect`] if it cannot be reached, otherwise as [`Self::call`].
    pub async fn subscribe<E: DeserializeOwned>(
        path: &Path,
        bulk: Bulk,
    ) -> Result<(Self, SubscribeReply, Events<E>), ClientError> {
        let all = Subscribe {
            bulk,
            ..Subscribe::default()
        };
        Self::subscribe_as(path, &all).await
    }

    /// The same with all that can be asked for. Of a history, as many events as the reply says are
    /// [`Received::Past`], and they come first.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub async fn subscribe_as<E: DeserializeOwned>(
        path: &Path,
        wanted: &Subscribe,
    ) -> Result<(Self, SubscribeReply, Events<E>), ClientError> {
        let (client, events) = Self::connect_with_events(path).await?;
        let reply = client.call(wanted).await?;
        Ok((client, reply, events))
    }

    async fn connect_with_events<E>(path: &Path) -> Result<(Self, Events<E>), ClientError> {
        let stream = socket::connect(path).await?;
        let (calls, to_send) = mpsc::channel(CALLS_AHEAD);
        let (events, raw) = mpsc::channel(EVENTS_AHEAD);
        tokio::spawn(own(stream, to_send, events));
        let client = Self {
            socket: path.to_owned(),
            calls,
        };
        Ok((
            client,
            Events {
                raw,
                kind: PhantomData,
            },
        ))
    }

    /// The control socket it is connected to.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with what the other side says, [`ClientError::Lost`] if it died,
    /// [`ClientError::Garbled`] if its reply cannot be understood.
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Reply, ClientError> {
        let garbled = |source| ClientError::Garbled {
            socket: self.socket.display().to_string(),
            method: C::METHOD,
            source,
        };
        let value = self
            .call_raw(C::METHOD, serde_json::to_value(call).map_err(garbled)?)
            .await?;
        serde_json::from_value(value).map_err(garbled)
    }

    async fn call_raw(&self, method: &'static str, params: Value) -> Result<Value, ClientError> {
        let (reply, answered) = oneshot::channel();
        let pending = Pending {
            method,
            params,
            reply,
        };
        let lost = || ClientError::Lost {
            socket: self.socket.display().to_string(),
            method,
        };
        self.calls.send(pending).await.map_err(|_| lost())?;
        Ok(answered.await.map_err(|_| lost())??)
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self) {
        self.calls.closed().await;
    }
}

impl<E: DeserializeOwned> Events<E> {
    /// The next event; `None` when the connection has ended. An event of a kind that this version does not know is
    /// passed over. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Received<E>> {
        /// The one event that the connection itself makes.
        #[derive(Deserialize)]
        #[serde(tag = "event", rename_all = "snake_case")]
        enum Own {
            Lagged { dropped: u64 },
        }
        loop {
            let value = self.raw.recv().await?;
            if let Ok(Own::Lagged { dropped }) = Own::deserialize(&value) {
                return Some(Received::Lagged(dropped));
            }
            let at = value
                .get("at")
                .and_then(Value::as_str)
                .map(humantime::parse_rfc3339);
            match serde_json::from_value(value) {
                Ok(event) => {
                    return Some(match at {
                        Some(Ok(at)) => Received::Past { at, event },
                        _ => Received::Event(event),
                    });
                }
                Err(error) => tracing::debug!(%error, "an unknown event was passed over"),
            }
        }
    }
}

/// Owns the connection: writes calls, hands out replies and events, until either side ends.
async fn own(stream: Stream, to_send: mpsc::Receiver<Pending>, events: mpsc::Sender<Value>) {
    let (sent, waiting) = mpsc::unbounded_channel();
    tokio::select! {
        () = send(&stream, to_send, sent) => {}
        () = receive(&stream, waiting, events) => {}
    }
}

/// Who waits for which reply.
type Waiting = (u64, oneshot::Sender<Result<Value, RpcError>>);

async fn send(
    mut stream: &Stream,
    mut calls: mpsc::Receiver<Pending>,
    sent: mpsc::UnboundedSender<Waiting>,
) {
    let mut id = 0;
    while let Some(Pending {
        method,
        params,
        reply,
    }) = calls.recv().await
    {
        id += 1;
        let request = Request {
            jsonrpc: Version::V2,
            id: Some(Id::Number(id)),
            method: method.to_owned(),
            params,
        };
        let Ok(mut line) = serde_json::to_vec(&request) else {
            continue;
        };
        if line.len() > MAX_LINE_BYTES {
            // The server would skip it, and nobody would ever know which request that was.
            let _ = reply.send(Err(RpcError::new(
                ErrorKind::TooLarge,
                format!(
                    "the parameters of `{method}` make {} bytes, and {MAX_LINE_BYTES} are the most; make them smaller",
                    line.len()
                ),
            )));
            continue;
        }
        line.push(b'\n');
        // Known before it is written, so that the reply never comes first.
        if sent.send((id, reply)).is_err() || stream.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// A line from the server: a reply or a notification.
#[derive(Deserialize)]
#[serde(untagged)]
enum Incoming {
    Reply(Reply),
    Event { params: Value },
}

async fn receive(
    stream: &Stream,
    mut sent: mpsc::UnboundedReceiver<Waiting>,
    events: mpsc::Sender<Value>,
) {
    let mut lines = LineReader::new(BufReader::new(stream));
    let mut waiting = HashMap::new();
    loop {
        let line = match lines.next().await {
            Ok(Frame::Line(line)) => line,
            Ok(Frame::TooLong) => {
                // Whose reply it was cannot be known: whoever waits for one is told that the connection is lost.
                tracing::warn!("the server sent a line that is longer than the protocol allows");
                return;
            }
            Ok(Frame::Partial(_) | Frame::End) => return,
            Err(error) => {
                log_lost(&error);
                return;
            }
        };
        match serde_json::from_slice(&line) {
            Ok(Incoming::Reply(Reply { id, outcome, .. })) => {
                while let Ok((id, reply)) = sent.try_recv() {
                    waiting.insert(id, reply);
                }
                if let Id::Number(id) = id
                    && let Some(reply) = waiting.remove(&id)
                {
                    // A caller that gave up waiting does not want it any more.
                    let _ = reply.send(match outcome {
                        Outcome::Result(value) => Ok(value),
                        Outcome::Error(error) => Err(error),
                    });
                }
            }
            // An error means that nobody reads events here, which is as it was wished.
            Ok(Incoming::Event { params }) => drop(events.send(params).await),
            Err(error) => {
                tracing::warn!(%error, "a line from the server is neither reply nor event");
            }
        }
    }
}

fn log_lost(error: &io::Error) {
    tracing::debug!(%error, "the connection to a control socket broke");
}
