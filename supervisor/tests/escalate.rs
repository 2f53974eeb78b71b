//! Becoming root through the real sudo, on a terminal of the test's own: private mounts with a copy of `/etc`, in which an
//! ordinary user has a password and may run one program as root.

#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and one of these prints for another"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use monday_supervisor::config::project::Hosts;
use monday_supervisor::escalate::{Query, Settled, Wish, settle};

/// Says to the test that it runs in its own namespace.
const INSIDE: &str = "MONDAY_TEST_INSIDE_NAMESPACE";

/// Says to the user's process that it is one.
const USER: &str = "MONDAY_TEST_ESCALATE";

const HELPER: &str = "/run/bin/monday-ipalias";

/// What the user's process runs: it settles, prints what came out, and starts the helper.
#[test]
#[ignore = "the ordinary user's process; the other tests start it"]
fn user() {
    if std::env::var_os(USER).is_none() {
        return;
    }
    let settled = settle(&Query {
        wish: Wish::Auto,
        hosts: Hosts::System,
        hosts_file: "/etc/hosts".into(),
        has_names: true,
        low_port: None,
        helper: HELPER.into(),
        may_ask: true,
    });
    let Settled {
        prefix, warning, ..
    } = settled;
    println!("warning: {warning:?}");
    if let Some((tool, words)) = prefix.split_first() {
        let started = Command::new(tool)
            .args(words)
            .arg(HELPER)
            .arg("--version")
            // As a sidecar is started: not in the terminal's foreground.
            .stdin(Stdio::null())
            .output()
            .unwrap();
        println!(
            "started: {}",
            String::from_utf8_lossy(&started.stdout).trim()
        );
    }
    println!("that is all");
}

/// Runs the test of that name again in mounts of its own, prepared; whether this is that run.
fn enter(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let has = |program: &str| {
        let found = Command::new("sh")
            .args(["-c", "command -v \"$0\" > /dev/null", program])
            .status();
        found.is_ok_and(|found| found.success())
    };
    if !nix::unistd::geteuid().is_root() || !has("sudo") || !has("script") {
        eprintln!("SKIPPED {test}: it takes root, sudo and script(1)");
        return false;
    }
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its namespace");
    false
}

/// Lets `nobody` run the helper as root, for a password and with these further lines of sudoers.
fn machine(further: &str) {
    let script = "
        mount -t tmpfs -o mode=755 none /run && cp -a /etc /run/etc && mount --bind /run/etc /etc && mkdir /run/bin &&
        printf 'root:*:1:0:::::\\nnobody:*:1:0:::::\\n' > /etc/shadow && chmod 600 /etc/shadow &&
        echo nobody:secret | chpasswd";
    let made = Command::new("sh").args(["-ec", script]).status().unwrap();
    assert!(made.success());
    fs::create_dir_all("/etc/sudoers.d").unwrap();
    let line = format!("nobody ALL=(root) PASSWD: {HELPER}\n{further}");
    fs::write("/etc/sudoers.d/monday", line).unwrap();
    fs::set_permissions("/etc/sudoers.d/monday", fs::Permissions::from_mode(0o440)).unwrap();
    fs::write(HELPER, "#!/bin/sh\necho monday-ipalias as $(id -u)\n").unwrap();
    fs::set_permissions(HELPER, fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(std::env::current_exe().unwrap(), "/run/bin/tests").unwrap();
}

/// A terminal with the user's process on it.
struct Terminal {
    script: Child,
    shown: String,
}

impl Terminal {
    fn open() -> Self {
        let user = format!(
            "exec setpriv --reuid=65534 --regid=65534 --clear-groups env {USER}=1 /run/bin/tests --exact user --ignored \
             --nocapture"
        );
        let script = Command::new("script")
            .args([
                "--quiet",
                "--flush",
                "--return",
                "--command",
                &user,
                "/dev/null",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let shown = String::new();
        Self { script, shown }
    }

    /// Reads what is shown until this is.
    fn until(&mut self, text: &str) {
        let mut bytes = [0; 256];
        let mut from = 0;
        while !self.shown[from..].contains(text) {
            let read = self
                .script
                .stdout
                .as_mut()
                .unwrap()
                .read(&mut bytes)
                .unwrap();
            assert_ne!(read, 0, "`{text}` is not in: {}", self.shown);
            from = self.shown.len().saturating_sub(text.len());
            self.shown
                .push_str(&String::from_utf8_lossy(&bytes[..read]));
            while !self.shown.is_char_boundary(from) {
                from -= 1;
            }
        }
    }

    fn type_line(&mut self, line: &str) {
        let keyboard = self.script.stdin.as_mut().unwrap();
        keyboard.write_all(line.as_bytes()).unwrap();
        keyboard.write_all(b"\n").unwrap();
    }

    fn end(mut self) -> String {
        self.until("that is all");
        self.script.wait().unwrap();
        self.shown
    }
}

#[test]
fn sudo_asks_on_the_terminal_once_before_anything_is_shown_and_later_starts_are_silent() {
    if !enter("sudo_asks_on_the_terminal_once_before_anything_is_shown_and_later_starts_are_silent")
    {
        return;
    }
    machine("");
    let mut terminal = Terminal::open();
    terminal.until("password for nobody: ");
    assert!(!terminal.shown.contains("warning"), "{}", terminal.shown);
    terminal.type_line("secret");
    let shown = terminal.end();
    assert!(shown.contains("warning: None"), "{shown}");
    assert!(shown.contains("started: monday-ipalias as 0"), "{shown}");
    assert_eq!(shown.matches("password for").count(), 1, "{shown}");
}

#[test]
fn a_wrong_password_means_going_on_without() {
    if !enter("a_wrong_password_means_going_on_without") {
        return;
    }
    machine("Defaults passwd_tries=1\n");
    let mut terminal = Terminal::open();
    terminal.until("password for nobody: ");
    terminal.type_line("wrong");
    let shown = terminal.end();
    assert!(
        shown.contains("host names work by address only, because sudo gave no right"),
        "{shown}"
    );
    assert!(!shown.contains("started"), "{shown}");
}

#[test]
fn a_sudo_that_remembers_nothing_is_explained() {
    if !enter("a_sudo_that_remembers_nothing_is_explained") {
        return;
    }
    machine("Defaults timestamp_timeout=0\n");
    let mut terminal = Terminal::open();
    terminal.until("password for nobody: ");
    terminal.type_line("secret");
    let shown = terminal.end();
    assert!(shown.contains("timestamp_timeout=0"), "{shown}");
    assert!(!shown.contains("started"), "{shown}");
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    if !enter("without_a_terminal_nobody_is_asked") {
        return;
    }
    machine("");
    let output = Command::new("setsid")
        .args([
            "--wait",
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ])
        .args([
            "/run/bin/tests",
            "--exact",
            "user",
            "--ignored",
            "--nocapture",
        ])
        .env(USER, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("there is no terminal to ask on"), "{shown}");
}
