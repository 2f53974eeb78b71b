//! Targets that are not there, not yet there, or gone again.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use monday_shared::duration::Span;
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::tcpproxy::{Event, RouteSpec};
use monday_shared::rpc::hub::Delivery;
use monday_tcpproxy::CopyPath;
use socket2::{Domain, Socket, Type};

use crate::harness::{Proxy, assert_reset, connect, reset, route};

/// An address where nobody listens yet; the socket can begin to.
fn not_there() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

fn held(target: SocketAddr) -> RouteSpec {
    RouteSpec {
        connect_wait: Span::from_secs(60),
        ..route("r", target)
    }
}

#[test]
fn a_target_that_refuses_is_a_reset_and_is_told_once() {
    let (_socket, target) = not_there();
    let (proxy, address) = Proxy::to(target, CopyPath::Auto);
    let (_, mut events) = proxy.hub.subscribe(Bulk::Skip);
    for _ in 0..3 {
        assert_reset(&mut connect(address));
    }
    proxy.wait_for("all failures are counted", |route| route.failed == 3);
    let route = &proxy.list()[0];
    assert_eq!((route.accepted, route.active), (3, 0));
    let error = route.last_error.as_deref().unwrap();
    assert!(
        error.contains(&format!("cannot connect to {target}")),
        "{error}"
    );

    let mut told = 0;
    while let Some(Delivery::Event(event)) = events.try_next() {
        if let Event::DialFailed { id, .. } = &event.event {
            assert_eq!(id, "r");
            told += 1;
        }
    }
    assert_eq!(told, 1, "three failures within a second");
}

#[test]
fn a_connection_is_held_until_the_target_listens() {
    let (socket, target) = not_there();
    let proxy = Proxy::start(CopyPath::Auto);
    let address = proxy.open(vec![held(target)]).unwrap()[0]
        .listen
        .ip()
        .unwrap();
    let mut client = connect(address);
    client.write_all(b"early").unwrap();
    proxy.wait_for("the connection is held", |route| route.active == 1);

    socket.listen(1).unwrap();
    let (peer, _) = socket.accept().unwrap();
    let mut peer = TcpStream::from(peer);
    let mut early = [0; 5];
    peer.read_exact(&mut early).unwrap();
    assert_eq!(&early, b"early");
    peer.write_all(b"late").unwrap();
    drop(peer);
    let mut late = String::new();
    client.read_to_string(&mut late).unwrap();
    assert_eq!(late, "late");
    assert_eq!(proxy.list()[0].failed, 0);
}

#[test]
fn a_held_client_that_resets_is_not_held_any_longer() {
    let (_socket, target) = not_there();
    let proxy = Proxy::start(CopyPath::Auto);
    let address = proxy.open(vec![held(target)]).unwrap()[0]
        .listen
        .ip()
        .unwrap();
    let client = connect(address);
    proxy.wait_for("the connection is held", |route| route.active == 1);
    reset(client);
    proxy.wait_for("the connection is gone", |route| route.active == 0);
}

#[test]
fn closing_the_route_ends_held_connections() {
    let (_socket, target) = not_there();
    let proxy = Proxy::start(CopyPath::Auto);
    let address = proxy.open(vec![held(target)]).unwrap()[0]
        .listen
        .ip()
        .unwrap();
    let mut client = connect(address);
    proxy.wait_for("the connection is held", |route| route.active == 1);
    proxy.close(&["r"]);
    assert_reset(&mut client);
}

#[test]
fn a_target_that_comes_back_is_reached_again() {
    let (socket, target) = not_there();
    let (proxy, address) = Proxy::to(target, CopyPath::Auto);
    assert_reset(&mut connect(address));
    socket.listen(1).unwrap();
    let mut client = connect(address);
    let (peer, _) = socket.accept().unwrap();
    TcpStream::from(peer).write_all(b"back").unwrap();
    let mut back = String::new();
    client.read_to_string(&mut back).unwrap();
    assert_eq!(back, "back");
    proxy.wait_for("both are counted", |route| {
        (route.accepted, route.failed) == (2, 1)
    });
}
