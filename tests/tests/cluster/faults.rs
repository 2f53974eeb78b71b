//! What goes wrong on the way, one thing at a time, before a fake API server.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use monday_tests::delay::Delay;
use monday_tests::fake_api::{FakeApi, Refusal};
use monday_tests::pattern;
use monday_tests::wait::{Deadline, PATIENCE};
use monday_tests::world::World;
use serde_json::json;

use crate::forwarder::{connect, start};
use crate::staged::{Staged, WORDS, echo};
use crate::talk;

#[test]
fn one_refused_token_is_renewed_and_nobody_notices() {
    let (world, fake) = (World::new(), FakeApi::start());
    fake.pod("web-1", "web", &[("echo", 7001, echo())]);
    world.write("token", "first");
    fake.behave(|behaviour| behaviour.token = Some("first".to_owned()));
    // What cloud providers' kubeconfigs have: a program that says what the token is.
    let plugin = format!(
        r#"printf '{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{{"token":"%s"}}}}' "$(cat {})""#,
        world.path("token").display()
    );
    let user = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1",
        "interactiveMode": "Never",
        "command": "sh",
        "args": ["-c", plugin],
    }});
    let kubeconfig = FakeApi::kubeconfig_with(&world, fake.address(), &user);
    let mut process = start(&world, &kubeconfig, &WORDS);
    let ready = process.event("ready");
    let address = ready["forwards"][0]["listen"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let first = connect(address);
    talk::echo_once(&first, b'a');
    world.write("token", "second");
    fake.behave(|behaviour| behaviour.token = Some("second".to_owned()));
    // Each open connection has a session of its own, so new ones have to be made.
    let more: Vec<_> = (0..4).map(|_| connect(address)).collect();
    for stream in &more {
        talk::echo_once(stream, b'b');
    }
    talk::echo_once(&first, b'c');
    // And what watches the pods has to be let in again.
    fake.end_watches();
    fake.pod("web-2", "web", &[("echo", 7001, echo())]);
    fake.delete("pods", "web-1");
    talk::echo_once(&connect(address), b'd');
}

#[test]
fn a_401_out_of_the_blue_is_tried_again() {
    let staged = Staged::behaving(|_| {});
    let held: Vec<_> = (0..3)
        .map(|_| {
            staged.fake.behave(|behaviour| behaviour.unauthorized = 1);
            let stream = connect(staged.address);
            talk::echo_once(&stream, b'x');
            stream
        })
        .collect();
    drop(held);
    staged.end();
}

#[test]
fn upgrades_that_are_put_off_are_tried_again() {
    for (status, reason) in [
        (429, "TooManyRequests"),
        (503, "ServiceUnavailable"),
        (500, "InternalError"),
    ] {
        let staged = Staged::behaving(|_| {});
        staged.fake.behave(|behaviour| {
            behaviour.refusals.extend([
                Refusal::Status(status, reason, "not now"),
                Refusal::Status(status, reason, "not now"),
            ]);
        });
        let held: Vec<_> = (0..3).map(|_| connect(staged.address)).collect();
        for stream in &held {
            talk::echo_once(stream, b'x');
        }
        staged.end();
    }
}

#[test]
fn a_server_that_says_nothing_to_one_way_is_asked_in_the_next() {
    for refusal in [Refusal::Silence, Refusal::Close] {
        let staged = Staged::behaving(|behaviour| behaviour.spdy = refusal.clone());
        staged.exchange();
        staged.end();
    }
}

#[test]
fn an_error_text_before_a_reset_is_told() {
    let mut staged = Staged::behaving(|behaviour| behaviour.reset_after_error = true);
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    staged.fake.pod("web-1", "web", &[("echo", 7001, closed)]);
    let mut client = connect(staged.address);
    assert!(client.read_to_end(&mut Vec::new()).is_err());
    let told = staged
        .process
        .event_where("a failed connection", |event| event["error"].is_string());
    let told = told["error"].as_str().unwrap();
    assert!(
        told.contains("connection refused") && told.contains("web-1"),
        "{told}"
    );
    staged.end();
}

#[test]
fn a_pod_that_was_replaced_meanwhile_is_looked_for_again() {
    let staged = Staged::behaving(|_| {});
    staged.exchange();
    staged.fake.pod("web-2", "web", &[("echo", 7001, echo())]);
    staged.fake.behave(|behaviour| behaviour.sandbox_gone = 1);
    let mut client = connect(staged.address);
    client.write_all(b"once").unwrap();
    let mut back = [0; 4];
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"once", "what was sent is sent again, once");
    staged.end();
}

#[test]
fn a_session_that_is_cut_takes_its_own_connection_only() {
    let staged = Staged::behaving(|_| {});
    let other = connect(staged.address);
    talk::echo_once(&other, b'a');
    // The next sessions are cut after so many bytes to the client.
    staged
        .fake
        .behave(|behaviour| behaviour.cut_after = Some(300_000));
    let open: Vec<_> = (0..2).map(|_| connect(staged.address)).collect();
    let mut cut = 0;
    for stream in &open {
        let mut writer = stream.try_clone().unwrap();
        let writing = std::thread::spawn(move || {
            let _ = pattern::write(&mut writer, 1_000_000);
        });
        cut += usize::from(pattern::read(&mut &*stream, 1_000_000).is_err());
        writing.join().unwrap();
    }
    assert!(
        cut >= 1,
        "half of something is not all of it: it ends with a reset"
    );
    talk::echo_once(&other, b'b');
    staged.fake.behave(|behaviour| behaviour.cut_after = None);
    staged.exchange();
    staged.end();
}

