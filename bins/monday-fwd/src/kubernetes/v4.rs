//! A websocket per connection, with the channels that came before SPDY in a websocket: what is left where neither of
//! the others passes.
//!
//! kube carries them, with two peculiarities: the end of the client's stream must not be told, for it closes the
//! websocket and loses the answer; and the pod's port is connected to as soon as the websocket is there.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::time::timeout;

use super::cluster::Access;
use super::kubeconfig::causes;
use super::spdy::carry::HalfClose;
use super::transport::{Answer, DialError, Kind, PodName};
use crate::connection::Connection;
use crate::local::Local;

/// How much is read at once. kube sends pieces of 4 KiB anyway.
const BUFFER_BYTES: usize = 64 * 1024;

/// How long what a client said before it went may take to reach the pod.
const DRAIN_WITHIN: Duration = Duration::from_secs(60);

/// How it ended.
pub(crate) enum Ended {
    /// The pod closed the connection.
    ByPod,
    /// The client is gone.
    ByClient,
    /// The far end gave a reason.
    Failed(String),
}

/// Connects to the pod's port for one client and carries it to its end.
///
/// # Errors
/// [`DialError`]: nothing was connected to.
pub(crate) async fn carry(
    access: &Access,
    pod: &PodName,
    port: u16,
    client: &Local,
    connection: &Connection,
    half_close: HalfClose,
) -> Result<Ended, DialError> {
    let refused = |answer| DialError::Refused {
        server: access.server.clone(),
        pod: pod.clone(),
        attempts: vec![(Kind::V4, answer)],
        worked: false,
    };
    let pods = Api::<Pod>::namespaced(access.client.clone(), &pod.namespace);
    let mut forward = pods
        .portforward(&pod.name, &[port])
        .await
        .map_err(|error| refused(answer(error)))?;
    let (Some(stream), Some(error)) = (forward.take_stream(port), forward.take_error(port)) else {
        return Err(refused(Answer::OtherProtocol(
            "a forward without its port".to_owned(),
        )));
    };
    let (from_pod, to_pod) = split(stream);
    let moved = AtomicBool::new(false);
    let ended = tokio::select! {
        gone = up(client, connection, to_pod, &moved, half_close) => gone,
        over = down(client, connection, from_pod, &moved) => over,
    };
    if ended.is_ok_and(|by_pod| by_pod) {
        // The far end says why before it ends the stream, if it has to say something.
        return Ok(match error.await {
            Some(reason) if connection.down() == 0 => Ended::Failed(reason),
            _ => Ended::ByPod,
        });
    }
    // What the client said is still on its way.
    tokio::spawn(timeout(DRAIN_WITHIN, forward.join()));
    Ok(Ended::ByClient)
}

/// From the client to the pod; returns when the client is gone.
async fn up<W: tokio::io::AsyncWrite>(
    client: &Local,
    connection: &Connection,
    mut to_pod: WriteHalf<W>,
    moved: &AtomicBool,
    half_close: HalfClose,
) -> io::Result<bool> {
    let mut buffer = BytesMut::with_capacity(BUFFER_BYTES);
    while client.read(&mut buffer).await? > 0 {
        connection.moved_up(buffer.len());
        to_pod.write_all_buf(&mut buffer).await?;
        buffer.reserve(BUFFER_BYTES);
    }
    let quiet = match half_close {
        HalfClose::Delay(quiet) => Some(quiet),
        HalfClose::Immediate => None,
    };
    client
        .gone(|| moved.swap(false, Ordering::Relaxed), quiet)
        .await;
    Ok(false)
}

/// From the pod to the client; returns when the pod has ended its stream.
async fn down<R: tokio::io::AsyncRead>(
    client: &Local,
    connection: &Connection,
    mut from_pod: ReadHalf<R>,
    moved: &AtomicBool,
) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = from_pod.read(&mut buffer).await?;
        if length == 0 {
            return Ok(true);
        }
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let written = client.write(&[IoSlice::new(rest)]).await?;
            if written == 0 {
                return Ok(false);
            }
            connection.moved_down(written);
            moved.store(true, Ordering::Relaxed);
            rest = &rest[written..];
        }
    }
}

fn answer(error: kube::Error) -> Answer {
    match error {
        kube::Error::Api(status) => Answer::Status {
            code: status.code,
            no_pod: status.code == 404,
            message: status.message,
        },
        kube::Error::UpgradeConnection(error) => Answer::OtherProtocol(error.to_string()),
        error => Answer::Unreachable(causes(&error)),
    }
}
