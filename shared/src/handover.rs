//! A port that needs a right to be bound, handed over by the process that has it.
//!
//! `monday-ipalias` may bind ports below 1024 where it runs as root, and `monday-tcpproxy` never does. So the one binds
//! and hands the socket to the other, over a socket beside its control socket ([`socket_beside`]): a request is one line
//! of JSON-RPC, as everywhere, and the reply is one line that carries the bound socket (`SCM_RIGHTS`, unix(7)).
//!
//! The socket that is handed over is bound, close-on-exec and has `SO_REUSEADDR`; it does **not listen yet**, so that
//! whoever gets it can set what has to be set before, and can give it back unused without a client having noticed. From
//! then on it belongs to the receiver alone: it outlives the helper.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use monday_shared::handover;
//!
//! let ports = handover::socket_beside("/run/user/1000/monday/shop/ipalias.sock".as_ref());
//! let bound = handover::request(&ports, [127, 77, 0, 1].into(), 80).await?;
//! // Socket options that have to be set before; then:
//! rustix::net::listen(&bound, 4096)?;
//! let listener = std::net::TcpListener::from(bound);
//! # Ok(())
//! # }
//! ```

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon as _;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::protocol::error::{ErrorKind, RpcError};
use crate::protocol::ipalias::{Bind, Bound};
use crate::protocol::message::{Id, Outcome, Reply, Request, Version};
use crate::protocol::method::Call as _;
use crate::socket::{self, SocketError};

/// How long one side waits for the other: a port is bound within microseconds, but the helper may be waiting for a lock on
/// the hosts file (5 s at most).
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a client has for its request, which it sends at once. While it waits, others may have to wait for their turn.
const REQUEST_PATIENCE: Duration = Duration::from_secs(1);

/// The longest line of this protocol, in bytes. An error with the holder of a port has some hundred.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// Why no port was handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The helper cannot be reached.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The helper refused, and says why.
    #[error(transparent)]
    Refused(#[from] RpcError),
    /// What came is not what this module sends.
    #[error("{socket}: {what}; use executables of one version of monday together")]
    Garbled {
        /// The helper's socket.
        socket: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The operating system refused.
    #[error("{socket}: cannot get {address} from monday-ipalias: {source}")]
    Io {
        /// The helper's socket.
        socket: PathBuf,
        /// What was asked for.
        address: SocketAddr,
        /// Why it failed.
        source: io::Error,
    },
}

impl From<HandoverError> for RpcError {
    fn from(error: HandoverError) -> Self {
        let kind = match &error {
            HandoverError::Refused(refused) => return refused.clone(),
            HandoverError::Socket(SocketError::NotRunning { .. }) => ErrorKind::NotFound,
            HandoverError::Io { source, .. } if source.kind() == io::ErrorKind::TimedOut => {
                ErrorKind::Timeout
            }
            HandoverError::Garbled { .. } => ErrorKind::Internal,
            _ => ErrorKind::Os,
        };
        Self::new(kind, error.to_string())
    }
}

/// Where the helper whose control socket that is hands ports over.
#[must_use]
pub fn socket_beside(control: &Path) -> PathBuf {
    let mut path = OsString::from(control);
    path.push(".ports");
    path.into()
}

/// Gets a socket that is bound to `ip:port`; the address has to be one that the helper has assigned.
///
/// # Errors
/// [`HandoverError::Refused`] with what the helper says ([`ErrorKind::PortInUse`] with the holder,
/// [`ErrorKind::NotFound`] for an address that it has not assigned, ...), otherwise what went wrong on the way.
pub async fn request(socket: &Path, ip: IpAddr, port: u16) -> Result<OwnedFd, HandoverError> {
    let asked = ask(socket, ip, port);
    let failed = |source| HandoverError::Io {
        socket: socket.to_owned(),
        address: SocketAddr::new(ip, port),
        source,
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| Err(failed(io::ErrorKind::TimedOut.into())))
}

async fn ask(socket: &Path, ip: IpAddr, port: u16) -> Result<OwnedFd, HandoverError> {
    let address = SocketAddr::new(ip, port);
    let failed = |source| HandoverError::Io {
        socket: socket.to_owned(),
        address,
        source,
    };
    let garbled = |what: String| HandoverError::Garbled {
        socket: socket.to_owned(),
        what,
    };
    let Stream::UdSocket(stream) = socket::connect(socket).await?;
    check_helper(&stream).map_err(failed)?;
    let stream = stream.inner();
    let request = Request {
        jsonrpc: Version::V2,
        id: Some(Id::Number(1)),
        method: Bind::METHOD.to_owned(),
        params: serde_json::to_value(Bind { ip, port }).map_err(|e| garbled(e.to_string()))?,
    };
    send_line(stream, &request, None).await.map_err(failed)?;
    // One more than is wanted, to tell.
    let (line, descriptors) = receive_line(stream, 2).await.map_err(failed)?;
    let reply: Reply = serde_json::from_slice(&line)
        .map_err(|e| garbled(format!("the reply to `bind` is not understood: {e}")))?;
    let bound: Bound = match reply.outcome {
        Outcome::Error(refused) => return Err(refused.into()),
        Outcome::Result(value) => serde_json::from_value(value)
            .map_err(|e| garbled(format!("the reply to `bind` is not understood: {e}")))?,
    };
    let mut descriptors = descriptors.into_iter();
    let (Some(descriptor), None) = (descriptors.next(), descriptors.next()) else {
        return Err(garbled("the reply to `bind` carries no socket".to_owned()));
    };
    if SocketAddr::new(bound.ip, bound.port) != address || !is_at(&descriptor, address) {
        return Err(garbled(format!("what was handed over is not {address}")));
    }
    Ok(descriptor)
}

/// Only root, or we ourselves, may give us something to listen on.
fn check_helper(
    stream: &interprocess::os::unix::uds_local_socket::tokio::Stream,
) -> io::Result<()> {
    let own = nix::unistd::geteuid().as_raw();
    match stream.peer_creds()?.euid() {
        Some(uid) if uid == 0 || uid == own => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it is served by another user",
        )),
    }
}

