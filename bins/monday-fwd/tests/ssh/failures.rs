//! Failures name everything that a person needs to mend them.

use super::harness::{World, echo, has_sshd, user};

#[test]
fn a_refused_login_names_what_was_offered_and_what_is_accepted() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    std::fs::write(world.path("authorized"), "").unwrap();
    let server = format!("{}@127.0.0.1", user());
    let said = world.fails("ssh", &world.args(&sshd), &[&server, "db@0:1"]);
    for part in [
        "db: cannot log in to",
        &format!("{server}:{}", sshd.port),
        "it refused",
        &world.path("id").display().to_string(),
        "it accepts publickey",
        "authorized_keys",
    ] {
        assert!(said.contains(part), "`{part}` is missing: {said}");
    }
}

#[test]
fn a_name_that_means_nothing_ends_it_and_the_command_does_not_run() {
    let world = World::new();
    let mut command = world.fwd();
    let mark = world.path("ran");
    command
        .args([
            "ssh",
            "-F",
            "none",
            "me@no-such-host.invalid",
            "0:1",
            "--",
            "touch",
        ])
        .arg(&mark);
    let said = super::harness::failure(command);
    assert!(
        said.contains("cannot resolve me@no-such-host.invalid:22"),
        "{said}"
    );
    assert!(!mark.exists());
}

#[test]
fn a_server_that_does_not_forward_says_which_setting_forbids_it() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "AllowTcpForwarding no");
    let target = echo();
    let fwd = world.forward(&sshd, &[&format!("0:{}", target.port())]);
    let mut client = fwd.connect();
    let read = std::io::Read::read(&mut client, &mut [0]);
    assert_eq!(
        read.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    let failed = fwd.event("connection");
    let why = failed["error"].as_str().unwrap();
    assert!(why.contains("AllowTcpForwarding"), "{why}");
    let server = format!("{}@127.0.0.1", user());
    let said = world.fails("ssh-remote", &world.args(&sshd), &[&server, "0:1"]);
    assert!(
        said.contains("cannot listen at") && said.contains("AllowTcpForwarding"),
        "{said}"
    );
}

#[test]
fn no_common_cipher_names_both_lists() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "Ciphers aes128-ctr");
    let server = format!("{}@127.0.0.1", user());
    let more = [&server, "0:1", "-o", "Ciphers=aes256-gcm@openssh.com"];
    let said = world.fails("ssh", &world.args(&sshd), &more);
    assert!(
        said.contains("aes256-gcm") && said.contains("aes128-ctr"),
        "{said}"
    );
}

#[test]
fn a_configuration_that_makes_no_sense_is_named_with_its_line() {
    let world = World::new();
    let config = world.path("bad");
    std::fs::write(&config, "Host *\n  Match nonsense x\n").unwrap();
    let mut command = world.fwd();
    command
        .args(["ssh", "-F"])
        .arg(&config)
        .args(["me@127.0.0.1", "0:1"]);
    let said = super::harness::failure(command);
    assert!(
        said.contains("bad:2") && said.contains("nonsense"),
        "{said}"
    );
}
