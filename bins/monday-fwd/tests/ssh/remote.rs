//! `ssh-remote`.

use super::harness::{
    World, connect, echo, echoes, eventually, failure, free_port, has_sshd, user,
};

#[test]
fn a_port_there_leads_here_and_its_number_may_be_left_to_the_server() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    let target = echo();
    let fwd = world.start("ssh-remote", &sshd, &[&format!("0:{}", target.port())]);
    let address = fwd.listens(0);
    assert_ne!(address.port(), 0);
    for _ in 0..3 {
        assert!(echoes(&mut connect(address), b"hello"));
    }
}

#[test]
fn a_target_that_is_not_there_is_told_and_the_next_one_gets_through() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    let port = free_port();
    let fwd = world.start("ssh-remote", &sshd, &[&format!("0:{port}")]);
    let mut client = connect(fwd.listens(0));
    assert!(matches!(
        std::io::Read::read(&mut client, &mut [0]),
        Ok(0) | Err(_)
    ));
    let failed = fwd.event("connection");
    assert!(
        failed["error"]
            .as_str()
            .unwrap()
            .contains("cannot connect to"),
        "{failed}"
    );
}

#[test]
fn a_port_that_the_server_does_not_permit_is_a_failure_that_says_so() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let allowed = free_port();
    let sshd = world.sshd("one", &format!("PermitListen 127.0.0.1:{allowed}"));
    let target = echo();
    let rule = format!("{allowed}:{}", target.port());
    let fwd = world.start("ssh-remote", &sshd, &[&rule]);
    assert!(echoes(
        &mut connect(([127, 0, 0, 1], allowed).into()),
        b"hello"
    ));
    let mut command = world.fwd();
    command.arg("ssh-remote").args(world.args(&sshd)).args([
        format!("{}@127.0.0.1", user()),
        format!("{}:1", free_port()),
    ]);
    let said = failure(command);
    assert!(said.contains("PermitListen"), "{said}");
    drop(fwd);
}

#[test]
fn the_same_port_is_asked_for_again_when_the_server_is_back() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let mut sshd = world.sshd("one", "");
    let target = echo();
    let fwd = world.start("ssh-remote", &sshd, &[&format!("0:{}", target.port())]);
    let address = fwd.listens(0);
    sshd.kill();
    fwd.event("lost");
    sshd.up();
    fwd.event("up");
    eventually("the port leads here again", || {
        std::net::TcpStream::connect(address).is_ok_and(|mut stream| {
            stream
                .set_read_timeout(Some(std::time::Duration::from_secs(5)))
                .unwrap();
            echoes(&mut stream, b"again")
        })
    });
}

#[test]
fn a_port_that_our_lost_connection_still_holds_is_waited_for() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let mut sshd = world.sshd("one", "");
    let target = echo();
    let port = free_port();
    let fwd = world.start("ssh-remote", &sshd, &[&format!("{port}:{}", target.port())]);
    sshd.kill();
    fwd.event("lost");
    // Somebody else has the port for a while, as the server's old process would.
    let mut holder = None;
    eventually("the port is free", || {
        holder = std::net::TcpListener::bind(("127.0.0.1", port)).ok();
        holder.is_some()
    });
    sshd.up();
    let lost = fwd.event("lost");
    let mut why = lost["why"].as_str().unwrap().to_owned();
    while !why.contains("still taken") {
        why = fwd.event("lost")["why"].as_str().unwrap().to_owned();
    }
    assert!(why.contains("ClientAliveInterval"), "{why}");
    drop(holder);
    fwd.event("up");
    assert!(echoes(&mut connect(([127, 0, 0, 1], port).into()), b"back"));
}
