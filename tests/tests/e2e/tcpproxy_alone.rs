//! `monday-tcpproxy` without a supervisor.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use monday_tests::control::Control;
use monday_tests::port::free_port;
use monday_tests::process::Process;
use monday_tests::wait::{Deadline, PATIENCE};
use monday_tests::world::World;
use monday_tests::{http, needs_programs};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Where the route at this place of a ready line listens.
fn listener(ready: &Value, at: usize) -> SocketAddr {
    let listen = ready["routes"][at]["listen"].as_str();
    listen.expect("a route").parse().expect("an address")
}

/// A connection that fails instead of hanging.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A proxy of one route to this target that tells JSON, and where it listens.
fn proxy_to(world: &World, target: SocketAddr) -> (Process, SocketAddr) {
    let route = format!("db@127.0.0.1:0={target}");
    let mut process = world.start("monday-tcpproxy", ["--output", "json", &route]);
    let ready = process.ready();
    (process, listener(&ready, 0))
}

#[test]
fn a_whole_step_of_a_ci_job_is_one_line_with_the_commands_status() {
    needs_programs!("curl");
    let world = World::new();
    let port = http::serve("hello from db\n").port();
    let line = format!(
        "monday-tcpproxy db@127.0.0.1:0=127.0.0.1:{port} -- sh -c 'curl -s http://$MONDAY_ADDR_DB/'"
    );
    let finished = world.sh(&line).expect_code(0);
    assert_eq!(finished.stdout, "hello from db\n");
    assert_eq!(finished.stderr, "");
    let line = format!(
        "{} --max-time 20 --fail --upload-file /dev/null; exit 7'",
        line.trim_end_matches('\'')
    );
    let _ = world.sh(&line).expect_code(7);
}

#[test]
fn the_first_line_is_ready_with_the_real_ports() {
    let world = World::new();
    let mut process = world.start(
        "monday-tcpproxy",
        [
            "--output",
            "json",
            "db@127.0.0.1:0=db.internal:5432",
            "0=127.0.0.1:1",
        ],
    );
    let first = process.next_line();
    assert!(
        first.starts_with(r#"{"event":"ready","routes":["#),
        "{first}"
    );
    let ready: Value = serde_json::from_str(&first).unwrap();
    let ids: Vec<&str> = (0..2)
        .map(|at| ready["routes"][at]["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["db", "ROUTE1"]);
    let (one, two) = (listener(&ready, 0), listener(&ready, 1));
    assert!(one.port() != 0 && two.port() != 0 && one != two, "{ready}");
    drop((connect(one), connect(two)));
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
    assert!(TcpStream::connect(one).is_err(), "the listener is gone");
}

#[test]
fn command_finds_every_route_in_its_environment() {
    let world = World::new();
    let finished = world
        .run(
            "monday-tcpproxy",
            [
                "user-api@127.0.0.1:0=localhost:1",
                "127.0.0.1:0=localhost:1",
                "--",
                "sh",
                "-c",
                "env | grep -E '^MONDAY_(ADDR|HOST|PORT)_' | sort",
            ],
        )
        .expect_code(0);
    let variables: Vec<(&str, &str)> = finished
        .stdout
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .collect();
    let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "MONDAY_ADDR_ROUTE1",
            "MONDAY_ADDR_USER_API",
            "MONDAY_HOST_ROUTE1",
            "MONDAY_HOST_USER_API",
            "MONDAY_PORT_ROUTE1",
            "MONDAY_PORT_USER_API",
        ]
    );
    let value = |name: &str| {
        variables
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1
    };
    assert_eq!(value("MONDAY_HOST_USER_API"), "127.0.0.1");
    let address = format!("127.0.0.1:{}", value("MONDAY_PORT_USER_API"));
    assert_eq!(value("MONDAY_ADDR_USER_API"), address);
}

#[test]
fn a_side_that_is_done_writing_still_gets_the_answer() {
    let world = World::new();
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_process, address) = proxy_to(&world, target.local_addr().unwrap());
    let mut client = connect(address);
    client.write_all(b"all of the question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let (mut far, _) = target.accept().unwrap();
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut question = String::new();
    far.read_to_string(&mut question).unwrap();
    assert_eq!(question, "all of the question");
    far.write_all(b"the answer").unwrap();
    drop(far);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "the answer");
}

