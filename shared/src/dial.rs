//! From a target as it was written to a connection: resolve, try every address, give up in time.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nix::errno::Errno;
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, sleep, timeout};

use crate::address::{Target, is_local};
use crate::platform;

/// How long one address has before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// How long to wait before trying a target again that is not there yet. Short, because somebody waits; and far more
/// than what a refused try costs.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// How long a dial may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one try, names and all addresses included.
    pub connect_timeout: Duration,
    /// How long to try again and again while the target is not there.
    pub connect_wait: Duration,
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// To an IP address.
    Tcp(TcpStream),
    /// To a Unix-domain socket.
    Unix(UnixStream),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name means nothing.
    #[error("cannot resolve {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The name has no address.
    #[error("{host} has no address")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// None of the addresses was reached.
    #[error("cannot connect to {target}{}: {source}", tried(.addresses))]
    Connect {
        /// The target.
        target: Target,
        /// All addresses that were tried.
        addresses: Vec<SocketAddr>,
        /// Why the first of them failed.
        source: io::Error,
    },
    /// Nobody answered.
    #[error("cannot connect to {target}: no answer within {} ms", .within.as_millis())]
    TimedOut {
        /// The target.
        target: Target,
        /// The time that it had.
        within: Duration,
    },
}

fn tried(addresses: &[SocketAddr]) -> String {
    match addresses {
        [] | [_] => String::new(),
        several => {
            let several: Vec<String> = several.iter().map(ToString::to_string).collect();
            format!(" (tried {})", several.join(", "))
        }
    }
}

impl DialError {
    /// Whether it says nothing of the target: we have no file descriptor left (`EMFILE`, `ENFILE`).
    fn is_for_want_of_descriptors(&self) -> bool {
        let (Self::Resolve { source, .. } | Self::Connect { source, .. }) = self else {
            return false;
        };
        let code = source.raw_os_error().map(Errno::from_raw);
        matches!(code, Some(Errno::EMFILE | Errno::ENFILE))
    }
}

/// Connects to a target. For want of file descriptors it is tried again for as long as one try may take: whoever waits
/// has been accepted already, and others' connections end at any moment.
///
/// # Errors
/// [`DialError`] of the last try.
pub async fn dial(target: &Target, patience: Patience) -> Result<Stream, DialError> {
    let began = Instant::now();
    loop {
        let tried = timeout(patience.connect_timeout, try_once(target)).await;
        let error = match tried {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => DialError::TimedOut {
                target: target.clone(),
                within: patience.connect_timeout,
            },
        };
        let give_up_after = if error.is_for_want_of_descriptors() {
            patience.connect_wait.max(patience.connect_timeout)
        } else {
            patience.connect_wait
        };
        if began.elapsed() + RETRY_AFTER > give_up_after {
            return Err(error);
        }
        sleep(RETRY_AFTER).await;
    }
}

async fn try_once(target: &Target) -> Result<Stream, DialError> {
    let (host, port) = match target {
        Target::Address(address) => {
            return connect(*address)
                .await
                .map(Stream::Tcp)
                .map_err(|source| DialError::Connect {
                    target: target.clone(),
                    addresses: vec![*address],
                    source,
                });
        }
        Target::Unix(path) => {
            return connect_unix(path)
                .await
                .map(Stream::Unix)
                .map_err(|source| DialError::Connect {
                    target: target.clone(),
                    addresses: vec![],
                    source,
                });
        }
        Target::Name { host, port } => (host, *port),
    };
    let addresses: Vec<SocketAddr> = lookup_host((host.as_str(), port))
        .await
        .map_err(|source| DialError::Resolve {
            host: host.clone(),
            source,
        })?
        .collect();
    if addresses.is_empty() {
        return Err(DialError::NoAddress { host: host.clone() });
    }
    let addresses = by_turns(addresses);
    race(&addresses)
        .await
        .map(Stream::Tcp)
        .map_err(|source| DialError::Connect {
            target: target.clone(),
            addresses,
            source,
        })
}

/// The addresses in the resolver's order of preference, without repetitions, the two families by turns, so that one
/// family that leads nowhere costs one head start and not one for each of its addresses (RFC 8305, section 4).
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut unique = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    let first_is_v6 = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) = unique
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    first.reverse();
    second.reverse();
    let mut turns = Vec::with_capacity(first.len() + second.len());
    while let Some(address) = first.pop().or_else(|| second.pop()) {
        turns.push(address);
        turns.extend(second.pop());
    }
    turns
}

/// Connects to all addresses, each a head start after the one before or as soon as one has failed; the first to answer
/// wins.
///
/// # Errors
/// The first failure, when all have failed.
async fn race(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut failure = None;
    loop {
        running.extend(waiting.next().map(|address| connect(*address)));
        tokio::select! {
            Some(tried) = running.next() => match tried {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = failure.or(Some(error)),
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
            else => return Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())),
        }
    }
}

