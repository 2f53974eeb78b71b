//! One client of a server: its requests in, its replies and events out.

use std::pin::pin;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use interprocess::local_socket::tokio::Stream;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

use super::framing::{Frame, LineReader};
use super::hub::{Delivery, Subscription};
use super::service::{Context, Service, hello, params, reply};
use crate::protocol::MAX_LINE_BYTES;
use crate::protocol::common::{Done, Hello, Shutdown, Subscribe, SubscribeReply};
use crate::protocol::error::{ErrorKind, RpcError};
use crate::protocol::message::{EVENT_METHOD, Id, Reply, Request, Stamped, Version};

/// How many requests of one client may be under way; further ones wait unread in the socket.
const REQUESTS_AT_ONCE: usize = 64;

/// How many replies wait for a client that does not read before its requests are not read either.
const REPLIES_AHEAD: usize = 16;

/// A connected client.
pub(super) struct Connection<S: Service> {
    context: Arc<Context<S>>,
    stream: Stream,
}

/// What the writing half is told to write.
enum Outgoing<E> {
    /// A reply.
    Reply(Reply),
    /// A reply, after which events follow.
    Subscribed(Reply, Subscription<E>),
}

impl<S: Service> Connection<S> {
    pub(super) fn new(context: Arc<Context<S>>, stream: Stream) -> Self {
        Self { context, stream }
    }

    /// Serves the client until it closed its side and has all its replies, or until the server ends.
    pub(super) async fn run(self) {
        let (outgoing, to_write) = mpsc::channel(REPLIES_AHEAD);
        let read = read(&self.context, &self.stream, outgoing);
        let write = write(&self.stream, to_write);
        // The writer ends when the reader has dropped its end and all is written, or when the client is gone.
        let mut write = pin!(write);
        let mut read = pin!(read);
        tokio::select! {
            () = &mut write => {}
            () = &mut read => write.await,
        }
    }
}

/// Reads requests, begins each in its turn and hands over the replies as they come.
async fn read<S: Service>(
    context: &Context<S>,
    stream: &Stream,
    outgoing: mpsc::Sender<Outgoing<S::Event>>,
) {
    let mut lines = LineReader::new(BufReader::new(stream));
    let mut pending = FuturesUnordered::new();
    let mut open = true;
    while open || !pending.is_empty() {
        tokio::select! {
            biased;
            // First in the list: a request that was just read is begun before the next line is looked at.
            Some(reply) = pending.next(), if !pending.is_empty() => {
                if let Some(reply) = reply
                    && outgoing.send(reply).await.is_err()
                {
                    return;
                }
            }
            () = context.switches.end.cancelled(), if open => open = false,
            frame = lines.next(), if open && pending.len() < REQUESTS_AT_ONCE => {
                match frame {
                    Ok(Frame::End) | Err(_) => open = false,
                    Ok(frame) => pending.push(answer(context, frame)),
                }
            }
        }
    }
}

/// What is to be sent for a line, if anything.
async fn answer<S: Service>(context: &Context<S>, frame: Frame) -> Option<Outgoing<S::Event>> {
    let request = match parse(frame) {
        Ok(Some(request)) => request,
        Ok(None) => return None,
        Err((id, error)) => return Some(Outgoing::Reply(Reply::new(id, Err(error)))),
    };
    let id = request.id.clone();
    let answered = respond(context, request).await;
    let id = id?;
    Some(match answered {
        Ok((value, Some(subscription))) => {
            Outgoing::Subscribed(Reply::new(id, Ok(value)), subscription)
        }
        Ok((value, None)) => Outgoing::Reply(Reply::new(id, Ok(value))),
        Err(error) => Outgoing::Reply(Reply::new(id, Err(error))),
    })
}

type Answer<E> = Result<(Value, Option<Subscription<E>>), RpcError>;

