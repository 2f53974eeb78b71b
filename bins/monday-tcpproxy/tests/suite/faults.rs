//! Every fault, measured at a real client, and that service is normal again without it, on live connections too.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::tcpproxy::{Event, RouteSpec};
use monday_shared::rpc::hub::Delivery;
use monday_tcpproxy::CopyPath;

use crate::harness::{
    Executable, Proxy, Server, assert_echoes, assert_reset, connect, ctl, echo_server, noise,
    on_every_path, route, wait_until,
};

on_every_path!(
    bytes_stay_whole_while_faults_come_and_go,
    a_connection_is_cut_after_exactly_so_many_bytes,
);

/// A proxy before an echo, with a live connection.
fn live() -> (Proxy, SocketAddr, TcpStream) {
    let (proxy, address) = Proxy::to(echo_server(), CopyPath::Auto);
    let mut client = connect(address);
    assert_echoes(&mut client);
    (proxy, address, client)
}

fn echo_time(client: &mut TcpStream) -> Duration {
    let begin = Instant::now();
    assert_echoes(client);
    begin.elapsed()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Without its fault a connection is fast again; a loaded machine is never that slow for long.
fn assert_fast_again(client: &mut TcpStream, slow: Duration) {
    wait_until("it is fast again", || echo_time(client) < slow);
}

fn assert_silent(client: &mut TcpStream, time: Duration) {
    client.set_read_timeout(Some(time)).unwrap();
    let error = client.read(&mut [0]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
    client
        .set_read_timeout(Some(crate::harness::HANGS))
        .unwrap();
}

#[test]
fn latency_delays_each_direction_and_goes_at_once() {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, CopyPath::Auto);
    let (client, peer) = server.connection(address);
    for (fault, up, down) in [
        ("latency=100ms", 100, 100),
        ("latency=100ms,direction=up", 100, 0),
        ("latency=100ms,direction=down", 0, 100),
    ] {
        proxy.fault(fault);
        for (from, to, least) in [(&client, &peer, up), (&peer, &client, down)] {
            let took = way_time(from, to);
            assert!(took >= millis(least), "{fault}: {took:?}");
            if least == 0 {
                wait_until("the other direction is fast", || {
                    way_time(from, to) < millis(100)
                });
            }
        }
        proxy.clear();
        wait_until("both are fast again", || {
            way_time(&client, &peer) + way_time(&peer, &client) < millis(100)
        });
    }
}

/// How long a few bytes take one way.
fn way_time(mut from: &TcpStream, mut to: &TcpStream) -> Duration {
    let begin = Instant::now();
    from.write_all(b"there").unwrap();
    to.read_exact(&mut [0; 5]).unwrap();
    begin.elapsed()
}

#[test]
fn what_is_late_arrives_at_once_when_its_fault_goes() {
    let (proxy, _, mut client) = live();
    proxy.fault("latency=1h");
    client.write_all(b"late").unwrap();
    assert_silent(&mut client, millis(100));
    proxy.clear();
    let mut late = [0; 4];
    client.read_exact(&mut late).unwrap();
    assert_eq!(&late, b"late");
    assert_echoes(&mut client);
}

#[test]
fn jitter_varies_the_delay_within_its_bounds() {
    let (proxy, _, mut client) = live();
    proxy.fault("latency=40ms,jitter=30ms,direction=down");
    let times: Vec<_> = (0..12).map(|_| echo_time(&mut client)).collect();
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*least >= millis(10), "{least:?}");
    assert!(*most >= *least + millis(5), "{times:?}");
    proxy.clear();
    assert_fast_again(&mut client, millis(10));
}

#[test]
fn a_rate_makes_a_transfer_take_its_time() {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, CopyPath::Auto);
    let (mut client, mut peer) = server.connection(address);
    proxy.fault("rate=200k,direction=down");
    peer.write_all(&noise(100_000)).unwrap();
    let begin = Instant::now();
    let mut received = vec![0; 100_000];
    client.read_exact(&mut received).unwrap();
    let took = begin.elapsed();
    assert!(took >= millis(400), "{took:?}");
    assert!(received == noise(100_000));
    // At that rate this would take 50 seconds.
    proxy.clear();
    let sending = std::thread::spawn(move || peer.write_all(&noise(10_000_000)));
    let mut received = vec![0; 10_000_000];
    client.read_exact(&mut received).unwrap();
    sending.join().unwrap().unwrap();
    assert!(received == noise(10_000_000));
}

