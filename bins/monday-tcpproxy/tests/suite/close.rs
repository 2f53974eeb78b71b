//! How connections end that are over before both sides say so. What every relay does is in `conformance`.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use monday_tcpproxy::CopyPath;

use crate::harness::{Proxy, Server, assert_reset, on_every_path};

on_every_path!(
    a_closed_route_resets_its_connections,
    a_client_that_closes_after_a_half_close_is_missed,
    a_target_that_closes_ends_a_connection_that_its_client_keeps,
);

fn a_closed_route_resets_its_connections(path: CopyPath) {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (mut client, mut peer) = server.connection(address);
    client.write_all(b"x").unwrap();
    peer.read_exact(&mut [0]).unwrap();
    assert_eq!(proxy.close(&["r"]), ["r"]);
    assert_reset(&mut client);
    assert_reset(&mut peer);
    assert!(
        std::net::TcpListener::bind(address).is_ok(),
        "the port is free"
    );
}

fn a_client_that_closes_after_a_half_close_is_missed(path: CopyPath) {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (mut client, mut peer) = server.connection(address);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    peer.write_all(b"still there").unwrap();
    client.read_exact(&mut [0; 11]).unwrap();
    drop(client);
    proxy.wait_for("the connection is gone", |route| route.active == 0);
}

fn a_target_that_closes_ends_a_connection_that_its_client_keeps(path: CopyPath) {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (mut client, mut peer) = server.connection(address);
    peer.write_all(b"goodbye").unwrap();
    drop(peer);
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert_eq!(said, "goodbye");
    proxy.wait_for("the connection is gone", |route| route.active == 0);
}
