//! A server that goes and comes back.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::harness::{World, connect, echo, echoes, has_sshd};

#[test]
fn a_request_made_while_the_server_is_away_is_answered_when_it_is_back() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let mut sshd = world.sshd("one", "");
    let target = echo();
    let fwd = world.forward(
        &sshd,
        &[&format!("0:{}", target.port()), "--connect-wait", "60s"],
    );
    let address = fwd.listens(0);
    // Load: connections that come and go all the time. None may be refused at the door.
    let (stop, refused) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (stop, refused) = (Arc::clone(&stop), Arc::clone(&refused));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match std::net::TcpStream::connect(address) {
                        Ok(mut stream) => {
                            stream
                                .set_read_timeout(Some(super::harness::HANGS))
                                .unwrap();
                            // One that was open when the server was killed is lost with it.
                            let _ = stream.write_all(b"x");
                            let _ = stream.read(&mut [0]);
                        }
                        Err(_) => {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            })
        })
        .collect();
    let mut old = fwd.connect();
    assert!(echoes(&mut old, b"before"));
    sshd.kill();
    let lost = fwd.event("lost");
    assert!(lost["why"].as_str().unwrap().contains("is lost"), "{lost}");
    assert!(lost["next_try"].is_string(), "{lost}");
    assert!(old.read(&mut [0]).is_err(), "a lost connection is reset");
    let mut waiting = connect(address);
    waiting.write_all(b"meanwhile").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    sshd.up();
    let mut heard = [0; 9];
    waiting.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"meanwhile");
    fwd.event("up");
    stop.store(true, Ordering::Relaxed);
    for thread in load {
        thread.join().unwrap();
    }
    assert_eq!(refused.load(Ordering::Relaxed), 0);
}

#[test]
fn a_key_that_changes_while_the_server_is_away_is_refused_and_not_tried_again() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let mut sshd = world.sshd("one", "");
    let target = echo();
    let fwd = world.forward(&sshd, &[&format!("0:{}", target.port())]);
    sshd.kill();
    std::fs::remove_file(world.path("one-host")).unwrap();
    super::harness::keygen(&world.path("one-host"), "ed25519", "");
    sshd.up();
    let failed = fwd.event("failed");
    let why = failed["why"].as_str().unwrap();
    assert!(why.contains("cannot trust the host key"), "{why}");
}