/// A server whose queue is full does not make us wait, as it would over TCP: the kernel says "try again" at once.
async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(RETRY_AFTER).await,
            connected => return connected,
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A relay must not hold back what the client has chosen to send.
    socket.set_nodelay(true)?;
    let local = is_local(address.ip());
    if local {
        platform::stop_pacing(&socket);
    }
    let stream = socket.connect(address).await?;
    if local && is_connected_to_itself(&stream, address) {
        // A plain close would leave the port in TIME-WAIT, and the program that should listen there could not.
        stream.set_zero_linger()?;
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// The kernel may give a connection to a local port where nobody listens that very port as its own, and then connects
/// it to itself (a simultaneous open, RFC 9293, section 3.5). Trying again and again makes that likely.
fn is_connected_to_itself(stream: &TcpStream, peer: SocketAddr) -> bool {
    stream.local_addr().is_ok_and(|own| own == peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const AT_ONCE: Patience = Patience {
        connect_timeout: Duration::from_secs(10),
        connect_wait: Duration::ZERO,
    };

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn peer(stream: &Stream) -> SocketAddr {
        match stream {
            Stream::Tcp(stream) => stream.peer_addr().unwrap(),
            Stream::Unix(_) => panic!("not over TCP"),
        }
    }

    #[tokio::test]
    async fn a_socket_is_a_target_like_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let target = Target::Unix(path.clone());
        let error = dial(&target, AT_ONCE).await.unwrap_err().to_string();
        assert!(error.contains("a.sock"), "{error}");
        let _listener = tokio::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(dial(&target, AT_ONCE).await, Ok(Stream::Unix(_))));
    }

    /// An address where nobody listens, and nobody else will: the port stays bound.
    fn refusing() -> (std::net::TcpStream, SocketAddr) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let address = client.local_addr().unwrap();
        (client, address)
    }

    #[test]
    fn families_take_turns_in_the_resolvers_order() {
        let addresses = ["[::1]:1", "[::2]:1", "[::1]:1", "[::3]:1", "127.0.0.1:1"].map(address);
        let expected = ["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"].map(address);
        assert_eq!(by_turns(addresses.to_vec()), expected);
        assert_eq!(by_turns(vec![]), []);
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_passed_over_at_once() {
        let (_listener, good) = listener().await;
        let (_held, bad) = refusing();
        let started = Instant::now();
        let stream = race(&[bad, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(started.elapsed() < HEAD_START);
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_costs_one_head_start() {
        let (_listener, good) = listener().await;
        let silent = silent();
        let stream = race(&[silent.1, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn a_target_that_does_not_answer_is_given_up_in_time() {
        let (_kept, silent) = silent();
        let patience = Patience {
            connect_timeout: Duration::from_millis(50),
            ..AT_ONCE
        };
        let error = dial(&Target::Address(silent), patience).await.unwrap_err();
        assert!(matches!(error, DialError::TimedOut { .. }), "{error}");
        assert!(error.to_string().contains("50 ms"), "{error}");
    }

    #[tokio::test]
    async fn a_name_is_tried_on_all_of_its_addresses() {
        // On most machines `localhost` is ::1 as well, where nobody listens.
        let (_listener, good) = listener().await;
        let target = Target::Name {
            host: "localhost".to_owned(),
            port: good.port(),
        };
        assert_eq!(peer(&dial(&target, AT_ONCE).await.unwrap()), good);
    }

    #[tokio::test]
    async fn a_name_that_means_nothing_is_named() {
        let target: Target = "no-such-host.invalid:80".parse().unwrap();
        let error = dial(&target, AT_ONCE).await.unwrap_err().to_string();
        assert!(
            error.starts_with("cannot resolve no-such-host.invalid"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_target_that_is_not_there_yet_is_waited_for() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address("127.0.0.1:0")).unwrap();
        let there_soon = socket.local_addr().unwrap();
        let patience = Patience {
            connect_wait: Duration::from_secs(10),
            ..AT_ONCE
        };
        let dialling =
            tokio::spawn(async move { dial(&Target::Address(there_soon), patience).await });
        // The first try has been refused by the time this one has.
        assert!(connect(there_soon).await.is_err());
        let _listener = socket.listen(1).unwrap();
        assert_eq!(peer(&dialling.await.unwrap().unwrap()), there_soon);
    }

    #[tokio::test]
    async fn a_connection_to_itself_is_recognised() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address("127.0.0.1:0")).unwrap();
        let own = socket.local_addr().unwrap();
        let stream = socket.connect(own).await.unwrap();
        assert!(is_connected_to_itself(&stream, own));
        let (_listener, other) = listener().await;
        assert!(!is_connected_to_itself(
            &connect(other).await.unwrap(),
            other
        ));
    }

    /// A listener whose queue is full, so that further connections get no answer; it lasts as long as what is returned.
    fn silent() -> ((socket2::Socket, Vec<socket2::Socket>), SocketAddr) {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&address("127.0.0.1:0").into()).unwrap();
        listener.listen(0).unwrap();
        let own = listener.local_addr().unwrap();
        let fillers = (0..2)
            .map(|_| {
                let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                filler.set_nonblocking(true).unwrap();
                let _ = filler.connect(&own);
                filler
            })
            .collect();
        ((listener, fillers), own.as_socket().unwrap())
    }
}
