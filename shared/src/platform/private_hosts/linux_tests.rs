//! As an ordinary user, since that is who it is for: run by root, a test runs itself again as `nobody`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;

use nix::sys::signal::Signal;

use super::*;
use crate::platform;

/// The number of `nobody` and `nogroup`.
const NOBODY: u32 = 65_534;

/// Says that the test is where it wants to be.
const INSIDE: &str = "MONDAY_TEST_INSIDE";

const THIS: &str = "platform::private_hosts::linux::tests";

/// The test's executable, where `nobody` may run it, and a folder for it to write to.
struct Copy {
    folder: tempfile::TempDir,
    executable: PathBuf,
}

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("tests");
        fs::copy(std::env::current_exe().unwrap(), &executable).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        Self { folder, executable }
    }

    /// The test of that name once more, behind these words.
    fn again(&self, words: &[&str], test: &str) -> Command {
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .arg(&self.executable)
            .args(["--exact", &format!("{THIS}::{test}"), "--nocapture"])
            .arg("--include-ignored")
            .env(INSIDE, self.folder.path())
            .env("TMPDIR", self.folder.path())
            .current_dir(self.folder.path());
        command
    }
}

const AS_NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

fn inside() -> Option<PathBuf> {
    std::env::var_os(INSIDE).map(PathBuf::from)
}

/// Whether this is the run as an ordinary user; if not, makes one, which has to pass.
fn as_ordinary_user(test: &str) -> bool {
    if inside().is_some() || !nix::unistd::geteuid().is_root() {
        return true;
    }
    let status = Copy::new().again(&AS_NOBODY, test).status().unwrap();
    assert!(status.success(), "{test} failed as an ordinary user");
    false
}

/// Whether namespaces can be made here; the test is left out where not, and says so.
fn possible() -> bool {
    check()
        .inspect_err(|why| eprintln!("SKIPPED: {why}"))
        .is_ok()
}

fn with_hosts(content: &str, script: &str) -> (tempfile::TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hosts"), content).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(folder.path());
    let file = folder.path().join("hosts");
    let hosts = PrivateHosts::new(&file).unwrap();
    drop(hosts.apply(&mut command).unwrap());
    (folder, command)
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_command_of_an_ordinary_user_has_names_of_its_own_and_stays_that_user() {
    if !as_ordinary_user("a_command_of_an_ordinary_user_has_names_of_its_own_and_stays_that_user")
        || !possible()
    {
        return;
    }
    let before = fs::read(SYSTEM_HOSTS).unwrap();
    let own = Identity::own();
    let script = "getent ahostsv4 only.here.test | head -n 1; id -u; id -g; touch made";
    let (folder, mut command) = with_hosts("127.77.1.2 only.here.test\n", script);
    let text = stdout(&mut command);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("127.77.1.2"), "{text}");
    assert_eq!(lines[1..], [own.uid.to_string(), own.gid.to_string()]);
    let made = fs::metadata(folder.path().join("made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (own.uid, own.gid));
    // Nobody else sees any of it.
    assert_eq!(fs::read(SYSTEM_HOSTS).unwrap(), before);
}

#[test]
fn names_that_are_written_over_the_file_later_are_seen_by_a_command_that_runs() {
    if !as_ordinary_user(
        "names_that_are_written_over_the_file_later_are_seen_by_a_command_that_runs",
    ) || !possible()
    {
        return;
    }
    let script = "cat /etc/hosts; echo read; read go; cat /etc/hosts";
    let (folder, mut command) = with_hosts("first\n", script);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    assert_eq!(lines.next().unwrap().unwrap(), "read");
    fs::write(folder.path().join("hosts"), "second\n").unwrap();
    drop(child.stdin.take());
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    child.wait().unwrap();
}

#[test]
fn root_needs_no_user_namespace_and_nothing_of_it_is_seen_outside() {
    if !may_mount() || !possible() {
        return;
    }
    let before = fs::read(SYSTEM_HOSTS).unwrap();
    let script = "cat /etc/hosts; readlink /proc/self/ns/user";
    let (_folder, mut command) = with_hosts("mine\n", script);
    let text = stdout(&mut command);
    let user = fs::read_link("/proc/self/ns/user").unwrap();
    assert_eq!(text, format!("mine\n{}\n", user.display()));
    assert_eq!(fs::read(SYSTEM_HOSTS).unwrap(), before);
}

/// The process that is killed; the test below starts it.
#[test]
#[ignore = "the parent that is killed; another test starts it"]
fn parent() {
    let Some(folder) = inside() else { return };
    fs::write(folder.join("hosts"), "x\n").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "echo up >&2; exec sleep 1000"]);
    let hosts = PrivateHosts::new(&folder.join("hosts")).unwrap();
    drop(hosts.apply(&mut command).unwrap());
    platform::die_with_parent(&mut command, Signal::SIGKILL);
    command.status().unwrap();
}

#[test]
fn a_command_in_a_namespace_still_dies_with_its_parent() {
    if !possible() {
        return;
    }
    let copy = Copy::new();
    let words: &[&str] = if nix::unistd::geteuid().is_root() {
        &AS_NOBODY
    } else {
        &["env"]
    };
    let mut parent = copy
        .again(words, "parent")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(parent.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    parent.kill().unwrap();
    parent.wait().unwrap();
    // End of file: the command that held the other end is gone.
    stderr.read_to_end(&mut Vec::new()).unwrap();
}

/// As root of a user namespace of one's own, in which one may change the switch without any right outside.
#[test]
fn the_switch_that_really_forbids_it_is_named() {
    if inside().is_some() {
        fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
        let error = check().unwrap_err();
        let switch = "user.max_user_namespaces";
        assert!(
            matches!(&error, WhyNot::Switch { switch: named, .. } if *named == switch),
            "{error}"
        );
        // Starting a command says the same.
        let (_folder, mut command) = with_hosts("x\n", "true");
        assert_eq!(WhyNot::of(&command.spawn().unwrap_err()), Some(error));
        return;
    }
    let unshare = ["unshare", "--user", "--map-root-user"];
    let tried = Command::new(unshare[0])
        .args(&unshare[1..])
        .arg("true")
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no user namespace can be made here");
        return;
    }
    // Without the right to mount, so that a user namespace would be needed.
    let words = [&unshare[..], &["setpriv", "--bounding-set=-sys_admin"]].concat();
    let status = Copy::new()
        .again(&words, "the_switch_that_really_forbids_it_is_named")
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn what_is_no_file_is_refused_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    assert!(PrivateHosts::new(folder.path()).is_err());
    assert!(PrivateHosts::new(&folder.path().join("none")).is_err());
    fs::write(folder.path().join("hosts"), "").unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(folder.path().join("hosts"), Some(NOBODY), None).unwrap();
    }
    assert!(PrivateHosts::new(&folder.path().join("hosts")).is_ok());
}
