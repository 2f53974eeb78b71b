//! Much data, and connections that share a thread and its pipes. What every relay does with it is in `conformance`.

use std::io::Write as _;
use std::net::Shutdown;
use std::sync::Arc;

use monday_tcpproxy::CopyPath;

use crate::harness::{
    Proxy, Server, assert_echoes, assert_receives, connect, echo_server, fill, noise, on_every_path,
};

on_every_path!(
    what_was_relayed_each_way_is_counted,
    a_slow_reader_does_not_slow_down_others,
);

fn what_was_relayed_each_way_is_counted(path: CopyPath) {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (client, peer) = server.connection(address);
    let data = Arc::new(noise(8 << 20));
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
