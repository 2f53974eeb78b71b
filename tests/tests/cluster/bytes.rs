//! Every byte arrives, and so does the end.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use monday_tests::cluster::{App, together};
use monday_tests::pattern;

use crate::forwarder::Forwarder;
use crate::talk;

#[test]
fn sixty_four_mebibytes_each_way_at_once_are_exact() {
    const LENGTH: u64 = 64 * 1024 * 1024;
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("bytes", "web"));
    let forwarder = Forwarder::ready(
        &cluster.kubeconfig(),
        &["-n", "bytes", "-l", "app=web", "0:talk"],
    );
    let stream = talk::ask(forwarder.address(), &format!("both {LENGTH}"));
    std::thread::scope(|scope| {
        scope.spawn(|| pattern::write(&mut &stream, LENGTH).unwrap());
        assert_eq!(pattern::read(&mut &stream, LENGTH).unwrap(), LENGTH);
    });
    assert_eq!(talk::first_line(&stream).unwrap(), format!("took {LENGTH}"));
    forwarder.end();
}

#[test]
fn fifty_megabytes_written_and_closed_at_once_arrive_whole() {
    const LENGTH: u64 = 50_000_000;
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("closed", "web"));
    let forwarder = Forwarder::ready(
        &cluster.kubeconfig(),
        &["-n", "closed", "-l", "app=web", "0:talk"],
    );
    for name in ["first", "second"] {
        let mut stream = talk::ask(forwarder.address(), &format!("swallow {name}"));
        pattern::write(&mut stream, LENGTH).unwrap();
        drop(stream);
        talk::await_journal(forwarder.address(), name, &format!("ended {LENGTH}"));
    }
    forwarder.end();
}

#[test]
fn an_answer_a_minute_after_the_client_has_said_all_arrives() {
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("late", "web"));
    let forwarder = Forwarder::ready(
        &cluster.kubeconfig(),
        &["-n", "late", "-l", "app=web", "0:talk"],
    );
    let mut stream = talk::ask(forwarder.address(), "late 60 better late than never");
    stream.shutdown(Shutdown::Write).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(100)))
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "better late than never\n");
    forwarder.end();
}

#[test]
fn the_end_of_what_a_pod_sends_is_passed_on() {
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("ends", "web"));
    let forwarder = Forwarder::ready(
        &cluster.kubeconfig(),
        &["-n", "ends", "-l", "app=web", "0:talk"],
    );
    let mut stream = talk::ask(forwarder.address(), "send 1000000");
    assert_eq!(pattern::read(&mut stream, u64::MAX).unwrap(), 1_000_000);
    let mut stream = talk::ask(forwarder.address(), "close");
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    let _ = stream.write_all(b"nobody listens");
    forwarder.end();
}
