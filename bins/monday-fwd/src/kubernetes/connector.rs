//! How the API server is connected to.
//!
//! What an HTTP library does by default is made for requests, not for streams: the small writes of an interactive
//! connection wait for each other's acknowledgement (Nagle), a dead peer is never noticed, and the TLS library reads
//! 4 KiB per system call. Here none of that is so.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tower::Service;

/// How long a TCP connection to the API server may take, all of its addresses together.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// When a connection without a packet is probed, and how often again; three unanswered probes end it. Load balancers
/// forget connections that are idle for 4 to 10 minutes, and a laptop that slept finds out within a minute.
const PROBE_EVERY: Duration = Duration::from_secs(15);

/// See [`PROBE_EVERY`].
const PROBES: u32 = 3;

/// What is read ahead of the TLS library: eight of its records.
const READ_AHEAD_BYTES: usize = 128 * 1024;

/// Connects to API servers.
#[derive(Clone, Debug)]
pub(crate) struct Connector(HttpConnector);

impl Connector {
    /// With the settings above.
    pub(crate) fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_WITHIN));
        tcp.set_keepalive(Some(PROBE_EVERY));
        tcp.set_keepalive_interval(Some(PROBE_EVERY));
        tcp.set_keepalive_retries(Some(PROBES));
        Self(tcp)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Buffered>;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let tcp = connecting.await?.into_inner();
            Ok(TokioIo::new(Buffered(BufReader::with_capacity(
                READ_AHEAD_BYTES,
                tcp,
            ))))
        })
    }
}

/// A TCP connection that is read in large pieces, however small those are that are asked for.
#[derive(Debug)]
pub(crate) struct Buffered(BufReader<TcpStream>);

impl Connection for Buffered {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Buffered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, room)
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