#[test]
fn a_session_whose_pings_are_swallowed_is_used_once() {
    let staged = Staged::behaving(|behaviour| behaviour.swallow_pings = true);
    for _ in 0..5 {
        staged.exchange();
    }
    assert!(staged.sessions() >= 5, "one for each connection");
    staged.end();
}

#[test]
fn healthy_sessions_are_used_again() {
    let staged = Staged::behaving(|_| {});
    for _ in 0..30 {
        staged.exchange();
    }
    // The next connection may come before the last one's session has answered its PINGs.
    let sessions = staged.sessions();
    assert!(sessions <= 15, "{sessions} sessions for 30 connections");
    staged.end();
}

#[test]
fn a_stream_without_a_reply_holds_up_no_other() {
    let staged = Staged::behaving(|_| {});
    staged.fake.behave(|behaviour| behaviour.no_reply = 2);
    let silent = connect(staged.address);
    (&silent).write_all(b"x").unwrap();
    for _ in 0..5 {
        staged.exchange();
    }
    drop(silent);
    staged.end();
}

#[test]
fn what_a_pod_that_is_gone_never_took_goes_to_the_next_one() {
    let staged = Staged::behaving(|_| {});
    staged.exchange();
    staged.fake.behave(|behaviour| behaviour.no_reply = 2);
    let early = connect(staged.address);
    (&early).write_all(b"x").unwrap();
    staged.fake.pod("web-2", "web", &[("echo", 7001, echo())]);
    staged.fake.delete("pods", "web-1");
    let mut back = [0];
    (&early).read_exact(&mut back).unwrap();
    assert_eq!(&back, b"x");
    staged.end();
}

#[test]
fn a_connection_to_a_pod_that_is_gone_ends_when_it_is_silent_and_not_before() {
    let staged = Staged::behaving(|_| {});
    let (silent, busy) = (connect(staged.address), connect(staged.address));
    talk::echo_once(&silent, b'a');
    talk::echo_once(&busy, b'b');
    staged.fake.pod("web-2", "web", &[("echo", 7001, echo())]);
    staged.fake.delete("pods", "web-1");
    let ended = std::thread::spawn(move || (&silent).read(&mut [0]));
    while !ended.is_finished() {
        talk::echo_once(&busy, b'c');
        std::thread::sleep(Duration::from_millis(50));
    }
    let error = ended.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    talk::echo_once(&busy, b'd');
    staged.end();
}

#[test]
fn a_server_that_stops_reading_stalls_what_it_has_and_nothing_else() {
    let staged = Staged::behaving(|_| {});
    staged.exchange();
    staged
        .fake
        .behave(|behaviour| behaviour.stall_reading = true);
    let stuck = connect(staged.address);
    stuck
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let _ = pattern::write(&mut &stuck, 50_000_000);
    staged
        .fake
        .behave(|behaviour| behaviour.stall_reading = false);
    for _ in 0..3 {
        staged.exchange();
    }
    drop(stuck);
    staged.end();
}

#[test]
fn idle_sessions_that_something_on_the_way_forgot_are_replaced() {
    let staged =
        Staged::behaving(|behaviour| behaviour.forget_idle = Some(Duration::from_millis(300)));
    staged.exchange();
    std::thread::sleep(Duration::from_secs(1));
    staged.fake.behave(|behaviour| behaviour.forget_idle = None);
    // Nobody says that it is gone; its PINGs do, which nobody answers.
    let (deadline, before) = (Deadline::within(3 * PATIENCE), staged.sessions());
    while staged.sessions() == before {
        assert!(!deadline.passed(), "a dead session is still relied on");
        std::thread::sleep(Duration::from_millis(100));
    }
    staged.exchange();
    staged.end();
}

#[test]
fn watches_that_end_or_are_too_old_are_begun_again() {
    let staged = Staged::behaving(|_| {});
    staged.exchange();
    staged.fake.forget();
    staged.fake.pod("web-2", "web", &[("echo", 7001, echo())]);
    staged.fake.delete("pods", "web-1");
    staged.exchange();
    staged.fake.end_watches();
    staged.fake.pod("web-3", "web", &[("echo", 7001, echo())]);
    staged.fake.delete("pods", "web-2");
    staged.exchange();
    staged.end();
}

#[test]
fn a_warm_connection_costs_one_round_trip() {
    const ROUND_TRIP: Duration = Duration::from_millis(20);
    let (world, fake) = (World::new(), FakeApi::start());
    fake.pod("web-1", "web", &[("echo", 7001, echo())]);
    let delay = Delay::start(fake.address(), ROUND_TRIP);
    let mut process = start(
        &world,
        &FakeApi::kubeconfig_at(&world, delay.address()),
        &WORDS,
    );
    let ready = process.event("ready");
    let address = ready["forwards"][0]["listen"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let mut times: Vec<Duration> = (0..15)
        .map(|_| {
            let start = Instant::now();
            talk::echo_once(&connect(address), b'x');
            let took = start.elapsed();
            // The session is made ready for the next one meanwhile.
            std::thread::sleep(4 * ROUND_TRIP);
            took
        })
        .collect();
    times.sort();
    // The fastest: the machine may be busy, and then more is waited for than the way.
    assert!(times[0] >= ROUND_TRIP, "{times:?}");
    assert!(times[0] < 2 * ROUND_TRIP, "{times:?}");
}