#[test]
fn a_slice_is_all_that_arrives_at_once() {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, CopyPath::Auto);
    let (mut client, mut peer) = server.connection(address);
    proxy.fault("slice=10,slice_delay=20ms");
    let begin = Instant::now();
    peer.write_all(&[7; 100]).unwrap();
    let mut buffer = [0; 100];
    let first = client.read(&mut buffer).unwrap();
    assert!(first <= 10, "{first}");
    client.read_exact(&mut buffer[first..]).unwrap();
    assert!(begin.elapsed() >= millis(180), "{:?}", begin.elapsed());
    // At that pace this would take half an hour.
    proxy.fault("slice=10,slice_delay=200ms");
    peer.write_all(&noise(100_000)).unwrap();
    proxy.clear();
    let mut rest = vec![0; 100_000];
    client.read_exact(&mut rest).unwrap();
    assert!(rest == noise(100_000));
}

fn a_connection_is_cut_after_exactly_so_many_bytes(path: CopyPath) {
    const LIMIT: usize = 300_000;
    for (ending, clean) in [("reset", false), ("close", true)] {
        let (server, target) = Server::start();
        let (proxy, address) = Proxy::to(target, path);
        proxy.fault(&format!("cut_bytes={LIMIT},direction=down,ending={ending}"));
        let (mut client, mut peer) = server.connection(address);
        let sending = std::thread::spawn(move || {
            // It is cut in the middle of this.
            let _ = peer.write_all(&noise(1 << 20));
        });
        let mut received = Vec::new();
        let ended = client.read_to_end(&mut received);
        sending.join().unwrap();
        match ended {
            Ok(_) => assert!(clean, "it ended cleanly"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                assert!(!clean);
            }
        }
        assert_eq!(received.len(), LIMIT);
        assert!(received == noise(LIMIT));
    }
}

#[test]
fn a_cut_that_is_called_off_in_time_leaves_the_connection_alone() {
    let (proxy, _, mut client) = live();
    proxy.fault("cut_bytes=1000,direction=up");
    client.write_all(&noise(900)).unwrap();
    client.read_exact(&mut [0; 900]).unwrap();
    proxy.clear();
    client.write_all(&noise(900)).unwrap();
    client.read_exact(&mut [0; 900]).unwrap();
    // It counts from its own beginning, whatever else there was before.
    proxy.fault("latency=1ms");
    client.write_all(&noise(900)).unwrap();
    client.read_exact(&mut [0; 900]).unwrap();
    proxy.fault("cut_bytes=1000,direction=up");
    client.write_all(&noise(900)).unwrap();
    client.read_exact(&mut [0; 900]).unwrap();
    proxy.clear();
    proxy.fault("cut_after=1h");
    assert_echoes(&mut client);
    proxy.clear();
    proxy.fault("cut_after=200ms,connections=new");
    std::thread::sleep(millis(400));
    assert_echoes(&mut client);
}

#[test]
fn a_connection_is_cut_after_so_long() {
    let (proxy, address, mut old) = live();
    let begin = Instant::now();
    proxy.fault("cut_after=150ms");
    assert_echoes(&mut old);
    assert_reset(&mut old);
    assert!(begin.elapsed() >= millis(150));
    let begin = Instant::now();
    let mut new = connect(address);
    assert_reset(&mut new);
    assert!(begin.elapsed() >= millis(140), "{:?}", begin.elapsed());
    proxy.clear();
    assert_echoes(&mut connect(address));
}

#[test]
fn a_stall_holds_the_sender_up_and_loses_nothing() {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, CopyPath::Auto);
    let (mut client, mut peer) = server.connection(address);
    proxy.fault("stall,direction=up");
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let piece = noise(1 << 16);
    wait_until("the sender is held up", || {
        let mut stuck = 0;
        while stuck < 20 {
            if let Ok(written) = client.write(&piece[sent % piece.len()..]) {
                sent += written;
            } else {
                stuck += 1;
                std::thread::sleep(millis(5));
            }
        }
        true
    });
    assert_silent(&mut peer, millis(50));
    proxy.clear();
    drop(client);
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), sent);
    let whole = received.iter().enumerate();
    assert!(
        whole
            .into_iter()
            .all(|(at, byte)| *byte == piece[at % piece.len()])
    );
}

