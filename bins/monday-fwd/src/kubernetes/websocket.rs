//! A byte stream in a websocket (RFC 6455): SPDY where proxies let nothing else through (KEP-4006).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, Response};
use kube::client::Body;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// The subprotocol of SPDY in a websocket.
pub(crate) const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// The largest message that is taken. The API server sends what it reads, 32 KiB at most.
const MESSAGE_BYTES: usize = 1024 * 1024;

/// How much is waiting to be written at most: a message of ours and what it is wrapped in.
const WRITE_BYTES: usize = 256 * 1024;

/// A request for a websocket, and the key by which its answer is known.
pub(crate) fn request(path: String, protocol: &str) -> (http::request::Builder, String) {
    let key = generate_key();
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key)
        .header(SEC_WEBSOCKET_PROTOCOL, protocol);
    (request, key)
}

/// Is an answer 101 one to that request?
///
/// # Errors
/// What is wrong with it.
pub(crate) fn agreed(answer: &Response<Body>, key: &str, protocol: &str) -> Result<(), String> {
    let expected = [
        (SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes())),
        (SEC_WEBSOCKET_PROTOCOL, protocol.to_owned()),
    ];
    for (header, wanted) in expected {
        let got = answer.headers().get(&header);
        if got.is_none_or(|got| got.as_bytes() != wanted.as_bytes()) {
            return Err(format!("{header} is {got:?} instead of {wanted}"));
        }
    }
    Ok(())
}

/// Bytes cut into binary messages, anywhere.
pub(crate) struct Tunnel<T> {
    socket: WebSocketStream<T>,
    /// The rest of the message that is being read.
    rest: Bytes,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Tunnel<T> {
    /// Over a connection that the server has just agreed to make a websocket of.
    pub(crate) async fn over(connection: T) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES))
            .max_frame_size(Some(MESSAGE_BYTES))
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE_BYTES);
        Self {
            socket: WebSocketStream::from_raw_socket(connection, Role::Client, Some(config)).await,
            rest: Bytes::new(),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Tunnel<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A message may be empty.
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                None | Some(Ok(Message::Close(_))) => return Poll::Ready(Ok(())),
                Some(Ok(Message::Binary(bytes))) => self.rest = bytes,
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a text message in a tunnel of bytes",
                    )));
                }
                // The library answers PINGs.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let taken = self.rest.len().min(room.remaining());
        room.put_slice(&self.rest[..taken]);
        self.rest.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Tunnel<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(&mut self.socket)
            .start_send(message)
            .map_err(io::Error::other)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket)
            .poll_flush(cx)
            .map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket)
            .poll_close(cx)
            .map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::SinkExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn bytes_pass_however_they_are_cut_into_messages() {
        let (near, far) = tokio::io::duplex(1024);
        let mut tunnel = Tunnel::over(near).await;
        let mut server = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        tokio::spawn(async move {
            for part in ["", "a", "", "bc"] {
                let message = Message::Binary(Bytes::from_static(part.as_bytes()));
                server.send(message).await.unwrap();
            }
            server.close(None).await.unwrap();
        });
        let mut read = String::new();
        tunnel.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "abc");
    }

    #[tokio::test]
    async fn what_is_written_is_sent_in_messages_of_bytes() {
        use futures_util::StreamExt as _;
        let (near, far) = tokio::io::duplex(1024);
        let mut tunnel = Tunnel::over(near).await;
        let mut server = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        tunnel.write_all(b"hello").await.unwrap();
        tunnel.flush().await.unwrap();
        let message = server.next().await.unwrap().unwrap();
        assert_eq!(message, Message::Binary(Bytes::from_static(b"hello")));
    }
}
