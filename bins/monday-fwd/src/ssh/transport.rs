//! The stream under an SSH connection: TCP, the standard streams of a command, or a channel of another connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use monday_shared::address::Target;
use monday_shared::dial::{DialError, Patience, Stream as Dialled, dial};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::config::{Family, Settings};
use super::error::{ConnectError, Step};

/// When the kernel asks whether a silent server is still there, and how often again: it is the second line behind the
/// questions of SSH itself.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What an SSH connection runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// Connects over TCP.
///
/// # Errors
/// [`ConnectError`] with what was tried.
pub(super) async fn tcp(settings: &Settings, server: &str) -> Result<Tcp, ConnectError> {
    let stream = if settings.family.is_some() || settings.bind_address.is_some() {
        let within = settings.connect_timeout;
        tokio::time::timeout(within, from_here(settings))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| ConnectError::temporary(Step::Connect, server, error))?
    } else {
        let target = match settings.host.parse::<IpAddr>() {
            Ok(ip) => Target::Address((ip, settings.port).into()),
            Err(_) => Target::Name {
                host: settings.host.clone(),
                port: settings.port,
            },
        };
        let patience = Patience {
            connect_timeout: settings.connect_timeout,
            connect_wait: Duration::ZERO,
        };
        match dial(&target, patience).await {
            Ok(Dialled::Tcp(stream)) => stream,
            // No host is written as a path.
            Ok(Dialled::Unix(_)) => {
                return Err(ConnectError::permanent(
                    Step::Connect,
                    server,
                    "it is a Unix socket: a host was expected",
                ));
            }
            Err(error) => return Err(explain(error, server)),
        }
    };
    // Interactive bytes are not to wait for those before them; see [`Tcp`] for the other half of that.
    let _ = stream.set_nodelay(true);
    if settings.tcp_keepalive {
        let probes = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&probes);
    }
    Ok(Tcp(stream))
}

fn explain(error: DialError, server: &str) -> ConnectError {
    match &error {
        DialError::Resolve { source, .. } => ConnectError::permanent(
            Step::Resolve,
            server,
            format!("{source}: check the name, or write a HostName for it in ~/.ssh/config"),
        ),
        DialError::NoAddress { .. } => ConnectError::permanent(Step::Resolve, server, &error),
        DialError::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => {
            ConnectError::temporary(
                Step::Connect,
                server,
                format!("{source}: is sshd running there, and is this its port?"),
            )
        }
        DialError::Connect { source, .. } => ConnectError::temporary(Step::Connect, server, source),
        DialError::TimedOut { within, .. } => ConnectError::temporary(
            Step::Connect,
            server,
            format!(
                "no answer within {} s (ConnectTimeout): is a firewall or a VPN in between?",
                within.as_secs()
            ),
        ),
    }
}

/// Connects from a certain address or over a certain family, one address after the other.
async fn from_here(settings: &Settings) -> io::Result<TcpStream> {
    let from = match &settings.bind_address {
        Some(address) => lookup_host((address.as_str(), 0)).await?.next(),
        None => None,
    };
    let mut failure = None;
    for address in lookup_host((settings.host.as_str(), settings.port)).await? {
        let fits = match (settings.family, from) {
            (Some(Family::V4), _) => address.is_ipv4(),
            (Some(Family::V6), _) => address.is_ipv6(),
            (None, Some(from)) => from.is_ipv4() == address.is_ipv4(),
            (None, None) => true,
        };
        if !fits {
            continue;
        }
        match connect(address, from).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            "it has no address of the family that AddressFamily or BindAddress ask for",
        )
    }))
}

async fn connect(address: SocketAddr, from: Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    if let Some(from) = from.filter(|from| from.is_ipv4() == address.is_ipv4()) {
        socket.bind(from)?;
    }
    socket.connect(address).await
}

/// A TCP stream that acknowledges at once.
///
/// Servers before OpenSSH 9.8 hold back small packets of forwarded connections until what they sent before is
/// acknowledged (Nagle), and the kernel delays acknowledgements by 40 ms: a new connection took that long. The kernel
/// forgets the wish after a while, so it is repeated after each read (tcp(7), `TCP_QUICKACK`).
#[derive(Debug)]
pub(super) struct Tcp(TcpStream);

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.0).poll_read(cx, buffer);
        let much = buffer.filled().len() - before;
        // A large read is followed by others, and what is acknowledged then is acknowledged for all.
        if read.is_ready() && much > 0 && much < SMALL_READ_BYTES {
            acknowledge_at_once(&self.0);
        }
        read
    }
}

/// Reads below this are what somebody may be waiting to have acknowledged.
const SMALL_READ_BYTES: usize = 4096;

#[cfg(any(target_os = "linux", target_os = "android"))]
fn acknowledge_at_once(stream: &TcpStream) {
    // It is a wish: where it is not granted things are slower and nothing else.
    let _ = SockRef::from(stream).set_tcp_quickack(true);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn acknowledge_at_once(_stream: &TcpStream) {}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The standard streams of a `ProxyCommand`. It is killed with this.
#[derive(Debug)]
pub(super) struct Piped {
    input: ChildStdin,
    output: ChildStdout,
    _child: Child,
}

/// Runs a `ProxyCommand`.
///
/// # Errors
/// [`ConnectError`]: there is no shell.
pub(super) fn piped(command: &str, server: &str) -> Result<Piped, ConnectError> {
    let failed = |why: &dyn std::fmt::Display| ConnectError::temporary(Step::Proxy, server, why);
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    // `exec`, so that the command itself is our child and ends with us.
    let mut child = Command::new(shell)
        .args(["-c", &format!("exec {command}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&error))?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed(&"it has no standard streams"));
    };
    if let Some(errors) = child.stderr.take() {
        let server = server.to_owned();
        tokio::spawn(async move {
            let mut lines = BufReader::new(errors).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                tracing::warn!(server, "the proxy command says: {line}");
            }
        });
    }
    Ok(Piped {
        input,
        output,
        _child: child,
    })
}

impl AsyncRead for Piped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Piped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}
