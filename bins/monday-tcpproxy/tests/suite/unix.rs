//! Unix-domain sockets on either side: what holds for TCP holds for them, as far as they know it.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use monday_shared::protocol::listen_address::ListenAddress;
use monday_shared::protocol::tcpproxy::RouteSpec;
use monday_tcpproxy::CopyPath;
use tempfile::TempDir;

use crate::harness::{
    Executable, HANGS, Proxy, Server, assert_echoes, connect, noise, on_every_path, wait_until,
};

on_every_path!(
    bytes_go_from_socket_to_socket_whole_in_both_directions,
    a_half_close_is_passed_on_and_the_answer_comes,
    a_client_that_closes_is_told_from_one_that_only_sends_nothing_more,
    tcp_and_unix_go_together_either_way,
);

/// A proxy with a route between two sockets in a folder.
struct Between {
    folder: TempDir,
    proxy: Proxy,
    listener: UnixListener,
}

impl Between {
    fn start(path: CopyPath) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("target")).unwrap();
        let proxy = Proxy::start(path);
        let at = |name: &str| format!("unix:{}", folder.path().join(name).display());
        let opened = proxy
            .open(vec![RouteSpec::new("r", at("front"), at("target"))])
            .unwrap();
        assert_eq!(
            opened[0].listen,
            ListenAddress::Unix(folder.path().join("front"))
        );
        Self {
            folder,
            proxy,
            listener,
        }
    }

    fn front(&self) -> PathBuf {
        self.folder.path().join("front")
    }

    fn connection(&self) -> (UnixStream, UnixStream) {
        let client = dial(&self.front());
        let (peer, _) = self.listener.accept().unwrap();
        (client, with_deadline(peer))
    }
}

fn dial(path: &Path) -> UnixStream {
    with_deadline(UnixStream::connect(path).unwrap())
}

fn with_deadline(stream: UnixStream) -> UnixStream {
    stream.set_read_timeout(Some(HANGS)).unwrap();
    stream.set_write_timeout(Some(HANGS)).unwrap();
    stream
}

fn bytes_go_from_socket_to_socket_whole_in_both_directions(path: CopyPath) {
    let between = Between::start(path);
    let (mut client, mut peer) = between.connection();
    let sent = noise(16 << 20);
    let both = [(&client, &peer), (&peer, &client)].map(|(from, to)| {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let sent = sent.clone();
        let writing = std::thread::spawn(move || {
            from.write_all(&sent).unwrap();
            from.shutdown(Shutdown::Write).unwrap();
        });
        let reading = std::thread::spawn(move || {
            let mut received = Vec::new();
            to.read_to_end(&mut received).unwrap();
            received
        });
        (writing, reading)
    });
    for (writing, reading) in both {
        writing.join().unwrap();
        assert!(reading.join().unwrap() == sent);
    }
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

fn a_half_close_is_passed_on_and_the_answer_comes(path: CopyPath) {
    let between = Between::start(path);
    let (mut client, mut peer) = between.connection();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut question = String::new();
    peer.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    // Longer than the proxy waits before it asks who is still there.
    std::thread::sleep(std::time::Duration::from_millis(200));
    peer.write_all(b"answer").unwrap();
    drop(peer);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
}

fn a_client_that_closes_is_told_from_one_that_only_sends_nothing_more(path: CopyPath) {
    let between = Between::start(path);
    let (client, mut peer) = between.connection();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    drop(client);
    between
        .proxy
        .wait_for("the connection is gone", |route| route.active == 0);
}

fn tcp_and_unix_go_together_either_way(path: CopyPath) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("unix:{}", folder.path().join(name).display());
    let (server, target) = Server::start();
    let proxy = Proxy::start(path);
    let opened = proxy
        .open(vec![
            RouteSpec::new("a", at("a"), target.to_string()),
            RouteSpec::new("b", "127.0.0.1:0", at("a")),
        ])
        .unwrap();
    let mut client = connect(opened[1].listen.ip().unwrap());
    client.write_all(&noise(100_000)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut peer = server.accept();
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    assert!(received == noise(100_000));
}

#[test]
fn a_route_listens_on_all_its_addresses_and_the_file_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("db.sock");
    let proxy = Executable::start(&[&format!(
        "db@127.0.0.1:0,[::1]:0,{}={}",
        socket.display(),
        crate::harness::echo_server()
    )]);
    assert_echoes(&mut connect(proxy.routes[0]));
    assert_echoes(&mut dial(&socket));
    drop(proxy);
    // It was killed: the next one replaces what it left.
    assert!(socket.exists());
    let mut proxy = Executable::start(&[&format!(
        "{}={}",
        socket.display(),
        crate::harness::echo_server()
    )]);
    assert_echoes(&mut dial(&socket));
    proxy.terminate();
    wait_until("the file is gone", || !socket.exists());
}

#[test]
fn a_socket_that_somebody_serves_is_refused_with_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    let _served = UnixListener::bind(&path).unwrap();
    let proxy = Proxy::start(CopyPath::Auto);
    let at = format!("unix:{}", path.display());
    let error = proxy
        .open(vec![RouteSpec::new("r", at, "127.0.0.1:1")])
        .unwrap_err()
        .to_string();
    let pid = format!("pid {}", std::process::id());
    assert!(error.contains(&pid), "{error}");
}