#[test]
fn sixteen_mebibytes_come_through_both_ways_at_once_unchanged() {
    let world = World::new();
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut process, address) = proxy_to(&world, target.local_addr().unwrap());
    // A period that divides no buffer size, so that a piece that is lost or doubled shows.
    let bytes: Vec<u8> = (0..=250).cycle().take(16 * 1024 * 1024).collect();
    let client = connect(address);
    let (far, _) = target.accept().unwrap();
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    far.set_write_timeout(Some(PATIENCE)).unwrap();
    std::thread::scope(|scope| {
        for mut stream in [&client, &far] {
            let bytes = &bytes;
            scope.spawn(move || {
                stream.write_all(bytes).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
            scope.spawn(move || {
                let mut got = Vec::new();
                stream.read_to_end(&mut got).unwrap();
                assert!(
                    got == *bytes,
                    "{} bytes came, not those that were sent",
                    got.len()
                );
            });
        }
    });
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
}

#[test]
fn a_connection_that_finds_no_target_is_reset_and_the_next_one_is_served() {
    let world = World::new();
    let port = free_port();
    let (mut process, address) = proxy_to(&world, SocketAddr::from(([127, 0, 0, 1], port)));
    let mut client = connect(address);
    let error = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let failed = process.event("dial_failed");
    assert!(
        failed["error"]
            .as_str()
            .unwrap()
            .contains(&port.to_string()),
        "{failed}"
    );
    let target = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || http::serve_on(&target, "here I am"));
    assert_eq!(http::get(address).unwrap(), "here I am");
}

#[test]
fn every_address_of_a_name_is_tried() {
    let world = World::new();
    // `localhost` may lead to ::1 first; this target listens on 127.0.0.1 only.
    let port = http::serve("on v4").port();
    let mut process = world.start(
        "monday-tcpproxy",
        ["--output", "json", &format!("127.0.0.1:0=localhost:{port}")],
    );
    let address = listener(&process.ready(), 0);
    assert_eq!(http::get(address).unwrap(), "on v4");
}

#[test]
fn one_slow_reader_holds_up_nobody_else() {
    let world = World::new();
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_process, address) = proxy_to(&world, target.local_addr().unwrap());
    // Someone whose flood nobody reads.
    let stuck = connect(address);
    let (mut far, _) = target.accept().unwrap();
    far.set_nonblocking(true).unwrap();
    let flood = vec![0; 1024 * 1024];
    while far.write(&flood).is_ok_and(|written| written > 0) {}
    let text = "not held up";
    std::thread::spawn(move || http::serve_on(&target, text));
    assert_eq!(http::get(address).unwrap(), text);
    drop(stuck);
}

#[test]
fn a_taken_port_is_told_with_who_holds_it() {
    let world = World::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let route = format!("db@{address}=127.0.0.1:1");
    let finished = world.run("monday-tcpproxy", [&route]).expect_code(1);
    for word in [
        format!("pid {}", std::process::id()),
        address.to_string(),
        "db".to_owned(),
    ] {
        assert!(
            finished.stderr.contains(&word),
            "`{word}` is not in: {}",
            finished.stderr
        );
    }
    assert_eq!(finished.stdout, "");
}

#[test]
fn words_that_make_no_route_are_refused_with_status_2() {
    let world = World::new();
    for (words, named) in [
        (&["nonsense"][..], "nonsense"),
        (&["127.0.0.1:0"], "127.0.0.1:0"),
        (&["127.0.0.1:99999=localhost:1"], "99999"),
        (&["here:0=localhost:1"], "here:0"),
        (&["a@127.0.0.1:0=h:1", "a@127.0.0.1:0=h:2"], "MONDAY_ADDR_A"),
        (&["a.b@0=h:1", "a-b@0=h:2"], "MONDAY_ADDR_A_B"),
        (&["--connect-timeout", "soon", "0=h:1"], "soon"),
        (&[], "Usage"),
    ] {
        let refused = world.run("monday-tcpproxy", words).expect_code(2);
        assert!(
            refused.stderr.contains(named),
            "`{named}` is not in: {}",
            refused.stderr
        );
    }
}

