//! With what monday-fwd logs in, and whom it trusts.

use std::fs;
use std::process::Command;

use super::harness::{Agent, Fwd, World, echo, echoes, has_sshd, keygen, run, user};

/// Forwards with these arguments and this agent, and says something through it.
fn works(world: &World, args: &[String], agent: Option<&Agent>) {
    let target = echo();
    let mut command = world.fwd();
    command.args(["ssh", "--output", "json"]).args(args).args([
        format!("{}@127.0.0.1", user()),
        format!("0:{}", target.port()),
    ]);
    if let Some(agent) = agent {
        command.env("SSH_AUTH_SOCK", &agent.socket);
    }
    let fwd = Fwd::start(command);
    assert!(echoes(&mut fwd.connect(), b"hello"));
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn keys_of_every_kind_open_the_door() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let key = world.path(kind);
        keygen(&key, kind, "");
        fs::copy(world.path(&format!("{kind}.pub")), world.path("authorized")).unwrap();
        let port = sshd.port.to_string();
        let key = key.display().to_string();
        works(
            &world,
            &words(&["-i", &key, "-p", &port, "-F", "none"]),
            None,
        );
    }
}

#[test]
fn an_encrypted_key_is_an_error_that_names_ssh_add_and_works_through_an_agent() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "");
    let key = world.path("locked");
    keygen(&key, "ed25519", "secret");
    let port = sshd.port.to_string();
    let named = key.display().to_string();
    let args = words(&["-i", &named, "-p", &port, "-F", "none"]);
    let server = format!("{}@127.0.0.1", user());
    let said = world.fails("ssh", &args, &[&server, "0:1"]);
    assert!(said.contains(&format!("ssh-add {named}")), "{said}");
    assert!(said.contains(&format!("{server}:{port}")), "{said}");
    // The agent has the key without its passphrase; the file stays encrypted.
    let open = world.path("open");
    fs::copy(&key, &open).unwrap();
    run(Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "secret", "-N", "", "-f"])
        .arg(&open));
    let agent = Agent::start(&world);
    agent.add(&open);
    fs::copy(world.path("locked.pub"), world.path("authorized")).unwrap();
    works(&world, &args, Some(&agent));
}

#[test]
fn the_right_key_of_six_is_offered_first_where_it_is_named() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let sshd = world.sshd("one", "MaxAuthTries 2");
    let agent = Agent::start(&world);
    for number in 0..5 {
        let key = world.path(&format!("other{number}"));
        keygen(&key, "ed25519", "");
        agent.add(&key);
    }
    agent.add(&world.path("id"));
    let port = sshd.port.to_string();
    let public = world.path("id.pub").display().to_string();
    works(
        &world,
        &words(&["-i", &public, "-p", &port, "-F", "none"]),
        Some(&agent),
    );
    // Without its name the server has enough before it is its turn.
    let mut command = world.fwd();
    command.env("SSH_AUTH_SOCK", &agent.socket).args([
        "ssh",
        "-p",
        &port,
        "-F",
        "none",
        &format!("{}@127.0.0.1", user()),
        "0:1",
    ]);
    let said = super::harness::failure(command);
    assert!(said.contains("IdentitiesOnly"), "{said}");
    assert!(said.contains("MaxAuthTries"), "{said}");
}

#[test]
fn certificates_of_users_and_of_hosts_are_honoured() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let authority = world.path("ca");
    keygen(&authority, "ed25519", "");
    let key = world.path("certified");
    keygen(&key, "ed25519", "");
    let me = user();
    run(Command::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(&authority)
        .args(["-I", "me", "-n", &me])
        .arg(world.path("certified.pub")));
    let host = world.path("one-host");
    keygen(&host, "ed25519", "");
    run(Command::new("ssh-keygen")
        .args(["-q", "-s"])
        .arg(&authority)
        .args(["-I", "host", "-h", "-n", "127.0.0.1"])
        .arg(world.path("one-host.pub")));
    fs::write(world.path("authorized"), "").unwrap();
    let sshd = world.sshd(
        "one",
        &format!(
            "TrustedUserCAKeys {}\nHostCertificate {}",
            world.path("ca.pub").display(),
            world.path("one-host-cert.pub").display()
        ),
    );
    let known = world.path("home/.ssh/known_hosts");
    let authority_line = format!(
        "@cert-authority [127.0.0.1]:* {}",
        fs::read_to_string(world.path("ca.pub")).unwrap()
    );
    fs::write(&known, &authority_line).unwrap();
    let port = sshd.port.to_string();
    let named = key.display().to_string();
    let args = words(&[
        "-i",
        &named,
        "-p",
        &port,
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=yes",
    ]);
    works(&world, &args, None);
    assert_eq!(fs::read_to_string(&known).unwrap(), authority_line);
}

#[test]
fn a_new_host_becomes_known_and_a_changed_key_is_refused() {
    if !has_sshd() {
        return;
    }
    let world = World::new();
    let mut sshd = world.sshd("one", "");
    let known = world.path("home/.ssh/known_hosts");
    let mut args = world.args(&sshd);
    let server = format!("{}@127.0.0.1", user());
    let mut strict = args.clone();
    strict.extend(words(&["-o", "StrictHostKeyChecking=yes"]));
    let said = world.fails("ssh", &strict, &[&server, "0:1"]);
    assert!(
        said.contains("it is not known") && said.contains("SHA256:"),
        "{said}"
    );
    assert!(said.contains("ssh-keyscan"), "{said}");
    works(&world, &args, None);
    let line = fs::read_to_string(&known).unwrap();
    assert!(
        line.starts_with(&format!("[127.0.0.1]:{} ssh-ed25519 ", sshd.port)),
        "{line}"
    );
    works(&world, &strict, None);
    sshd.kill();
    fs::remove_file(world.path("one-host")).unwrap();
    keygen(&world.path("one-host"), "ed25519", "");
    sshd.up();
    let said = world.fails("ssh", &args, &[&server, "0:1"]);
    assert!(
        said.contains("ssh-keygen -R") && said.contains("SHA256:"),
        "{said}"
    );
    // It stays so whatever StrictHostKeyChecking says.
    args.extend(words(&["-o", "StrictHostKeyChecking=no"]));
    world.fails("ssh", &args, &[&server, "0:1"]);
    assert_eq!(fs::read_to_string(&known).unwrap(), line);
}
