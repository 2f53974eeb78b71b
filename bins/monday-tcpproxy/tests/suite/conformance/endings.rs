//! How a connection ends on one side is how it ends on the other.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::relays::{Deviation, Relayed};
use crate::harness::{assert_reset, connect, noise, reset};

/// More than the buffers between two sides hold, so that it is still on its way when something else happens.
const MUCH: usize = 16 << 20;

/// What nobody notices, on a machine that has much else to do.
const AT_ONCE: Duration = Duration::from_secs(10);

/// How far a connection has come when something happens to it.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// Nothing was sent.
    Start,
    /// The side that it comes from has sent something.
    AfterOwnBytes,
    /// Both have.
    AfterBoth,
    /// The other side has ended its stream.
    AfterTheOthersEnd,
    /// The other side is sending much.
    WhileMuchComes,
}

const POINTS: [Point; 5] = [
    Point::Start,
    Point::AfterOwnBytes,
    Point::AfterBoth,
    Point::AfterTheOthersEnd,
    Point::WhileMuchComes,
];

/// Which end something comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Target,
}

impl Side {
    /// A connection, this side first.
    fn connection(self, relayed: &Relayed) -> (TcpStream, TcpStream) {
        let (client, target) = relayed.connection();
        match self {
            Self::Client => (client, target),
            Self::Target => (target, client),
        }
    }
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, what: &[u8]) {
    from.write_all(what).unwrap();
    let mut got = vec![0; what.len()];
    to.read_exact(&mut got).unwrap();
    assert!(got == what);
}

/// Brings a connection there. What is still under way then is written by the thread that is returned.
fn bring(
    point: Point,
    own: &mut TcpStream,
    other: &mut TcpStream,
) -> Option<thread::JoinHandle<std::io::Result<()>>> {
    match point {
        Point::Start => {}
        Point::AfterOwnBytes => pass(own, other, b"own"),
        Point::AfterBoth => {
            pass(own, other, b"own");
            pass(other, own, b"other");
        }
        Point::AfterTheOthersEnd => {
            pass(other, own, b"other");
            other.shutdown(Shutdown::Write).unwrap();
            assert_eq!(own.read(&mut [0]).unwrap(), 0);
        }
        Point::WhileMuchComes => {
            let mut sender = other.try_clone().unwrap();
            let sending = thread::spawn(move || sender.write_all(&noise(MUCH)));
            // It has begun.
            assert_eq!(own.peek(&mut [0]).unwrap(), 1);
            return Some(sending);
        }
    }
    None
}

pub(super) fn a_client_may_end_its_stream_at_any_point(relayed: &mut Relayed) {
    end_at_any_point(relayed, Side::Client);
}

pub(super) fn a_target_may_end_its_stream_at_any_point(relayed: &mut Relayed) {
    end_at_any_point(relayed, Side::Target);
}

/// What was sent before arrives, then the end; what the other side sends afterwards arrives as well, then its end.
fn end_at_any_point(relayed: &Relayed, from: Side) {
    for point in POINTS {
        let (mut own, mut other) = from.connection(relayed);
        let sending = bring(point, &mut own, &mut other);
        own.write_all(b"last words").unwrap();
        own.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        other.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "last words", "{from:?} {point:?}");
        let mut expected = Vec::new();
        if let Some(sending) = sending {
            expected = noise(MUCH);
            let receiving = receive(&own, MUCH);
            sending.join().unwrap().unwrap();
            assert!(receiving.join().unwrap() == expected, "{from:?} {point:?}");
            expected.clear();
        }
        if !matches!(point, Point::AfterTheOthersEnd) {
            expected = noise(100_000);
            other.write_all(&expected).unwrap();
        }
        drop(other);
        let mut answer = Vec::new();
        own.read_to_end(&mut answer).unwrap();
        assert!(answer == expected, "{from:?} {point:?}");
    }
}

fn receive(from: &TcpStream, len: usize) -> thread::JoinHandle<Vec<u8>> {
    let mut from = from.try_clone().unwrap();
    thread::spawn(move || {
        let mut received = vec![0; len];
        from.read_exact(&mut received).unwrap();
        received
    })
}

pub(super) fn a_reset_of_the_client_is_one_at_the_target(relayed: &mut Relayed) {
    reset_at_any_point(relayed, Side::Client);
}

pub(super) fn a_reset_of_the_target_is_one_at_the_client(relayed: &mut Relayed) {
    reset_at_any_point(relayed, Side::Target);
}

