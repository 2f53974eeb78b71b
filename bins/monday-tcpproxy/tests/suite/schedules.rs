//! Random conversations, compared byte by byte: the same ones through the buffer, through pipes and, for reference, through
//! haproxy.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use monday_tcpproxy::CopyPath;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{Proxy, Server, noise, wait_until};

/// How many conversations each way has.
const CASES: u32 = 60;

/// What one side does, in order: write so many bytes, after so many milliseconds; then end its stream.
type Script = Vec<(usize, u8)>;

fn script() -> impl Strategy<Value = Script> {
    let size = prop_oneof![
        4 => 1_usize..3,
        4 => 1_usize..5_000,
        2 => 30_000_usize..300_000,
        1 => 500_000_usize..3_000_000,
    ];
    prop::collection::vec((size, 0_u8..4), 0..6)
}

fn speak(mut stream: TcpStream, script: &Script, bytes: &[u8]) {
    let mut at = 0;
    for (len, pause) in script {
        std::thread::sleep(Duration::from_millis(u64::from(*pause)));
        stream.write_all(&bytes[at..at + len]).unwrap();
        at += len;
    }
    stream.shutdown(Shutdown::Write).unwrap();
}

fn listen(mut stream: TcpStream, slow: bool) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut buffer = vec![0; 50_000];
    loop {
        if slow {
            std::thread::sleep(Duration::from_micros(300));
        }
        match stream.read(&mut buffer).unwrap() {
            0 => return heard,
            len => heard.extend_from_slice(&buffer[..len]),
        }
    }
}

fn converse(server: &Server, proxy: SocketAddr, scripts: &[Script; 2], slow: bool) {
    let (client, peer) = server.connection(proxy);
    let sent = scripts
        .clone()
        .map(|script| noise(script.iter().map(|(len, _)| len).sum()));
    std::thread::scope(|scope| {
        let ends = [(&client, &peer), (&peer, &client)];
        let heard: Vec<_> = (0..2)
            .map(|way| {
                let (from, to) = ends[way];
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let (script, bytes) = (&scripts[way], &sent[way]);
                scope.spawn(move || speak(from, script, bytes));
                scope.spawn(move || listen(to, slow && way == 1))
            })
            .collect();
        for (heard, sent) in heard.into_iter().zip(&sent) {
            assert!(heard.join().unwrap() == *sent, "the bytes differ");
        }
    });
}

fn run_all(proxy: SocketAddr, server: &Server) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let conversations = (script(), script(), any::<bool>());
    TestRunner::new(config)
        .run(&conversations, |(up, down, slow)| {
            converse(server, proxy, &[up, down], slow);
            Ok(())
        })
        .unwrap();
}

fn through(path: CopyPath) {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    run_all(address, &server);
    proxy.wait_for("all are gone", |route| route.active == 0);
}

#[test]
fn random_conversations_through_the_buffer_arrive_whole() {
    through(CopyPath::Buffer);
}

#[test]
fn random_conversations_through_pipes_arrive_whole() {
    through(CopyPath::Splice);
}

#[test]
fn random_conversations_as_it_comes_arrive_whole() {
    through(CopyPath::Auto);
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is asked of this relay is not more than what another one does.
#[test]
fn random_conversations_through_haproxy_arrive_whole() {
    let (server, target) = Server::start();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("haproxy.cfg");
    let text = format!(
        "global\n maxconn 500\ndefaults\n mode tcp\n option splice-request\n option splice-response\n timeout connect 5s\n \
         timeout client 1m\n timeout server 1m\nlisten all\n bind {address}\n server target {target}\n"
    );
    std::fs::write(&config, text).unwrap();
    let started = Command::new("haproxy")
        .args(["-q", "-db", "-f"])
        .arg(&config)
        .stdin(Stdio::null())
        .spawn();
    let Ok(child) = started else {
        assert!(std::env::var_os("CI").is_none(), "haproxy is not installed");
        let _ = writeln!(std::io::stderr(), "SKIPPED: haproxy is not installed");
        return;
    };
    let _ended = Ended(child);
    let mut probe = None;
    wait_until("haproxy listens", || {
        probe = TcpStream::connect(address).ok();
        probe.is_some()
    });
    // The one that asked whether it listens is not one of the conversations.
    probe.unwrap().write_all(b"?").unwrap();
    drop(server.accept());
    run_all(address, &server);
}
