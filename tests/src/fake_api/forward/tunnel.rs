//! Bytes in the binary messages of a websocket, cut wherever it suits the one who cuts.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, split};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message, protocol::Role};

use super::Wire;

/// What the API server copies at once.
const PIECE: usize = 32 * 1024;

/// The sizes at which messages are cut where that is wanted; the empty ones are as legal as the others.
const ODD_SIZES: [usize; 8] = [1, 0, 3, 7, 0, 8, 4093, 13];

/// The byte stream in a websocket that has been agreed on.
pub(super) async fn open(wire: impl Wire + 'static, recut: bool) -> DuplexStream {
    let socket = WebSocketStream::from_raw_socket(wire, Role::Server, None).await;
    let (mut to_client, mut from_client) = socket.split();
    let (ours, theirs) = duplex(PIECE);
    let (mut reader, mut writer) = split(theirs);
    tokio::spawn(async move {
        while let Some(Ok(message)) = from_client.next().await {
            match message {
                Message::Binary(bytes) => {
                    if writer.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                // A PING is answered by the library.
                Message::Ping(_) | Message::Pong(_) => {}
                _ => break,
            }
        }
        let _ = writer.shutdown().await;
    });
    tokio::spawn(async move {
        let mut piece = vec![0; PIECE];
        let mut sizes = ODD_SIZES.into_iter().cycle();
        while let Ok(read) = reader.read(&mut piece).await {
            if read == 0 {
                break;
            }
            let mut rest = &piece[..read];
            while !rest.is_empty() {
                let size = match sizes.next() {
                    Some(size) if recut => size.min(rest.len()),
                    _ => rest.len(),
                };
                let message = Message::Binary(Bytes::copy_from_slice(&rest[..size]));
                if to_client.send(message).await.is_err() {
                    return;
                }
                rest = &rest[size..];
            }
        }
        let _ = to_client.close().await;
    });
    ours
}