fn reset_at_any_point(relayed: &Relayed, from: Side) {
    for point in POINTS {
        let (mut own, mut other) = from.connection(relayed);
        let sending = bring(point, &mut own, &mut other);
        reset(own);
        // An error is told once: to whoever writes, or to whoever reads.
        let told = sending.map(|sending| sending.join().unwrap().unwrap_err().kind());
        if told == Some(ErrorKind::ConnectionReset) {
            continue;
        }
        if relayed.relay.has(Deviation::ResetBecomesAnEnd) {
            // haproxy closes the other side: an end, or a reset where something was still to be sent to it.
            match other.read(&mut [0; 16]) {
                Ok(len) => assert_eq!(len, 0, "{from:?} {point:?}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
        } else {
            assert_reset_at(&mut other, point);
        }
    }
}

fn assert_reset_at(stream: &mut TcpStream, point: Point) {
    match stream.read_to_end(&mut Vec::new()) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{point:?}"),
        Ok(_) => panic!("{point:?}: the stream ended cleanly"),
    }
}

/// Both have sent something, and neither waits for the other.
pub(super) fn both_sides_may_end_at_once(relayed: &mut Relayed) {
    for round in 0..50 {
        let (client, target) = relayed.connection();
        let at_once = Barrier::new(2);
        let sides = [(&client, "from the client"), (&target, "from the target")];
        thread::scope(|scope| {
            for (mut stream, words) in sides {
                let at_once = &at_once;
                scope.spawn(move || {
                    at_once.wait();
                    stream.write_all(words.as_bytes()).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                });
            }
        });
        for (mut stream, other) in [(&client, sides[1].1), (&target, sides[0].1)] {
            let mut heard = String::new();
            stream.read_to_string(&mut heard).unwrap();
            assert_eq!(heard, other, "round {round}");
        }
        // And once more without a word, both being closed for good.
        let (client, target) = relayed.connection();
        thread::scope(|scope| {
            for stream in [client, target] {
                let at_once = &at_once;
                scope.spawn(move || {
                    at_once.wait();
                    drop(stream);
                });
            }
        });
    }
}

pub(super) fn an_empty_connection_ends_cleanly(relayed: &mut Relayed) {
    for from in [Side::Client, Side::Target] {
        let (own, mut other) = from.connection(relayed);
        drop(own);
        assert_eq!(other.read(&mut [0]).unwrap(), 0, "{from:?}");
    }
}

/// As a web server does that refuses a large upload: it answers and closes without having read all of it.
pub(super) fn what_was_sent_before_the_sender_went_away_is_delivered(relayed: &mut Relayed) {
    let (mut client, mut target) = relayed.connection();
    let uploading = {
        let mut client = client.try_clone().unwrap();
        // It ends with an error, sooner or later.
        thread::spawn(move || while client.write_all(&[0; 8192]).is_ok() {})
    };
    target.read_exact(&mut [0; 1024]).unwrap();
    target.write_all(b"too large").unwrap();
    drop(target);
    let mut answer = [0; 9];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"too large");
    uploading.join().unwrap();
}

pub(super) fn a_target_that_refuses_is_a_reset(relayed: &mut Relayed) {
    drop(relayed.server.take());
    for _ in 0..3 {
        let mut client = connect(relayed.address);
        if relayed.relay.has(Deviation::RefusalBecomesAnEnd) {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        } else {
            assert_reset(&mut client);
        }
    }
}

/// The target keeps its end open, so that only a relay that asks who is still there can know.
pub(super) fn fifty_megabytes_of_a_client_that_has_closed_arrive_and_nothing_of_it_stays(
    relayed: &mut Relayed,
) {
    const MEGABYTES: usize = 50;
    let (mut client, mut target) = relayed.connection();
    let sent = noise(1_000_000);
    let expected = sent.clone();
    let writing = thread::spawn(move || {
        for _ in 0..MEGABYTES {
            client.write_all(&sent).unwrap();
        }
    });
    let mut received = vec![0; expected.len()];
    for _ in 0..MEGABYTES {
        target.read_exact(&mut received).unwrap();
        assert!(received == expected);
    }
    assert_eq!(target.read(&mut [0]).unwrap(), 0);
    writing.join().unwrap();
    let told = Instant::now();
    if relayed.relay.has(Deviation::KeepsWhatIsClosedForGood) {
        // haproxy keeps both for as long as `timeout client` and `timeout server` say, or until the target closes.
        thread::sleep(Duration::from_secs(1));
        assert_eq!(relayed.sockets(), 2);
    } else {
        relayed.assert_nothing_left();
        // Whoever waits for a time-out takes minutes.
        assert!(told.elapsed() < AT_ONCE, "{:?}", told.elapsed());
    }
    drop(target);
}

/// A client that has asked and ended its stream.
pub(super) struct Asked {
    client: TcpStream,
    target: TcpStream,
}

pub(super) fn asked(relayed: &Relayed) -> Asked {
    let (mut client, mut target) = relayed.connection();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut question = String::new();
    target.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    Asked { client, target }
}

impl Asked {
    /// The answer, which is long, comes and arrives.
    pub(super) fn answer(self) {
        let Self {
            mut client,
            mut target,
        } = self;
        let sending = thread::spawn(move || target.write_all(&noise(1 << 20)).unwrap());
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        sending.join().unwrap();
        assert!(answer == noise(1 << 20));
    }
}
