//! What goes wrong on one connection is that connection's alone.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use monday_tests::cluster::{App, PORTS, REFUSED_PORT, together};

use crate::forwarder::{Forwarder, connect};
use crate::talk;

/// More than all buffers on the way to a pod hold, some 6 MiB of them in the server's session.
const FLOOD: usize = 32 * 1024 * 1024;

#[test]
fn of_64_connections_a_stalled_one_holds_up_no_other() {
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("stalled", "web"));
    let forwarder = Forwarder::ready(
        &cluster.kubeconfig(),
        &["-n", "stalled", "-l", "app=web", "0:talk"],
    );
    let address = forwarder.address();
    let open: Vec<_> = (0..63).map(|_| talk::ask(address, "echo")).collect();
    // One whose pod does not read, as full as it gets; and one whose client does not.
    let mut stalled = talk::ask(address, "stall");
    stalled.set_nonblocking(true).unwrap();
    let (piece, mut written) = (vec![0; 64 * 1024], 0);
    while written < FLOOD {
        match stalled.write(&piece) {
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // What is under way may still make room.
                std::thread::sleep(Duration::from_millis(20));
                if matches!(stalled.write(&piece), Err(error) if error.kind() == ErrorKind::WouldBlock)
                {
                    break;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(written < FLOOD, "nothing holds so much");
    let unread = talk::ask(address, &format!("send {FLOOD}"));
    for (number, stream) in (0..).zip(&open) {
        talk::echo_once(stream, number);
    }
    // New ones as well, more than there are sessions to be had for nothing.
    for _ in 0..16 {
        assert!(talk::who(address).is_ok());
    }
    drop((stalled, unread));
    for (number, stream) in (100..).zip(&open) {
        talk::echo_once(stream, number);
    }
    forwarder.end();
}

#[test]
fn a_thousand_connections_to_open_and_closed_ports_are_all_answered() {
    let Some(cluster) = together() else { return };
    cluster.deploy(&App::new("mixed", "web"));
    let closed = format!("0:{REFUSED_PORT}");
    let words = [
        "-n",
        "mixed",
        "-l",
        "app=web",
        "good@0:talk",
        &format!("bad@{closed}"),
    ];
    let forwarder = Forwarder::ready(&cluster.kubeconfig(), &words);
    let (good, bad) = (forwarder.listen(0), forwarder.listen(1));
    std::thread::scope(|scope| {
        for client in 0..8 {
            scope.spawn(move || {
                for number in 0..125 {
                    if (number + client) % 2 == 0 {
                        assert!(talk::who(good).unwrap().starts_with("web-"));
                    } else {
                        refused(bad);
                    }
                }
            });
        }
    });
    forwarder.end();
}

/// A connection to a port at which nobody listens ends, and not as if all were well.
fn refused(address: SocketAddr) {
    let mut stream = connect(address);
    // Written at once, so that the session has something for a port that is not there.
    let _ = stream.write_all(&[b'x'; 4096]);
    let error = stream
        .read_to_end(&mut Vec::new())
        .expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}

#[test]
fn a_number_that_no_container_declares_is_a_port_all_the_same() {
    let Some(cluster) = together() else { return };
    let app = App::new("undeclared", "web");
    cluster.deploy(&app);
    let number = format!("0:{}", PORTS[1].1);
    let words = ["-n", "undeclared", "-l", "app=web", number.as_str()];
    let forwarder = Forwarder::ready(&cluster.kubeconfig(), &words);
    talk::echo_once(&connect(forwarder.address()), b'x');
    forwarder.end();
}