#[test]
fn a_blackhole_takes_everything_and_gives_nothing() {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, CopyPath::Auto);
    let (mut client, mut peer) = server.connection(address);
    proxy.fault("blackhole,direction=up");
    // More than all buffers on the way could hold.
    client.write_all(&noise(32 << 20)).unwrap();
    assert_silent(&mut peer, millis(50));
    wait_until("all of it was taken", || {
        socket2::SockRef::from(&client)
            .take_error()
            .unwrap()
            .is_none()
            && unsent(&client) == 0
    });
    proxy.clear();
    client.write_all(b"seen").unwrap();
    let mut seen = [0; 4];
    peer.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"seen");
}

/// How much of what was written has not left for the proxy's kernel yet.
fn unsent(client: &TcpStream) -> u32 {
    let (own, peer) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    monday_shared::platform::unacknowledged(own, peer).unwrap_or(0)
}

#[test]
fn a_reset_ends_live_connections_on_both_sides_and_new_ones_until_it_goes() {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, CopyPath::Auto);
    let (mut client, mut peer) = server.connection(address);
    client.write_all(b"x").unwrap();
    peer.read_exact(&mut [0]).unwrap();
    proxy.fault("reset");
    assert_reset(&mut client);
    assert_reset(&mut peer);
    assert_reset(&mut connect(address));
    drop(server.accept());
    wait_until("both are counted", || proxy.list()[0].reset == 2);
    proxy.clear();
    let (mut client, mut peer) = server.connection(address);
    client.write_all(b"y").unwrap();
    peer.read_exact(&mut [0]).unwrap();
}

