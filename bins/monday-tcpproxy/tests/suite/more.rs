//! What a route can do besides relaying: tell who comes and goes, introduce clients, give up what is idle, drain.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use monday_shared::duration::Span;
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::tcpproxy::{Event, RouteSpec};
use monday_shared::rpc::hub::Delivery;
use monday_tcpproxy::CopyPath;
use monday_tcpproxy::table::Change;

use crate::harness::{Proxy, Server, assert_echoes, connect, echo_server, route, wait_until};

fn start(adjust: impl FnOnce(&mut RouteSpec)) -> (Proxy, Server, std::net::SocketAddr) {
    let (server, target) = Server::start();
    let proxy = Proxy::start(CopyPath::Auto);
    let mut spec = route("r", target);
    adjust(&mut spec);
    let address = proxy.open(vec![spec]).unwrap()[0].listen.ip().unwrap();
    (proxy, server, address)
}

#[test]
fn the_target_is_told_who_the_client_is_before_its_first_byte() {
    let (_proxy, server, address) = start(|spec| spec.proxy_protocol = true);
    let (mut client, mut peer) = server.connection(address);
    client.write_all(b"hello").unwrap();
    let mut header = [0; 28];
    peer.read_exact(&mut header).unwrap();
    assert_eq!(header[..16], *b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
    assert_eq!(header[16..24], [127, 0, 0, 1, 127, 0, 0, 1]);
    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    assert_eq!(port(24), client.local_addr().unwrap().port());
    assert_eq!(port(26), address.port());
    let mut hello = [0; 5];
    peer.read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"hello");
}

#[test]
fn a_connection_without_a_byte_is_closed_in_time_and_a_busy_one_is_not() {
    let (_proxy, server, address) = start(|spec| spec.idle_timeout = Some(Span::from_millis(400)));
    let (mut idle, mut idle_peer) = server.connection(address);
    let (mut busy, mut busy_peer) = server.connection(address);
    for _ in 0..12 {
        busy.write_all(b"x").unwrap();
        busy_peer.read_exact(&mut [0]).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    assert_eq!(idle_peer.read(&mut [0]).unwrap(), 0);
    busy.write_all(b"x").unwrap();
    busy_peer.read_exact(&mut [0]).unwrap();
}

#[test]
fn who_comes_and_goes_is_told_with_what_was_moved() {
    let (proxy, server, address) = start(|spec| spec.log_connections = true);
    let (_, mut events) = proxy.hub.subscribe(Bulk::Skip);
    let (mut client, mut peer) = server.connection(address);
    let own = client.local_addr().unwrap().to_string();
    client.write_all(b"hello").unwrap();
    peer.read_exact(&mut [0; 5]).unwrap();
    peer.write_all(b"hi").unwrap();
    client.read_exact(&mut [0; 2]).unwrap();
    drop((client, peer));
    let mut told = Vec::new();
    wait_until("the end is told", || {
        while let Some(Delivery::Event(event)) = events.try_next() {
            match &event.event {
                Event::Connected { client, .. } => told.push(format!("{client} came")),
                Event::Disconnected {
                    client,
                    bytes_up,
                    bytes_down,
                    ..
                } => told.push(format!("{client} went {bytes_up} {bytes_down}")),
                _ => {}
            }
        }
        told.len() >= 2
    });
    assert_eq!(told, [format!("{own} came"), format!("{own} went 5 2")]);
}

#[test]
fn a_drained_route_takes_no_new_clients_until_it_is_reset() {
    let (proxy, address) = Proxy::to(echo_server(), CopyPath::Auto);
    let mut old = connect(address);
    assert_echoes(&mut old);
    proxy.change(Change::Drain);
    assert!(TcpStream::connect(address).is_err());
    assert_echoes(&mut old);
    assert!(proxy.list()[0].draining);
    drop(old);
    proxy.wait_for("the last one has ended", |route| route.active == 0);
    proxy.change(Change::Reset);
    let route = &proxy.list()[0];
    assert!(!route.draining);
    assert_eq!((route.accepted, route.bytes_up), (0, 0));
    assert_echoes(&mut connect(address));
}

#[test]
fn opening_a_drained_route_again_takes_clients_again() {
    let target = echo_server();
    let (proxy, address) = Proxy::to(target, CopyPath::Auto);
    proxy.change(Change::Drain);
    assert!(TcpStream::connect(address).is_err());
    proxy.open(vec![route("r", target)]).unwrap();
    assert_echoes(&mut connect(address));
}
