//! What a command finds: its session, its input, its signals, its environment; and what is said when it cannot start.

use std::process::Stdio;

use crate::harness::World;

fn shown(world: &World, args: &[&str]) -> String {
    let (status, bytes) = world.output(args);
    assert!(status.success());
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_command_leads_a_session_and_a_group_of_its_own_and_reads_nothing() {
    let world = World::new();
    let text = shown(
        &world,
        &[
            "--",
            "sh",
            "-c",
            "echo $$; ps -o pgid=,sid= -p $$; readlink /proc/self/fd/0",
        ],
    );
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words[0], words[1]);
    assert_eq!(words[0], words[2]);
    assert_eq!(words[3], "/dev/null");
}

#[test]
fn no_signal_is_ignored_or_blocked_however_we_were_started() {
    let world = World::new();
    let exe = env!("CARGO_BIN_EXE_monday-run");
    let script = format!(
        "trap '' INT QUIT PIPE USR1; exec {exe} -- grep -E 'Sig(Ign|Blk)' /proc/self/status"
    );
    let output = world
        .command(&["--", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let masks: Vec<u64> = text
        .split_whitespace()
        .filter_map(|word| u64::from_str_radix(word, 16).ok())
        // The C library keeps 32 and 33 to itself and refuses to change them.
        .map(|mask| mask & !(0b11 << 31))
        .collect();
    assert_eq!(masks, [0, 0], "{text}");
}

#[test]
fn flags_set_folder_and_environment() {
    let world = World::new();
    std::fs::create_dir(world.path("sub")).unwrap();
    let text = shown(
        &world,
        &[
            "--dir",
            "sub",
            "--env",
            "A=1",
            "--env",
            "A=2 $x",
            "--",
            "sh",
            "-c",
            "basename $PWD; echo \"$A\"",
        ],
    );
    assert_eq!(text, "sub\n2 $x\n");
}

#[test]
fn what_is_about_our_own_readiness_is_not_passed_on() {
    let world = World::new();
    let output = world
        .command(&["--", "sh", "-c", "echo ${NOTIFY_SOCKET-none}"])
        .env("NOTIFY_SOCKET", world.path("no-such-socket"))
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"none\n");
}

#[test]
fn a_command_that_cannot_be_started_is_explained_on_standard_error_with_status_1() {
    let world = World::new();
    let output = world
        .command(&["--", "no-such-program-at-all"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("monday-run: cannot run `no-such-program-at-all`"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn wrong_flags_have_status_2() {
    let world = World::new();
    for args in [
        &[][..],
        &["--stop-signal", "TREM", "--", "true"],
        &["--stop-timeout", "10", "--", "true"],
    ] {
        let output = world.command(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn what_we_had_as_children_before_is_not_the_command_s() {
    let exe = env!("CARGO_BIN_EXE_monday-run");
    // The shell becomes the executable, and its job stays a child of it.
    let script = format!(
        "sleep 1000 > /dev/null 2>&1 & echo $!; exec {exe} -- sh -c 'setsid sleep 1001 & echo up'"
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (job, rest) = text.split_once('\n').unwrap();
    assert_eq!(rest, "up\n");
    let job = nix::unistd::Pid::from_raw(job.parse().unwrap());
    assert!(nix::sys::signal::kill(job, nix::sys::signal::Signal::SIGKILL).is_ok());
}

#[test]
fn a_program_that_vanishes_between_two_starts_ends_us_when_it_is_given_up() {
    let world = World::new();
    let path = world.path("once");
    std::fs::write(&path, "#!/bin/sh\nrm \"$0\"\nexit 3\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = world
        .command(&[
            "--restart=always",
            "--restart-backoff=1ms",
            "--max-restarts=2",
            "--",
            "./once",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("no such file") && said.contains("given up"),
        "{said}"
    );
}

#[test]
fn a_hosts_file_of_its_own_is_seen_by_the_command_which_still_dies_with_us() {
    let world = World::new();
    let hosts = world.path("hosts");
    std::fs::write(&hosts, "127.77.3.4 only.here.test\n").unwrap();
    let flags = ["--hosts-file", hosts.to_str().unwrap(), "--"];
    let possible = world.command(&[&flags[..], &["true"]].concat()).output();
    let possible = possible.unwrap();
    if !possible.status.success() {
        let why = String::from_utf8_lossy(&possible.stderr).into_owned();
        // What forbids it is named.
        assert!(why.contains("hosts file of its own"), "{why}");
        return;
    }
    let script = "cat /etc/hosts; echo $$; exec sleep 1000";
    let mut run = world
        .command(&[&flags[..], &["sh", "-c", script]].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(run.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "127.77.3.4 only.here.test");
    let pid = lines.next().unwrap().unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    let gone = || !std::path::Path::new("/proc").join(&pid).exists();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !gone() {
        assert!(std::time::Instant::now() < deadline, "{pid} lives on");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
