//! Ways to a server: jumps and proxy commands.

use std::fs;

use super::harness::{Fwd, World, echo, echoes, has_sshd, user};

#[test]
fn jumps_lead_over_two_servers() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let (one, two, last) = (
        world.sshd("one", ""),
        world.sshd("two", ""),
        world.sshd("last", ""),
    );
    let target = echo();
    let me = user();
    fs::write(
        world.path("home/.ssh/config"),
        format!(
            "Host one\n HostName 127.0.0.1\n Port {}\nHost two\n HostName 127.0.0.1\n Port {}\n\
             Host last\n HostName 127.0.0.1\n Port {}\n ProxyJump one,two\nHost *\n User {me}\n IdentityFile {}\n",
            one.port,
            two.port,
            last.port,
            world.path("id").display()
        ),
    )
    .unwrap();
    let mut command = world.fwd();
    command.args([
        "ssh",
        "--output",
        "json",
        "last",
        &format!("0:{}", target.port()),
    ]);
    let fwd = Fwd::start(command);
    assert!(echoes(&mut fwd.connect(), b"hello"));
    for sshd in [&one, &two, &last] {
        assert_eq!(sshd.connections(), 1);
    }
    let known = fs::read_to_string(world.path("home/.ssh/known_hosts")).unwrap();
    assert_eq!(known.lines().count(), 3, "{known}");
}

#[test]
fn a_proxy_command_leads_to_the_server_and_ends_with_us() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    let target = echo();
    let command = format!("ProxyCommand=nc %h {}", sshd.port);
    let fwd = world.forward(&sshd, &[&format!("0:{}", target.port()), "-o", &command]);
    assert!(echoes(&mut fwd.connect(), b"hello"));
    drop(fwd);
    // One that says nothing is named, and tried again.
    let mut command = world.fwd();
    command
        .args(["ssh", "--output", "json", "--control"])
        .arg(world.path("c.sock"))
        .args(world.args(&sshd))
        .args(["-o", "ProxyCommand=false"])
        .args([format!("{}@127.0.0.1", user()), "0:1".to_owned()]);
    let fwd = Fwd::spawn(command);
    let lost = fwd.event("lost");
    let why = lost["why"].as_str().unwrap();
    assert!(why.contains("ProxyCommand `false`"), "{why}");
}