fn is_at(descriptor: &OwnedFd, address: SocketAddr) -> bool {
    rustix::net::getsockname(descriptor)
        .is_ok_and(|bound| SocketAddr::try_from(bound) == Ok(address))
}

/// Answers one client: reads its request, has it bound by `bind`, and sends the socket or the error. The client was
/// let in already.
///
/// # Errors
/// What went wrong with the connection; nobody else is concerned.
pub async fn serve<F, D>(stream: &Stream, bind: F) -> io::Result<()>
where
    F: AsyncFnOnce(Bind) -> Result<D, RpcError>,
    D: AsFd,
{
    let Stream::UdSocket(stream) = stream;
    let stream = stream.inner();
    // Whatever a client sends along is not wanted, and closed as it comes.
    let asked = tokio::time::timeout(REQUEST_PATIENCE, receive_line(stream, 0)).await;
    let (line, _) = asked.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let (id, wanted) = parse(&line);
    let bound = match wanted {
        Ok(wanted) => bind(wanted.clone())
            .await
            .map(|descriptor| (wanted, descriptor)),
        Err(error) => Err(error),
    };
    let (outcome, descriptor) = match bound {
        Ok((Bind { ip, port }, descriptor)) => (
            serde_json::to_value(Bound { ip, port }).map_err(io::Error::from)?,
            descriptor,
        ),
        Err(error) => return send_line(stream, &Reply::new(id, Err(error)), None).await,
    };
    let reply = Reply::new(id, Ok(outcome));
    let sent = send_line(stream, &reply, Some(descriptor.as_fd()));
    tokio::time::timeout(PATIENCE, sent)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The request in a line, and the id to answer it under.
fn parse(line: &[u8]) -> (Id, Result<Bind, RpcError>) {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            let refused = RpcError::new(
                ErrorKind::InvalidRequest,
                format!("the line is not a request: {error}"),
            );
            return (Id::Null, Err(refused));
        }
    };
    let id = request.id.unwrap_or(Id::Null);
    if request.method != Bind::METHOD {
        let refused = RpcError::new(
            ErrorKind::UnknownMethod,
            format!(
                "only `{}` can be asked here, and `{}` was; everything else is served on the control socket",
                Bind::METHOD,
                request.method
            ),
        );
        return (id, Err(refused));
    }
    let params = serde_json::from_value(request.params);
    (
        id,
        params.map_err(|error| RpcError::invalid_params(Bind::METHOD, error)),
    )
}

async fn send_line(
    stream: &UnixStream,
    message: &impl serde::Serialize,
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut rest = line.as_slice();
    let mut descriptor = descriptor;
    while !rest.is_empty() {
        stream.writable().await?;
        match stream.try_io(Interest::WRITABLE, || send(stream, rest, descriptor)) {
            Ok(sent) => {
                rest = &rest[sent..];
                // It travels with the first byte.
                descriptor = None;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn send(
    stream: &UnixStream,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<usize> {
    let descriptors = descriptor.as_slice();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let sent = sendmsg(
        stream,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::empty(),
    )?;
    Ok(sent)
}

/// One line, without its line feed, and the descriptors that came along, `keep` of them at most; others are closed at once.
async fn receive_line(stream: &UnixStream, keep: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut line, mut descriptors) = (Vec::new(), Vec::new());
    loop {
        stream.readable().await?;
        let received = stream.try_io(Interest::READABLE, || {
            receive(stream, &mut line, &mut descriptors)
        });
        descriptors.truncate(keep);
        match received {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Ok((line, descriptors));
        }
        if line.len() > MAX_LINE_BYTES {
            return Err(io::Error::other(format!(
                "a line is longer than {MAX_LINE_BYTES} bytes"
            )));
        }
    }
}

fn receive(
    stream: &UnixStream,
    line: &mut Vec<u8>,
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut bytes = [0; 1024];
    // Room for one; the kernel closes what does not fit.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        RECEIVE_FLAGS,
    )?;
    line.extend_from_slice(&bytes[..received.bytes]);
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptors.extend(came);
        }
    }
    if !cfg!(target_os = "linux") {
        for descriptor in &*descriptors {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
        }
    }
    Ok(received.bytes)
}

/// What comes must not be inherited by a command that is started at the same moment. Elsewhere than on Linux there is no
/// flag for that, and it is set just afterwards.
#[cfg(target_os = "linux")]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::empty();

#[cfg(test)]
#[path = "handover_tests.rs"]
mod tests;