#[test]
fn refused_clients_are_refused_live_ones_are_not_and_the_port_is_kept() {
    let (proxy, address, mut old) = live();
    for _ in 0..3 {
        proxy.fault("refuse");
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_echoes(&mut old);
        assert!(
            std::net::TcpListener::bind(address).is_err(),
            "nobody else gets the port"
        );
        proxy.clear();
        assert_echoes(&mut connect(address));
        assert_echoes(&mut old);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn unanswered_clients_time_out_and_nobody_else_notices() {
    let (proxy, address, mut old) = live();
    let accepted = proxy.list()[0].accepted;
    proxy.fault("unanswered");
    for _ in 0..2 {
        let error = TcpStream::connect_timeout(&address, millis(300)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
    assert_echoes(&mut old);
    proxy.clear();
    assert_echoes(&mut connect(address));
    assert_eq!(proxy.list()[0].accepted, accepted + 1);
}

#[test]
fn a_new_client_is_let_in_and_left_alone_for_a_while() {
    let (proxy, address, mut old) = live();
    proxy.fault("accept_delay=200ms");
    assert_echoes(&mut old);
    let begin = Instant::now();
    let mut client = connect(address);
    assert!(begin.elapsed() < millis(150), "connecting is not delayed");
    assert_echoes(&mut client);
    assert!(begin.elapsed() >= millis(200));
    proxy.fault("accept_delay=1h");
    let mut client = connect(address);
    client.write_all(b"held").unwrap();
    assert_silent(&mut client, millis(50));
    proxy.clear();
    let mut held = [0; 4];
    client.read_exact(&mut held).unwrap();
}

#[test]
fn a_swallowed_end_is_passed_on_once_its_fault_goes() {
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, CopyPath::Auto);
    let (mut client, mut peer) = server.connection(address);
    proxy.fault("swallow_half_close,direction=up");
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut question = [0; 8];
    peer.read_exact(&mut question).unwrap();
    assert_silent(&mut peer, millis(150));
    peer.write_all(b"still there").unwrap();
    let mut answer = [0; 11];
    client.read_exact(&mut answer).unwrap();
    proxy.clear();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    peer.write_all(b"answer").unwrap();
    drop(peer);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
}

/// What comes out of a proxy with this seed that spoils one byte in a hundred.
fn spoilt(seed: u64) -> Vec<u8> {
    let (server, target) = Server::start();
    let proxy = Proxy::with_seed(seed);
    let address = proxy.open(vec![route("r", target)]).unwrap()[0]
        .listen
        .ip()
        .unwrap();
    proxy.fault("corrupt=1%,direction=up");
    let (mut client, mut peer) = server.connection(address);
    client.write_all(&noise(100_000)).unwrap();
    drop(client);
    let mut received = Vec::new();
    peer.read_to_end(&mut received).unwrap();
    received
}

#[test]
fn bytes_are_spoilt_as_often_as_asked_for_and_the_same_ones_with_the_same_seed() {
    let once = spoilt(7);
    assert_eq!(once.len(), 100_000);
    let changed = once
        .iter()
        .zip(noise(100_000))
        .filter(|(one, other)| **one != *other);
    let changed = changed.count();
    assert!((850..1150).contains(&changed), "{changed}");
    assert!(spoilt(7) == once);
    assert!(spoilt(8) != once);
}

#[test]
fn bytes_of_a_live_connection_are_whole_again_without_the_fault_that_spoils_them() {
    let (proxy, _, mut client) = live();
    proxy.fault("corrupt=100%,direction=down");
    client.write_all(b"ping").unwrap();
    let mut spoilt = [0; 4];
    client.read_exact(&mut spoilt).unwrap();
    assert!(spoilt.iter().zip(b"ping").all(|(got, sent)| got != sent));
    proxy.clear();
    assert_echoes(&mut client);
}

/// Which of so many connections are reset.
fn fates(seed: u64) -> Vec<bool> {
    let proxy = Proxy::with_seed(seed);
    let address = proxy.open(vec![route("r", echo_server())]).unwrap()[0]
        .listen
        .ip()
        .unwrap();
    proxy.fault("reset,probability=0.5");
    (0..60)
        .map(|_| {
            let mut client = connect(address);
            let echoed = client
                .write_all(b"ping")
                .and_then(|()| client.read_exact(&mut [0; 4]));
            echoed.is_err()
        })
        .collect()
}

#[test]
fn a_share_of_the_connections_is_concerned_and_the_same_ones_with_the_same_seed() {
    let once = fates(7);
    let hit = once.iter().filter(|hit| **hit).count();
    assert!((12..48).contains(&hit), "{hit}");
    assert_eq!(fates(7), once);
    assert_ne!(fates(8), once);
}

#[test]
fn only_new_connections_are_concerned_if_that_is_asked_for() {
    let (proxy, address, mut old) = live();
    proxy.fault("reset,connections=new");
    assert_echoes(&mut old);
    assert_reset(&mut connect(address));
    assert_echoes(&mut old);
}

#[test]
fn a_fault_goes_away_by_itself_and_that_is_told() {
    let (proxy, address, mut client) = live();
    let (_, mut events) = proxy.hub.subscribe(Bulk::Skip);
    let begin = Instant::now();
    proxy.fault("stall,expires=200ms");
    assert_eq!(proxy.list()[0].faults.len(), 1);
    assert_echoes(&mut client);
    assert!(begin.elapsed() >= millis(200));
    wait_until("it is gone", || proxy.list()[0].faults.is_empty());
    assert_echoes(&mut connect(address));
    let told: Vec<usize> = std::iter::from_fn(|| events.try_next())
        .filter_map(|delivery| match delivery {
            Delivery::Event(event) => match &event.event {
                Event::Faults { faults, .. } => Some(faults.len()),
                _ => None,
            },
            Delivery::Past(_) | Delivery::Lagged(_) => None,
        })
        .collect();
    assert_eq!(told, [1, 0]);
}

#[test]
fn a_route_comes_with_its_faults_and_leaves_them_when_it_is_replaced() {
    let proxy = Proxy::start(CopyPath::Auto);
    let target = echo_server();
    let mut with_fault = route("r", target);
    with_fault.faults = vec!["latency=100ms".parse().unwrap()];
    let address = proxy.open(vec![with_fault]).unwrap()[0]
        .listen
        .ip()
        .unwrap();
    let mut client = connect(address);
    assert!(echo_time(&mut client) >= millis(200));
    proxy.open(vec![route("r", target)]).unwrap();
    assert_fast_again(&mut client, millis(100));
}

#[test]
fn one_fault_of_several_can_be_removed_by_its_name() {
    let (proxy, _, mut client) = live();
    proxy.fault("name=slow,latency=100ms");
    proxy.fault("accept_delay=1ms");
    proxy.clear_named(&["slow"]);
    assert_fast_again(&mut client, millis(100));
    let left = &proxy.list()[0].faults;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].known_as(), "accept_delay");
}

fn bytes_stay_whole_while_faults_come_and_go(path: CopyPath) {
    const LEN: usize = 24 << 20;
    let (server, target) = Server::start();
    let (proxy, address) = Proxy::to(target, path);
    let (client, peer) = server.connection(address);
    let transfers = [(&client, &peer), (&peer, &client)].map(|(from, to)| {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let writing = std::thread::spawn(move || {
            from.write_all(&noise(LEN)).unwrap();
            from.shutdown(Shutdown::Write).unwrap();
        });
        let reading = std::thread::spawn(move || {
            let mut received = Vec::new();
            to.read_to_end(&mut received).unwrap();
            received
        });
        (writing, reading)
    });
    for fault in [
        "latency=1ms",
        "rate=1G",
        "slice=70000",
        "stall",
        "latency=3ms,jitter=2ms,direction=up",
        "stall,direction=down",
        "latency=0",
    ] {
        proxy.fault(fault);
        std::thread::sleep(millis(4));
        proxy.clear();
        std::thread::sleep(millis(2));
    }
    for (writing, reading) in transfers {
        writing.join().unwrap();
        assert!(reading.join().unwrap() == noise(LEN));
    }
    drop((client, peer));
    proxy.wait_for("the connection is gone", |route| route.active == 0);
}

#[test]
fn faults_hold_for_unix_sockets_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("front");
    let proxy = Proxy::start(CopyPath::Auto);
    let at = format!("unix:{}", path.display());
    let spec = RouteSpec::new("r", at, echo_server().to_string());
    proxy.open(vec![spec]).unwrap();
    let connect = || {
        let stream = UnixStream::connect(&path).unwrap();
        stream
            .set_read_timeout(Some(crate::harness::HANGS))
            .unwrap();
        stream
    };
    let mut old = connect();
    assert_echoes(&mut old);
    proxy.fault("latency=100ms");
    let begin = Instant::now();
    assert_echoes(&mut old);
    assert!(begin.elapsed() >= millis(200));
    proxy.clear();
    // There is no refusing here: a client is let in and closed.
    proxy.fault("refuse");
    assert!(matches!(connect().read(&mut [0]), Ok(0) | Err(_)));
    assert_echoes(&mut old);
    proxy.clear();
    assert_echoes(&mut connect());
    proxy.fault("reset");
    assert!(matches!(old.read(&mut [0]), Ok(0) | Err(_)));
}

