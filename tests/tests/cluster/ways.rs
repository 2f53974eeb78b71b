//! Each way to forward, and the choice between them, before a fake API server.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use monday_tests::fake_api::{Behaviour, Refusal};
use monday_tests::pattern;

use crate::forwarder::connect;
use crate::staged::Staged;
use crate::talk;

fn only_spdy(behaviour: &mut Behaviour) {
    behaviour.tunnel = Refusal::forbidden();
    behaviour.v4 = Refusal::forbidden();
}

fn only_tunnel(behaviour: &mut Behaviour) {
    behaviour.spdy = Refusal::forbidden();
    behaviour.v4 = Refusal::forbidden();
}

/// A server, or a proxy before one, that knows nothing of the others; one that forbids them would forbid this as well.
fn only_v4(behaviour: &mut Behaviour) {
    behaviour.spdy = Refusal::Status(400, "BadRequest", "unable to upgrade: unknown protocol");
    behaviour.tunnel = Refusal::Status(400, "BadRequest", "unknown subprotocol");
}

/// A way and how a server behaves that has no other.
type Only = (&'static str, fn(&mut Behaviour));

const WAYS: [Only; 3] = [
    ("spdy", only_spdy),
    ("websocket", only_tunnel),
    ("v4", only_v4),
];

#[test]
fn whichever_way_is_left_is_found_and_works() {
    for (way, only) in WAYS {
        let staged = Staged::behaving(only);
        for _ in 0..3 {
            staged.exchange();
        }
        // Both directions of one connection at once.
        let stream = connect(staged.address);
        std::thread::scope(|scope| {
            scope.spawn(|| pattern::write(&mut &stream, 1_000_000).unwrap());
            let came = pattern::read(&mut &stream, 1_000_000);
            assert_eq!(came.unwrap(), 1_000_000, "{way}");
        });
        staged.end();
    }
}

#[test]
fn a_way_that_is_asked_for_is_the_only_one_that_is_tried() {
    for (way, _) in WAYS {
        let words = ["--transport", way, "-l", "app=web", "0:echo"];
        let staged = Staged::with(&words, |_| {});
        staged.exchange();
        let asked = staged.fake.seen();
        let asked: Vec<&str> = asked
            .iter()
            .filter(|(request, _)| request.contains("/portforward"))
            .map(|(request, _)| request.as_str())
            .collect();
        for request in &asked {
            assert_eq!(
                request.starts_with("POST"),
                way == "spdy",
                "{way}: {request}"
            );
            assert_eq!(request.contains("ports="), way == "v4", "{way}: {request}");
        }
        staged.end();
    }
}

#[test]
fn the_end_of_what_the_pod_sends_arrives_in_each_way() {
    for (way, only) in WAYS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let staged = Staged::behaving(only);
        staged.fake.pod(
            "web-1",
            "web",
            &[("echo", 7001, listener.local_addr().unwrap())],
        );
        let mut client = connect(staged.address);
        let (mut pod, _) = listener.accept().unwrap();
        pod.write_all(b"that is all").unwrap();
        drop(pod);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "that is all", "{way}");
        staged.end();
    }
}

#[test]
fn a_refused_port_is_a_reset_in_each_way_and_the_next_connection_works() {
    for (way, only) in WAYS {
        let (staged, nobody) = (Staged::behaving(only), crate::staged::echo());
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        staged.fake.pod("web-1", "web", &[("echo", 7001, closed)]);
        let mut client = connect(staged.address);
        let error = client
            .read_to_end(&mut Vec::new())
            .expect_err("nobody answers");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{way}");
        staged.fake.pod("web-1", "web", &[("echo", 7001, nobody)]);
        staged.exchange();
        staged.end();
    }
}

#[test]
fn an_answer_after_the_client_has_said_all_arrives_in_each_way() {
    for (way, only) in WAYS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let staged = Staged::behaving(only);
        staged.fake.pod(
            "web-1",
            "web",
            &[("echo", 7001, listener.local_addr().unwrap())],
        );
        let mut client = connect(staged.address);
        client.write_all(b"question").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let (mut pod, _) = listener.accept().unwrap();
        let mut question = [0; 8];
        pod.read_exact(&mut question).unwrap();
        // Longer than a runtime waits that was told of the end.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        pod.write_all(b"answer").unwrap();
        drop(pod);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer", "{way}");
        staged.end();
    }
}

#[test]
fn messages_of_odd_sizes_are_put_together_again() {
    let staged = Staged::behaving(|behaviour| {
        only_tunnel(behaviour);
        behaviour.recut = true;
    });
    let stream = connect(staged.address);
    std::thread::scope(|scope| {
        scope.spawn(|| pattern::write(&mut &stream, 300_000).unwrap());
        assert_eq!(pattern::read(&mut &stream, 300_000).unwrap(), 300_000);
    });
    for _ in 0..3 {
        talk::echo_once(&connect(staged.address), b'x');
    }
    staged.end();
}
