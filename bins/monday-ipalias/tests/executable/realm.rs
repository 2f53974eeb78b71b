//! A machine of a test's own to be root on: private mounts and a private network, with a copy of `/etc` and an empty
//! `/run` in which two ordinary users have their runtime folders. Nothing of it is seen outside.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::control::Client;
use crate::namespace;
use crate::place::Running;

/// An ordinary user that every Linux has.
pub(crate) const CALLER: User = User {
    uid: 65_534,
    name: "nobody",
};

/// Another one.
pub(crate) const OTHER: User = User {
    uid: 1,
    name: "daemon",
};

#[derive(Clone, Copy)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) name: &'static str,
}

impl User {
    /// The user's runtime folder.
    pub(crate) fn folder(self) -> PathBuf {
        PathBuf::from(format!("/run/user/{}", self.uid))
    }

    /// A command that this user runs.
    pub(crate) fn command(self, words: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args([
                &format!("--reuid={}", self.uid),
                &format!("--regid={}", self.uid),
            ])
            .arg("--clear-groups")
            .args(words)
            .stdin(Stdio::null());
        command
    }
}

/// The copy of the executable that only root can change.
pub(crate) const HELPER: &str = "/run/bin/monday-ipalias";

pub(crate) const ORIGINAL: &[u8] = b"127.0.0.1 localhost\n# no end";

pub(crate) struct Realm {
    hosts: &'static str,
}

impl Realm {
    /// Runs the test of that name again in a realm of its own; this is that run if there is one to return.
    pub(crate) fn enter(test: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED {test}: it is about what root does");
            return None;
        }
        let unshare = ["--mount", "--net", "--propagation", "private"];
        if !namespace::enter_with(test, &unshare) {
            return None;
        }
        namespace::mount(&["-t", "tmpfs", "-o", "mode=755", "none", "/run"]);
        run("cp", &["-a", "/etc", "/run/etc"]);
        namespace::mount(&["--bind", "/run/etc", "/etc"]);
        run("ip", &["link", "set", "lo", "up"]);
        fs::write("/etc/hosts", ORIGINAL).unwrap();
        fs::set_permissions("/etc/hosts", fs::Permissions::from_mode(0o644)).unwrap();
        fs::create_dir("/run/bin").unwrap();
        fs::copy(env!("CARGO_BIN_EXE_monday-ipalias"), HELPER).unwrap();
        fs::create_dir("/run/user").unwrap();
        for user in [CALLER, OTHER] {
            own_folder(&user.folder(), user);
        }
        Some(Self {
            hosts: "/etc/hosts",
        })
    }

    pub(crate) fn hosts(&self) -> Vec<u8> {
        fs::read(self.hosts).unwrap()
    }

    /// The executable as root for that user, as sudo would start it.
    pub(crate) fn served(&self, user: User, words: &[&str]) -> Command {
        assert_eq!(
            self.hosts, "/etc/hosts",
            "there is no other one for a caller"
        );
        let mut command = Command::new(HELPER);
        command
            .args(words)
            .env("SUDO_UID", user.uid.to_string())
            .env("SUDO_GID", user.uid.to_string())
            .stdin(Stdio::null());
        command
    }

    /// The same, running, with its control socket.
    pub(crate) fn serve(&self, user: User, socket: &Path) -> (Running, Client) {
        let words = ["--output", "json", "--control", socket.to_str().unwrap()];
        let running = Running::start(self.served(user, &words));
        (running, Client::connect(socket))
    }
}

/// A folder of that user's alone.
pub(crate) fn own_folder(path: &Path, user: User) {
    fs::create_dir(path).unwrap();
    chown(path, Some(user.uid), Some(user.uid)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

/// The pid of the helper behind a socket, which may be a child of sudo.
pub(crate) fn pid_behind(client: &mut Client) -> i32 {
    let pid = client.result("hello", &json!({}))["pid"].as_i64().unwrap();
    pid.try_into().unwrap()
}

/// A line of `/proc/PID/status`, its words.
pub(crate) fn status_of(pid: i32, key: &str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .unwrap_or_else(|| panic!("{key} is not in {status}"));
    line.split_ascii_whitespace().map(str::to_owned).collect()
}

pub(crate) fn run(program: &str, words: &[&str]) {
    let status = Command::new(program).args(words).status().unwrap();
    assert!(status.success(), "{program} {words:?}");
}

/// Whether that program is installed; a test that needs it says that it is left out where not.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", "command -v \"$0\"", program])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn refused(output: &Output, status: i32, said: &str) {
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    assert!(text(&output.stderr).contains(said), "{output:?}");
    assert!(!text(&output.stderr).contains("panicked"), "{output:?}");
}

/// What another user's connection gets: nothing, not even an error. The reply to `hello` for everybody else.
pub(crate) fn says_hello(user: u32, socket: &Path) -> bool {
    let script = "printf '{\"id\":1,\"method\":\"hello\"}\\n' | nc -N -U \"$0\"";
    let ids = [format!("--reuid={user}"), format!("--regid={user}")];
    let output = Command::new("setpriv")
        .args(ids)
        .args(["--clear-groups", "sh", "-c", script])
        .arg(socket)
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(said.is_empty() || said.contains("jsonrpc"), "{said}");
    !said.is_empty()
}
