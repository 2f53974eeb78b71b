//! Says that a tunnel stands, and asks whether one does.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::error::Error;

/// The answer to a probe over HTTP.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 22\r\nConnection: close\r\n\r\nMonday's tunnel stands";

/// How long a probe may take to ask. One over TCP asks nothing and closes.
const WITHIN: Duration = Duration::from_secs(2);

/// Asks, within the pod, whether a tunnel stands.
///
/// # Errors
/// [`Error::NotReady`]
pub fn ask(port: u16, within: Duration) -> Result<(), Error> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, within)
        .map(drop)
        .map_err(|source| Error::NotReady { address, source })
}

/// Answers one probe.
pub(crate) async fn answer(mut stream: tokio::net::TcpStream) {
    let talk = async {
        let mut question = [0; 1024];
        // A request of a probe fits into one packet.
        if stream.read(&mut question).await? > 0 {
            stream.write_all(ANSWER).await?;
            stream.shutdown().await?;
        }
        Ok::<(), std::io::Error>(())
    };
    // Whoever asked may be gone.
    let _ = tokio::time::timeout(WITHIN, talk).await;
}
