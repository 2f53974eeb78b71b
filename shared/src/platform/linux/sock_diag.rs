//! Questions about sockets to the kernel: `sock_diag(7)`.
//!
//! A FIN says that a peer sends nothing more. Whether it still reads is not in it, but if the peer's socket is on this
//! machine and in our network namespace, the kernel knows: a socket that nobody has open any more has no inode. Nobody
//! needs rights for that question, and it takes some microseconds.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use crate::platform::PeerState;

/// Length of `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;

/// Length of the header, of four bytes and a word, and of `struct inet_diag_sockid`.
const QUESTION_BYTES: usize = HEADER_BYTES + 8 + 48;

/// Length of the header and of `struct inet_diag_msg`.
const ANSWER_BYTES: usize = HEADER_BYTES + 72;

/// `NLM_F_REQUEST`, without `NLM_F_DUMP`: one socket, found by its addresses.
const REQUEST: u16 = 1;

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;

/// `INET_DIAG_NOCOOKIE`: whichever socket has these addresses.
const ANY_COOKIE: [u8; 8] = [0xff; 8];

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;

/// What the kernel says about a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    state: u8,
    /// Bytes, the FIN being one, that the other side has not acknowledged.
    unacknowledged: u32,
    /// 0: no process has it open.
    inode: u32,
}

/// What the peer of a connection, which has sent its FIN, is now: `own` and `peer` are our two addresses.
#[must_use]
pub fn peer_state(own: SocketAddr, peer: SocketAddr) -> PeerState {
    match ask(peer, own) {
        Ok(Some(answer)) if answer.inode != 0 => PeerState::Open,
        Ok(Some(answer)) if is_ending(answer.state) => PeerState::Closed,
        Ok(Some(_)) => PeerState::Unknown,
        Ok(None) => PeerState::Missing,
        Err(error) => {
            tracing::debug!(%error, "the kernel does not say whether a peer is closed");
            PeerState::Unknown
        }
    }
}

/// How much of what was written to our socket, its FIN included, the peer's system does not have yet. `None`: the
/// kernel does not say, or the connection is over.
#[must_use]
pub fn unacknowledged(own: SocketAddr, peer: SocketAddr) -> Option<u32> {
    let answer = ask(own, peer).ok().flatten()?;
    Some(answer.unacknowledged)
}

/// The states of a socket that has sent its FIN (`include/net/tcp_states.h`). A socket that nobody has accepted yet has
/// no inode either.
fn is_ending(state: u8) -> bool {
    const FIN_WAIT1: u8 = 4;
    const FIN_WAIT2: u8 = 5;
    const TIME_WAIT: u8 = 6;
    const LAST_ACK: u8 = 9;
    const CLOSING: u8 = 11;
    matches!(
        state,
        FIN_WAIT1 | FIN_WAIT2 | TIME_WAIT | LAST_ACK | CLOSING
    )
}

/// Asks for the TCP socket that is connected from one address to the other. `None`: there is none here.
fn ask(from: SocketAddr, to: SocketAddr) -> io::Result<Option<Answer>> {
    // A socket per question: a connection asks a few times in its life, and only if it ends one side after the other.
    let kernel = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkSockDiag,
    )?;
    let Some(question) = question(from, to) else {
        return Ok(None);
    };
    send(kernel.as_raw_fd(), &question, MsgFlags::empty())?;
    // The answer is there when `send` returns. It may have attributes after what we read.
    let mut answer = [0; 512];
    let len = recv(kernel.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    Ok(read_answer(&answer[..len], from, to))
}

/// `None`: the two addresses are not of one family.
fn question(from: SocketAddr, to: SocketAddr) -> Option<Vec<u8>> {
    let (from_ip, to_ip) = (from.ip().to_canonical(), to.ip().to_canonical());
    let family = match (from_ip, to_ip) {
        (IpAddr::V4(_), IpAddr::V4(_)) => AF_INET,
        (IpAddr::V6(_), IpAddr::V6(_)) => AF_INET6,
        _ => return None,
    };
    let every_state = u32::MAX;
    let any_interface = 0_u32;
    let mut question = Vec::with_capacity(QUESTION_BYTES);
    question.extend(u32::try_from(QUESTION_BYTES).ok()?.to_ne_bytes());
    question.extend(BY_FAMILY.to_ne_bytes());
    question.extend(REQUEST.to_ne_bytes());
    // The number of the question and whose it is: there is no other on this socket.
    question.extend([0; 8]);
    question.extend([family, IPPROTO_TCP, 0, 0]);
    question.extend(every_state.to_ne_bytes());
    question.extend(from.port().to_be_bytes());
    question.extend(to.port().to_be_bytes());
    question.extend(sixteen(from_ip));
    question.extend(sixteen(to_ip));
    question.extend(any_interface.to_ne_bytes());
    question.extend(ANY_COOKIE);
    Some(question)
}

/// An address in the place of the longest one.
fn sixteen(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let mut place = [0; 16];
            place[..4].copy_from_slice(&ip.octets());
            place
        }
    }
}

/// `None`: it says that there is no such socket, or it is about a listener, which the kernel finds instead.
fn read_answer(bytes: &[u8], from: SocketAddr, to: SocketAddr) -> Option<Answer> {
    if bytes.len() < ANSWER_BYTES || two(bytes, 4)? != BY_FAMILY.to_ne_bytes() {
        return None;
    }
    let is_it =
        two(bytes, 20)? == from.port().to_be_bytes() && two(bytes, 22)? == to.port().to_be_bytes();
    is_it.then_some(Answer {
        state: *bytes.get(17)?,
        unacknowledged: word(bytes, 76)?,
        inode: word(bytes, 84)?,
    })
}

fn two(bytes: &[u8], at: usize) -> Option<[u8; 2]> {
    bytes.get(at..at + 2)?.try_into().ok()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    /// A client, and the server's end of its connection.
    fn connection(listen: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(listen).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        (client, server)
    }

    fn state_of_peer(own: &TcpStream) -> PeerState {
        peer_state(own.local_addr().unwrap(), own.peer_addr().unwrap())
    }

    #[test]
    fn a_client_that_closed_is_told_from_one_that_only_sends_nothing_more() {
        for listen in ["127.0.0.1:0", "[::1]:0"] {
            let (client, mut server) = connection(listen);
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(server.read(&mut [0]).unwrap(), 0);
            assert_eq!(state_of_peer(&server), PeerState::Open, "{listen}");
            drop(client);
            assert_eq!(state_of_peer(&server), PeerState::Closed, "{listen}");
        }
    }

    #[test]
    fn a_peer_that_is_not_here_is_missed_even_where_somebody_listens_on_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert_eq!(peer_state(nobody, here), PeerState::Missing);
        assert_eq!(
            peer_state("[::1]:1".parse().unwrap(), here),
            PeerState::Missing
        );
    }

    #[test]
    fn what_the_peer_has_not_received_is_counted() {
        let (mut client, server) = connection("127.0.0.1:0");
        let (own, peer) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        assert_eq!(unacknowledged(own, peer), Some(0));
        client.set_nonblocking(true).unwrap();
        while client.write(&[0; 8192]).is_ok() {}
        assert!(unacknowledged(own, peer).unwrap() > 0);
        drop(server);
    }

    #[test]
    fn an_answer_that_is_cut_short_says_nothing() {
        let at = "127.0.0.1:1".parse().unwrap();
        assert_eq!(read_answer(&[], at, at), None);
        assert_eq!(read_answer(&[0; ANSWER_BYTES - 1], at, at), None);
    }
}
