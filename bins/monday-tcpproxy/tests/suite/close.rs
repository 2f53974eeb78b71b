//! How a connection ends on one side is how it is made to end on the other.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use monday_tcpproxy::CopyPath;

use crate::harness::{Proxy, Server, assert_reset, noise, on_every_path, reset};

on_every_path!(
    a_client_that_half_closes_gets_its_answer,
    a_target_that_half_closes_first_still_receives,
    both_sides_may_close_at_once,
    a_clients_reset_is_a_reset_at_the_target,
    a_targets_reset_is_a_reset_at_the_client,
    a_reset_after_a_half_close_is_passed_on,
    what_a_target_sent_before_it_went_away_is_delivered,
    an_empty_connection_ends_cleanly,
    a_closed_route_resets_its_connections,
    a_client_that_wrote_a_lot_and_closed_is_delivered_whole_and_leaves_nothing,
    a_client_that_half_closes_may_wait_long_for_its_answer,
    a_client_that_closes_after_a_half_close_is_missed,
    a_target_that_closes_ends_a_connection_that_its_client_keeps,
);

fn a_client_that_half_closes_gets_its_answer(path: CopyPath) {
    let (server, target) = Server::start();
    let (_proxy, address) = Proxy::to(target, path);
    let (mut client, mut peer) = server.connection(address);
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();

    let mut question = String::new();
    peer.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    let answer = noise(1 << 20);
    let sent = answer.clone();
    let sending = std::thread::spawn(move || peer.write_all(&sent).unwrap());
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    sending.join().unwrap();
    assert!(received == answer);
}

fn a_target_that_half_closes_first_still_receives(path: CopyPath) {
    let (server, target) = Server::start();
    let (_proxy, address) = Proxy::to(target, path);
    let (mut client, mut peer) = server.connection(address);
    peer.write_all(b"greeting").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();

    let mut greeting = String::new();
    client.read_to_string(&mut greeting).unwrap();
    assert_eq!(greeting, "greeting");
    client.write_all(b"afterwards").unwrap();
    drop(client);
    let mut afterwards = String::new();
    peer.read_to_string(&mut afterwards).unwrap();
    assert_eq!(afterwards, "afterwards");
}

fn both_sides_may_close_at_once(path: CopyPath) {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (mut client, mut peer) = server.connection(address);
    client.write_all(b"up").unwrap();
    peer.write_all(b"down").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let (mut up, mut down) = (String::new(), String::new());
    client.read_to_string(&mut down).unwrap();
    peer.read_to_string(&mut up).unwrap();
    assert_eq!((up.as_str(), down.as_str()), ("up", "down"));
    proxy.wait_for("the connection is gone", |route| route.active == 0);
}

fn a_clients_reset_is_a_reset_at_the_target(path: CopyPath) {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (mut client, mut peer) = server.connection(address);
    client.write_all(b"x").unwrap();
    peer.read_exact(&mut [0]).unwrap();
    reset(client);
    assert_reset(&mut peer);
    proxy.wait_for("the connection is gone", |route| route.active == 0);
}

fn a_targets_reset_is_a_reset_at_the_client(path: CopyPath) {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (mut client, peer) = server.connection(address);
    reset(peer);
    assert_reset(&mut client);
    proxy.wait_for("the connection is gone", |route| route.active == 0);
}

fn a_reset_after_a_half_close_is_passed_on(path: CopyPath) {
    let (server, target) = Server::start();
    let (_proxy, address) = Proxy::to(target, path);
    let (mut client, mut peer) = server.connection(address);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    reset(peer);
    assert_reset(&mut client);
}

/// As a web server does that refuses a large upload: it answers and closes without having read all of it.
fn what_a_target_sent_before_it_went_away_is_delivered(path: CopyPath) {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (mut client, mut peer) = server.connection(address);
    let uploading = {
        let mut client = client.try_clone().unwrap();
        // It ends with an error, sooner or later.
        std::thread::spawn(move || while client.write_all(&[0; 8192]).is_ok() {})
    };
    peer.read_exact(&mut [0; 1024]).unwrap();
    peer.write_all(b"too large").unwrap();
    drop(peer);
    let mut answer = [0; 9];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"too large");
    uploading.join().unwrap();
    proxy.wait_for("the connection is gone", |route| route.active == 0);
}

fn an_empty_connection_ends_cleanly(path: CopyPath) {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (client, mut peer) = server.connection(address);
    drop(client);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    drop(peer);
    proxy.wait_for("the connection is gone", |route| route.active == 0);
}

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

/// The target keeps its end open.
fn a_client_that_wrote_a_lot_and_closed_is_delivered_whole_and_leaves_nothing(path: CopyPath) {
    const MEGABYTES: usize = 50;
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (mut client, mut peer) = server.connection(address);
    let sent = noise(1 << 20);
    let expected = sent.clone();
    let writing = std::thread::spawn(move || {
        for _ in 0..MEGABYTES {
            client.write_all(&sent).unwrap();
        }
    });
    let mut received = vec![0; 1 << 20];
    for _ in 0..MEGABYTES {
        peer.read_exact(&mut received).unwrap();
        assert!(received == expected);
    }
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    writing.join().unwrap();
    proxy.wait_for("the connection is gone", |route| route.active == 0);
    assert_eq!(proxy.list()[0].bytes_up, (MEGABYTES << 20) as u64);
}

fn a_client_that_half_closes_may_wait_long_for_its_answer(path: CopyPath) {
    let (server, target) = Server::start();
    let (_proxy, address) = Proxy::to(target, path);
    let (mut client, mut peer) = server.connection(address);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    // Longer than it takes to be asked for the third time.
    std::thread::sleep(Duration::from_millis(2500));
    peer.write_all(b"at last").unwrap();
    drop(peer);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "at last");
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