/// The executable with that fault from the beginning, and its control socket.
fn started_with(fault: &str, seed: &str) -> (Executable, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let proxy = Executable::start(&[
        "--control",
        socket.to_str().unwrap(),
        "--fault",
        fault,
        "--seed",
        seed,
        &format!("db@0={}", echo_server()),
    ]);
    (proxy, folder)
}

#[test]
fn a_fault_of_a_flag_holds_from_the_first_connection_until_a_script_clears_it() {
    let (proxy, folder) = started_with("db:latency=150ms,jitter=10ms", "7");
    let socket = folder.path().join("control.sock");
    let mut client = connect(proxy.routes[0]);
    let took = echo_time(&mut client);
    assert!(took >= millis(280), "{took:?}");
    let ready: serde_json::Value = serde_json::from_str(&proxy.ready_line).unwrap();
    assert_eq!(ready["seed"], 7);
    assert_eq!(ready["routes"][0]["faults"][0]["latency"], "150ms");
    assert_eq!(
        ctl(&socket, &["clear", "ids=db", "names=latency"]).0,
        Some(0)
    );
    assert_fast_again(&mut client, millis(100));
    let words = [
        "fault",
        "id=db",
        "stall=true",
        "direction=up",
        "expires=200ms",
    ];
    assert_eq!(ctl(&socket, &words).0, Some(0));
    assert_echoes(&mut client);
}

#[test]
fn a_run_is_repeated_with_the_seed_that_its_ready_line_tells() {
    let fates = |seed: &str| {
        let (proxy, _folder) = started_with("db:reset,probability=0.5", seed);
        let fates: Vec<bool> = (0..40)
            .map(|_| {
                let mut client = connect(proxy.routes[0]);
                let echoed = client
                    .write_all(b"ping")
                    .and_then(|()| client.read_exact(&mut [0; 4]));
                echoed.is_err()
            })
            .collect();
        fates
    };
    let once = fates("12345");
    assert!(once.contains(&true) && once.contains(&false), "{once:?}");
    assert_eq!(fates("12345"), once);
    assert_ne!(fates("54321"), once);
}
