//! Much data, little data, and readers of different speed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use monday_tcpproxy::CopyPath;

use crate::harness::{Proxy, Server, assert_echoes, connect, echo_server, noise, on_every_path};

on_every_path!(
    both_directions_carry_large_data_byte_for_byte,
    single_bytes_pass_one_by_one,
    messages_of_every_size_pass,
    a_slow_reader_does_not_slow_down_others,
    a_reader_that_stalls_holds_back_the_writer_and_misses_nothing,
);

fn both_directions_carry_large_data_byte_for_byte(path: CopyPath) {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (client, peer) = server.connection(address);
    let data = Arc::new(noise(64 << 20));
    let ends: Vec<_> = [client, peer]
        .into_iter()
        .flat_map(|stream| [(stream.try_clone().unwrap(), true), (stream, false)])
        .map(|(mut stream, writes)| {
            let data = Arc::clone(&data);
            std::thread::spawn(move || {
                if writes {
                    stream.write_all(&data).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                } else {
                    assert_receives(&mut stream, &data);
                }
            })
        })
        .collect();
    for end in ends {
        end.join().unwrap();
    }
    proxy.wait_for("all is counted", |route| {
        let all = data.len() as u64;
        (route.active, route.bytes_up, route.bytes_down) == (0, all, all)
    });
}

/// Reads to the end and compares on the way, without keeping it all.
fn assert_receives(stream: &mut impl Read, mut expected: &[u8]) {
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        let (now, later) = expected.split_at(read);
        assert!(now == &buffer[..read], "wrong bytes");
        expected = later;
    }
    assert!(expected.is_empty(), "{} bytes are missing", expected.len());
}

fn single_bytes_pass_one_by_one(path: CopyPath) {
    let (_proxy, address) = Proxy::to(echo_server(), path);
    let mut client = connect(address);
    for byte in 0..=255 {
        client.write_all(&[byte]).unwrap();
        let mut answer = [0];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [byte]);
    }
}

fn messages_of_every_size_pass(path: CopyPath) {
    let (_proxy, address) = Proxy::to(echo_server(), path);
    let mut client = connect(address);
    for exponent in 0..22 {
        for len in [
            (1_usize << exponent) - 1,
            1 << exponent,
            (1 << exponent) + 1,
        ] {
            let message = noise(len);
            let writing = {
                let (mut client, message) = (client.try_clone().unwrap(), message.clone());
                std::thread::spawn(move || client.write_all(&message).unwrap())
            };
            let mut answer = vec![0; len];
            client.read_exact(&mut answer).unwrap();
            writing.join().unwrap();
            assert!(answer == message, "{len} bytes");
        }
    }
}

fn a_slow_reader_does_not_slow_down_others(path: CopyPath) {
    let (server, target) = Server::start();
    let (_proxy, address) = Proxy::to(target, path);
    let (slow, _never_reads) = server.connection(address);
    fill(&slow);

    let (mut fast, mut reads) = server.connection(address);
    let data = noise(16 << 20);
    let sent = data.clone();
    let writing = std::thread::spawn(move || fast.write_all(&sent).unwrap());
    assert_receives(&mut reads, &data);
    writing.join().unwrap();
}

fn a_reader_that_stalls_holds_back_the_writer_and_misses_nothing(path: CopyPath) {
    let (server, target) = Server::start();
    let (_proxy, address) = Proxy::to(target, path);
    let (client, mut peer) = server.connection(address);
    let sent = fill(&client);
    client.shutdown(Shutdown::Write).unwrap();
    let mut received = 0;
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = peer.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        for byte in &buffer[..read] {
            assert_eq!(*byte, pattern(received), "at {received}");
            received += 1;
        }
    }
    assert_eq!(received, sent);
    peer.write_all(b"x").unwrap();
}

/// Writes until nothing more is taken, although others had time to make room, and returns how much was.
fn fill(stream: &TcpStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let (mut sent, mut refused) = (0, 0);
    // The proxy makes room by moving bytes on; it has when it is asked a hundred times with pauses between.
    while refused < 100 {
        let chunk: Vec<u8> = (sent..sent + 65536).map(pattern).collect();
        match (&*stream).write(&chunk) {
            Ok(written) => (sent, refused) = (sent + written, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                refused += 1;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_nonblocking(false).unwrap();
    sent
}

/// A byte that tells its place well enough: 251 is prime, and no buffer is a multiple of it.
fn pattern(place: usize) -> u8 {
    u8::try_from(place % 251).unwrap()
}

#[test]
fn many_connections_stream_at_once_when_there_are_fewer_pipes() {
    let (proxy, address) = Proxy::to(echo_server(), CopyPath::Splice);
    let data = Arc::new(noise(1 << 20));
    let streams: Vec<_> = (0..100)
        .map(|_| {
            let data = Arc::clone(&data);
            std::thread::spawn(move || {
                let mut client = connect(address);
                assert_echoes(&mut client);
                let writing = {
                    let (mut client, data) = (client.try_clone().unwrap(), Arc::clone(&data));
                    std::thread::spawn(move || {
                        client.write_all(&data).unwrap();
                        client.shutdown(Shutdown::Write).unwrap();
                    })
                };
                assert_receives(&mut client, &data);
                writing.join().unwrap();
            })
        })
        .collect();
    for stream in streams {
        stream.join().unwrap();
    }
    proxy.wait_for("all connections are gone", |route| route.active == 0);
}