#[test]
fn of_a_batch_all_is_opened_or_nothing() {
    let world = World::new();
    let mut process = world.start(
        "monday-tcpproxy",
        ["--control", "p.sock", "--output", "json"],
    );
    process.ready();
    let mut control = Control::connect(&world.home().join("p.sock"));
    let holder = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let (taken, free) = (holder.local_addr().unwrap(), free_port());
    let route =
        |id: &str, listen: String| json!({"id": id, "listen": listen, "target": "127.0.0.1:1"});
    let batch = json!({"routes": [
        route("a", format!("127.0.0.1:{free}")),
        route("b", taken.to_string()),
    ]});
    let error = control.call("open", &batch).unwrap_err();
    assert_eq!(json!(error.data.kind), "port_in_use");
    assert_eq!(error.data.details["pid"], std::process::id());
    assert_eq!(control.ask("list"), json!({"routes": []}));
    assert!(
        TcpStream::connect(("127.0.0.1", free)).is_err(),
        "the first one listens"
    );
    drop(holder);
    // What another test starts at this moment may hold it for an instant longer, between its fork and its exec.
    let deadline = Deadline::patient();
    while let Err(error) = control.call("open", &batch) {
        assert!(!deadline.passed(), "{error}");
    }
    assert_eq!(control.ask("list")["routes"].as_array().unwrap().len(), 2);
}

#[test]
fn a_route_with_another_target_keeps_its_port_and_the_connections_that_it_has() {
    let world = World::new();
    let mut process = world.start(
        "monday-tcpproxy",
        ["--control", "p.sock", "--output", "json"],
    );
    process.ready();
    let mut control = Control::connect(&world.home().join("p.sock"));
    let old = TcpListener::bind("127.0.0.1:0").unwrap();
    let route = |target: SocketAddr| json!({"id": "db", "listen": "127.0.0.1:0", "target": target});
    let first = control
        .call("open", &route(old.local_addr().unwrap()))
        .unwrap();
    let address = listener(&first, 0);
    let mut client = connect(address);
    let (mut far, _) = old.accept().unwrap();
    let second = control
        .call("open", &route(http::serve("from the new one")))
        .unwrap();
    assert_eq!(
        listener(&second, 0),
        address,
        "port 0 keeps the port that it became"
    );
    assert_eq!(http::get(address).unwrap(), "from the new one");
    far.write_all(b"still here").unwrap();
    drop(far);
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "still here");
}

#[test]
fn a_held_connection_gets_through_when_its_target_comes() {
    let world = World::new();
    let port = free_port();
    let route = format!("127.0.0.1:0=127.0.0.1:{port}");
    let mut process = world.start(
        "monday-tcpproxy",
        ["--output", "json", "--connect-wait", "20s", &route],
    );
    let address = listener(&process.ready(), 0);
    let waiting = std::thread::spawn(move || http::get(address));
    let target = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || http::serve_on(&target, "late, but here"));
    assert_eq!(waiting.join().unwrap().unwrap(), "late, but here");
}

#[test]
fn a_thousand_idle_connections_do_not_keep_the_next_one_out() {
    let world = World::new();
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut process, address) = proxy_to(&world, target.local_addr().unwrap());
    let mut held = Vec::new();
    for _ in 0..1000 {
        let client = connect(address);
        held.push((client, target.accept().unwrap().0));
    }
    let mut client = connect(address);
    let (mut far, _) = target.accept().unwrap();
    client.write_all(b"x").unwrap();
    let mut got = [0];
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    far.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"x");
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait(), 130);
}
