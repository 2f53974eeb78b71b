//! Every byte arrives, and so does the end; and nobody waits for anybody else.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use monday_tests::cluster::{App, Part, alone, together};
use monday_tests::pattern;
use monday_tests::wait::{Deadline, PATIENCE};

use super::stage::{Remote, echo_of, own_name, talk_of};
use crate::forwarder::connect;
use crate::talk;

#[test]
fn sixty_four_mebibytes_each_way_and_half_closes_arrive() {
    const LENGTH: u64 = 64 * 1024 * 1024;
    let Some(cluster) = together() else { return };
    let remote = Remote::ready(&cluster, &App::new("remote-bytes", "web"));
    let agent = talk_of(&cluster, "remote-bytes");
    let stream = talk::ask(agent, &format!("both {LENGTH}"));
    std::thread::scope(|scope| {
        scope.spawn(|| pattern::write(&mut &stream, LENGTH).unwrap());
        assert_eq!(pattern::read(&mut &stream, LENGTH).unwrap(), LENGTH);
    });
    assert_eq!(talk::first_line(&stream).unwrap(), format!("took {LENGTH}"));

    // The client ends first and the answer is late.
    let mut stream = talk::ask(agent, "late 3 better late than never");
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "better late than never\n");

    // The end of what the client says arrives, and nothing before it is lost.
    let mut stream = talk::ask(agent, "swallow half");
    pattern::write(&mut stream, 1_000_000).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    talk::await_journal(agent, "half", "ended 1000000");

    // The application ends first, and hears the rest: it echoes until the client ends, too.
    let mut stream = connect(echo_of(&cluster, "remote-bytes"));
    stream.write_all(b"there and back").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "there and back");
    remote.end(&cluster);
}

#[test]
fn two_hundred_connections_do_not_wait_for_one_that_is_not_read() {
    let Some(cluster) = together() else { return };
    let remote = Remote::ready(&cluster, &App::new("remote-many", "web"));
    let (agent, echo) = (
        talk_of(&cluster, "remote-many"),
        echo_of(&cluster, "remote-many"),
    );
    // The application reads nothing of this one, and whoever sends has to stop at some time.
    let stalled = talk::ask(agent, "stall");
    stalled
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut sent = 0u64;
    let piece = vec![0; 256 * 1024];
    while let Ok(written) = (&stalled).write(&piece) {
        sent += written as u64;
        assert!(sent < 256 * 1024 * 1024, "nobody holds it up");
    }
    // And one whose client reads nothing.
    let unread = talk::ask(agent, &format!("send {}", 64 * 1024 * 1024));
    let streams: Vec<_> = (0..200).map(|_| connect(echo)).collect();
    for round in 0..3u8 {
        for (place, stream) in streams.iter().enumerate() {
            let byte = u8::try_from(place % 200).unwrap().wrapping_add(round);
            talk::echo_once(stream, byte);
        }
    }
    // It goes on where it was.
    assert_eq!(
        pattern::read(&mut &unread, u64::MAX).unwrap(),
        64 * 1024 * 1024
    );
    drop((stalled, streams));
    assert_eq!(talk::who(agent).unwrap(), own_name());
    remote.end(&cluster);
}

#[test]
fn after_a_restart_of_the_api_server_no_connection_fails() {
    let Some(cluster) = alone() else { return };
    let remote = Remote::ready(&cluster, &App::new("remote-restart", "web"));
    let agent = talk_of(&cluster, "remote-restart");
    cluster.kill(Part::ApiServer);
    cluster.start(Part::ApiServer);
    cluster.wait_until_ready(Deadline::within(3 * PATIENCE));
    // The pod is ready again when, and only when, its tunnel stands.
    let wait = [
        "-n",
        "remote-restart",
        "wait",
        "--for=condition=Ready",
        "pod",
        "-l",
        "monday.internal/session",
        "--timeout=60s",
    ];
    let deadline = Deadline::within(3 * PATIENCE);
    while talk::who(agent).is_err() {
        assert!(!deadline.passed(), "the tunnel does not come back");
        std::thread::sleep(Duration::from_millis(100));
    }
    cluster.kubectl(&wait);
    for _ in 0..50 {
        assert_eq!(talk::who(agent).unwrap(), own_name());
    }
    remote.end(&cluster);
}