async fn respond<S: Service>(context: &Context<S>, request: Request) -> Answer<S::Event> {
    let Request {
        method,
        params: given,
        ..
    } = request;
    let value = match method.as_str() {
        "hello" => reply(&hello::<S>(&params::<Hello>(&method, given)?)?)?,
        "shutdown" => {
            params::<Shutdown>(&method, given)?;
            context.switches.shutdown.cancel();
            reply(&Done {})?
        }
        "subscribe" => {
            let subscribe: Subscribe = params(&method, given)?;
            // The subscription begins before the status is taken, so that no change falls between the two.
            let (seq, history, subscription) = context.hub.subscribe_as(&subscribe);
            let status = context.service.call("status", empty()).await?;
            let told = SubscribeReply {
                seq,
                status,
                history: subscribe.history.map(|_| history),
            };
            return Ok((reply(&told)?, Some(subscription)));
        }
        _ => context.service.call(&method, given).await?,
    };
    Ok((value, None))
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Makes a request of a line; `None` for a blank one.
fn parse(frame: Frame) -> Result<Option<Request>, (Id, RpcError)> {
    let (bytes, whole) = match frame {
        Frame::Line(bytes) => (bytes, true),
        // A client that forgot the last line feed is served, if what it sent is complete.
        Frame::Partial(bytes) => (bytes, false),
        Frame::TooLong => {
            return Err((
                Id::Null,
                RpcError::new(
                    ErrorKind::TooLarge,
                    format!(
                        "the line is longer than {MAX_LINE_BYTES} bytes and was skipped; send less at once"
                    ),
                ),
            ));
        }
        Frame::End => return Ok(None),
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let error = |id, kind, message: String| Err((id, RpcError::new(kind, message)));
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(e) => {
            return error(
                Id::Null,
                ErrorKind::ParseError,
                format!("the line is not UTF-8: {e}"),
            );
        }
    };
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(e) if whole => {
            return error(
                Id::Null,
                ErrorKind::ParseError,
                format!("the line is not JSON: {e}"),
            );
        }
        Err(_) => {
            return error(
                Id::Null,
                ErrorKind::ParseError,
                "the connection ended in the middle of a line; a request is one line of JSON that ends with a line feed".to_owned(),
            );
        }
    };
    let id = value
        .get("id")
        .and_then(|id| serde_json::from_value(id.clone()).ok())
        .unwrap_or(Id::Null);
    match serde_json::from_value(value) {
        Ok(request) => Ok(Some(request)),
        Err(e) => error(
            id,
            ErrorKind::InvalidRequest,
            format!(
                "the line is JSON but not a request such as {{\"id\":1,\"method\":\"hello\"}}: {e}"
            ),
        ),
    }
}

/// Writes replies, and events once subscribed; replies first, for somebody waits for them.
async fn write<E: super::hub::Event + Serialize>(
    mut stream: &Stream,
    mut outgoing: mpsc::Receiver<Outgoing<E>>,
) {
    let mut subscription: Option<Subscription<E>> = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        tokio::select! {
            biased;
            next = outgoing.recv() => match next {
                Some(Outgoing::Reply(reply)) => append(&mut line, &reply),
                Some(Outgoing::Subscribed(reply, new)) => {
                    append(&mut line, &reply);
                    subscription = Some(new);
                }
                None => break,
            },
            delivery = next_event(&mut subscription) => match delivery {
                Some(delivery) => append_event(&mut line, &delivery),
                None => break,
            },
        }
        if stream.write_all(&line).await.is_err() {
            return;
        }
    }
    // What was published before the end still belongs to this subscriber.
    while let Some(delivery) = subscription.as_mut().and_then(Subscription::try_next) {
        line.clear();
        append_event(&mut line, &delivery);
        if stream.write_all(&line).await.is_err() {
            return;
        }
    }
}

async fn next_event<E: super::hub::Event>(
    subscription: &mut Option<Subscription<E>>,
) -> Option<Delivery<E>> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}

/// How an event looks on the wire; borrowed, so that an event for many subscribers is not copied for each.
#[derive(Serialize)]
struct Notice<'a, P> {
    jsonrpc: Version,
    method: &'a str,
    params: P,
}

/// An event of before the subscription.
#[derive(Serialize)]
struct OfBefore<'a, E> {
    /// When it was told first, in RFC 3339.
    at: String,
    #[serde(flatten)]
    event: &'a Stamped<E>,
}

/// What a subscriber that was too slow is told.
#[derive(Serialize)]
struct Lagged {
    event: &'static str,
    dropped: u64,
}

fn append_event<E: Serialize>(line: &mut Vec<u8>, delivery: &Delivery<E>) {
    match delivery {
        Delivery::Event(event) => append(line, &notice(event.as_ref())),
        Delivery::Past(past) => append(
            line,
            &notice(OfBefore {
                at: humantime::format_rfc3339_millis(past.at).to_string(),
                event: past.event.as_ref(),
            }),
        ),
        Delivery::Lagged(dropped) => append(
            line,
            &notice(Lagged {
                event: "lagged",
                dropped: *dropped,
            }),
        ),
    }
}

fn notice<P>(params: P) -> Notice<'static, P> {
    Notice {
        jsonrpc: Version::V2,
        method: EVENT_METHOD,
        params,
    }
}

fn append(line: &mut Vec<u8>, message: &impl Serialize) {
    match serde_json::to_writer(&mut *line, message) {
        Ok(()) => line.push(b'\n'),
        Err(error) => {
            line.clear();
            tracing::error!(%error, "a message cannot be written as JSON and was left out");
        }
    }
}
