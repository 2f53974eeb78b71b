//! The pod's end of a connection, with the manners of containerd: the pod is not told that the client has ended, and soon
//! after either direction has ended both are.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::frame;
use crate::fake_api::behaviour::spend;
use crate::fake_api::resource::Resource;
use crate::fake_api::{State, locked};

/// The piece in which the API server copies.
const PIECE: usize = 32 * 1024;

/// The two streams of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) error: u32,
    pub(super) data: u32,
    pub(super) port: u16,
}

/// What comes on the data stream.
#[derive(Debug)]
pub(super) enum Input {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// Why a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Ended,
    /// The client does not want to hear of it any more.
    Reset,
    /// The pod takes no more.
    Refused,
}

/// A connection to a pod's port.
///
/// # Errors
/// What the user is told.
pub(super) async fn connect(state: &State, pod: &str, port: u16) -> Result<TcpStream, String> {
    let there = locked(&state.store)
        .get(Resource::named("pods"), "default", pod)
        .is_some();
    let gone = spend(&mut locked(&state.behaviour).sandbox_gone) || !there;
    if gone {
        return Err(format!(
            "error forwarding port {port} to pod f00, uid : failed to find sandbox \"f00\" in store: not found"
        ));
    }
    let target = locked(&state.targets).get(&(pod.to_owned(), port)).copied();
    let refused = || {
        format!(
            "error forwarding port {port} to pod f00, uid : failed to execute portforward in network namespace \
             \"/fake\": failed to connect to localhost:{port} inside namespace \"f00\", IPv4: dial tcp4 \
             127.0.0.1:{port}: connect: connection refused"
        )
    };
    let stream = TcpStream::connect(target.ok_or_else(refused)?)
        .await
        .map_err(|_| refused())?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Carries one connection from beginning to end.
pub(super) async fn carry(
    pair: Pair,
    inputs: mpsc::Receiver<Input>,
    frames: mpsc::Sender<Vec<u8>>,
    state: Arc<State>,
    pod: String,
) {
    let stream = match connect(&state, &pod, pair.port).await {
        Ok(stream) => stream,
        Err(text) => {
            let reset = locked(&state.behaviour).reset_after_error;
            fail(pair, &text, reset, &frames).await;
            return;
        }
    };
    let linger = locked(&state.behaviour).linger;
    let (from_pod, to_pod) = stream.into_split();
    let ending = both(pair, inputs, &frames, from_pod, to_pod, linger).await;
    if ending == Ending::Reset {
        return;
    }
    send(&frames, frame::data(pair.data, &[], true)).await;
    if ending == Ending::Refused {
        let text = format!("error forwarding port {}: copy failed", pair.port);
        send(&frames, frame::data(pair.error, text.as_bytes(), false)).await;
    }
    send(&frames, frame::data(pair.error, &[], true)).await;
}

async fn fail(pair: Pair, text: &str, reset: bool, frames: &mpsc::Sender<Vec<u8>>) {
    if !reset {
        send(frames, frame::data(pair.data, &[], true)).await;
    }
    send(frames, frame::data(pair.error, text.as_bytes(), false)).await;
    if reset {
        send(frames, frame::reset(pair.data)).await;
        send(frames, frame::reset(pair.error)).await;
    } else {
        send(frames, frame::data(pair.error, &[], true)).await;
    }
}

async fn both(
    pair: Pair,
    inputs: mpsc::Receiver<Input>,
    frames: &mpsc::Sender<Vec<u8>>,
    from_pod: OwnedReadHalf,
    to_pod: OwnedWriteHalf,
    linger: Duration,
) -> Ending {
    let mut up = Box::pin(upload(inputs, to_pod));
    let mut down = Box::pin(download(pair, from_pod, frames));
    tokio::select! {
        // The half that writes is dropped at the end only: dropping it would tell the pod.
        (ending, _half) = &mut up => {
            if ending != Ending::Reset {
                let _ = timeout(linger, down).await;
            }
            ending
        }
        () = &mut down => match timeout(linger, up).await {
            Ok((Ending::Reset, _)) => Ending::Reset,
            _ => Ending::Ended,
        },
    }
}

async fn upload(
    mut inputs: mpsc::Receiver<Input>,
    mut to_pod: OwnedWriteHalf,
) -> (Ending, OwnedWriteHalf) {
    let ending = loop {
        match inputs.recv().await {
            Some(Input::Bytes(bytes)) => {
                if to_pod.write_all(&bytes).await.is_err() {
                    break Ending::Refused;
                }
            }
            Some(Input::End) => break Ending::Ended,
            Some(Input::Reset) | None => break Ending::Reset,
        }
    };
    (ending, to_pod)
}

async fn download(pair: Pair, mut from_pod: OwnedReadHalf, frames: &mpsc::Sender<Vec<u8>>) {
    let mut piece = vec![0; PIECE];
    while let Ok(read) = from_pod.read(&mut piece).await {
        if read == 0 {
            break;
        }
        send(frames, frame::data(pair.data, &piece[..read], false)).await;
    }
}

/// The session has ended where this fails.
async fn send(frames: &mpsc::Sender<Vec<u8>>, frame: Vec<u8>) {
    let _ = frames.send(frame).await;
}
