//! What a tunnel carries, and how.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::harness::{World, connect, echo, echoes, has_sshd, server, user};

#[test]
fn several_ports_lead_to_several_targets() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    let (first, second) = (
        echo(),
        server(|mut stream| drop(stream.write_all(b"second"))),
    );
    let fwd = world.forward(
        &sshd,
        &[
            &format!("a@0:{}", first.port()),
            &format!("b@0:{}", second.port()),
            "--forward-hostname",
            "localhost",
        ],
    );
    assert!(echoes(&mut connect(fwd.listens(0)), b"hello"));
    let mut said = String::new();
    connect(fwd.listens(1)).read_to_string(&mut said).unwrap();
    assert_eq!(said, "second");
    assert_eq!(fwd.end(), Some(143));
}

#[test]
fn a_command_finds_the_forward_and_gives_its_status() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    let target = echo();
    let mut command = world.fwd();
    command
        .arg("ssh")
        .args(world.args(&sshd))
        .args([
            &format!("{}@127.0.0.1", user()),
            &format!("db@0:{}", target.port()),
        ])
        .args([
            "--",
            "sh",
            "-c",
            "echo $MONDAY_HOST_DB $MONDAY_PORT_DB; exit 7",
        ]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("127.0.0.1 "), "{said}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn sockets_are_ends_as_well() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    let (near, far) = (world.path("near.sock"), world.path("far.sock"));
    let listener = std::os::unix::net::UnixListener::bind(&far).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"from the socket").unwrap();
    });
    let fwd = world.forward(&sshd, &[&format!("{}:{}", near.display(), far.display())]);
    let mut said = String::new();
    std::os::unix::net::UnixStream::connect(&near)
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "from the socket");
    drop(fwd);
}

#[test]
fn a_client_that_has_said_all_still_gets_the_answer() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    let target = server(|mut stream| {
        let mut asked = String::new();
        stream.read_to_string(&mut asked).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        stream.write_all(asked.to_uppercase().as_bytes()).unwrap();
    });
    let fwd = world.forward(&sshd, &[&format!("0:{}", target.port())]);
    let mut client = fwd.connect();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "QUESTION");
}

#[test]
fn a_target_that_has_said_all_still_hears_the_client() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    let (heard, listening) = std::sync::mpsc::channel();
    let target = server(move |mut stream| {
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        heard.send(said).unwrap();
    });
    let fwd = world.forward(&sshd, &[&format!("0:{}", target.port())]);
    let mut client = fwd.connect();
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert_eq!(said, "hello");
    client.write_all(b"good-bye").unwrap();
    drop(client);
    assert_eq!(
        listening.recv_timeout(super::harness::HANGS).unwrap(),
        "good-bye"
    );
}

#[test]
fn a_client_that_is_gone_is_told_to_the_target() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    let (ended, ends) = std::sync::mpsc::channel();
    let target = server(move |mut stream| {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        // Sends until it listening that nobody is there.
        while stream.write_all(&[0; 1024]).is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        ended.send(rest).unwrap();
    });
    let fwd = world.forward(&sshd, &[&format!("0:{}", target.port())]);
    let mut client = fwd.connect();
    client.write_all(b"last words").unwrap();
    drop(client);
    assert_eq!(
        ends.recv_timeout(super::harness::HANGS).unwrap(),
        b"last words"
    );
}

#[test]
fn a_target_that_refuses_resets_the_client() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    let nobody = super::harness::free_port();
    let fwd = world.forward(&sshd, &[&format!("db@0:{nobody}")]);
    let mut client = fwd.connect();
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let failed = fwd.event("connection");
    let why = failed["error"].as_str().unwrap();
    assert!(why.contains("cannot connect to 127.0.0.1"), "{why}");
    assert!(why.contains("does it listen there"), "{why}");
}

/// Bytes that do not repeat soon.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33).to_le_bytes()[0]
    })
    .take(length)
    .collect()
}

/// Sends so much each way at once, and compares.
fn both_ways(sshd_config: &str, more: &[&str], bytes: usize) {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", sshd_config);
    let target = server(move |mut stream| {
        let mut back = stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            back.write_all(&noise(2, bytes)).unwrap();
            back.shutdown(Shutdown::Write).unwrap();
        });
        let mut got = Vec::with_capacity(bytes);
        stream.read_to_end(&mut got).unwrap();
        assert!(got == noise(1, bytes), "what came up is not what was sent");
        sending.join().unwrap();
    });
    let rule = format!("0:{}", target.port());
    let mut rules = vec![rule.as_str()];
    rules.extend(more);
    let fwd = world.forward(&sshd, &rules);
    let mut client = fwd.connect();
    let mut up = client.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        up.write_all(&noise(1, bytes)).unwrap();
        up.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::with_capacity(bytes);
    client.read_to_end(&mut got).unwrap();
    assert!(
        got == noise(2, bytes),
        "what came down is not what was sent"
    );
    sending.join().unwrap();
    let ended = fwd.event("connection");
    assert_eq!(ended["bytes_up"], bytes, "{ended}");
    assert_eq!(ended["bytes_down"], bytes, "{ended}");
}

#[test]
fn sixty_four_mebibytes_go_both_ways_at_once_without_a_wrong_byte() {
    both_ways("", &[], 64 * 1024 * 1024);
}

#[test]
fn keys_are_changed_under_load_without_a_wrong_byte() {
    both_ways("RekeyLimit 1M", &[], 16 * 1024 * 1024);
    both_ways("", &["-o", "RekeyLimit=1M"], 16 * 1024 * 1024);
}

#[test]
fn a_client_that_does_not_read_stops_nobody_else() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    // Floods whoever says f, and echoes otherwise.
    let target = server(|mut stream| {
        let mut first = [0];
        while stream.read_exact(&mut first).is_ok() {
            if first == *b"f" {
                while stream.write_all(&[0; 65536]).is_ok() {}
                return;
            }
            stream.write_all(&first).unwrap();
        }
    });
    let fwd = world.forward(&sshd, &[&format!("0:{}", target.port())]);
    let mut before = fwd.connect();
    assert!(echoes(&mut before, b"x"));
    let mut stuck = fwd.connect();
    stuck.write_all(b"f").unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    let mut slowest = Duration::ZERO;
    while Instant::now() < until {
        let started = Instant::now();
        assert!(echoes(&mut before, b"x"), "the old connection is stopped");
        let mut new: TcpStream = fwd.connect();
        assert!(echoes(&mut new, b"x"), "a new connection is stopped");
        slowest = slowest.max(started.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    drop(stuck);
}
