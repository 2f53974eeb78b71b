//! `v4.channel.k8s.io`: a websocket for each connection, which dials the pod when it opens.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message, protocol::Role};

use super::{Wire, pod};
use crate::fake_api::{State, locked};

/// The channels of the first port; no client of ours asks for a second.
const DATA: u8 = 0;
const ERROR: u8 = 1;

pub(super) async fn run(wire: impl Wire, state: &State, pod: &str, ports: &[u16]) {
    let mut socket = WebSocketStream::from_raw_socket(wire, Role::Server, None).await;
    let &[port] = ports else {
        let _ = socket.close(None).await;
        return;
    };
    for channel in [DATA, ERROR] {
        // Which port it is, the low byte first, unlike everything else.
        let [low, high] = port.to_le_bytes();
        if socket.send(message(channel, &[low, high])).await.is_err() {
            return;
        }
    }
    let stream = match pod::connect(state, pod, port).await {
        Ok(stream) => stream,
        Err(text) => {
            let _ = socket.send(message(ERROR, text.as_bytes())).await;
            let _ = socket.close(None).await;
            return;
        }
    };
    let linger = locked(&state.behaviour).linger;
    let (mut from_pod, mut to_pod) = stream.into_split();
    let (mut to_client, mut from_client) = socket.split();
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            match message {
                Message::Binary(bytes) => {
                    let data = bytes.strip_prefix(&[DATA]).unwrap_or_default();
                    if to_pod.write_all(data).await.is_err() {
                        break;
                    }
                }
                Message::Close(_) => break,
                _ => {}
            }
        }
    };
    let down = async {
        let mut piece = vec![0; 32 * 1024];
        while let Ok(read) = from_pod.read(&mut piece).await {
            if read == 0 || to_client.send(message(DATA, &piece[..read])).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => tokio::time::sleep(linger).await,
    }
    let _ = to_client.close().await;
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    Message::Binary(Bytes::from([&[channel], bytes].concat()))
}
