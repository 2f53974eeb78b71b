//! Tests that need mounts of their own run in a private mount namespace: the test executes itself again in one.

use std::process::Command;

/// Says to the test that it runs in its own namespace.
const INSIDE: &str = "MONDAY_TEST_INSIDE_NAMESPACE";

/// Runs the test of that name again in a mount namespace of its own, and returns whether this is that run. Where no
/// namespace can be made, the test is skipped, and says so.
pub(crate) fn enter(test: &str) -> bool {
    if nix::unistd::geteuid().is_root() {
        enter_with(test, &["--mount", "--propagation", "private"])
    } else {
        enter_with(test, &["--user", "--map-root-user", "--mount"])
    }
}

/// The same with namespaces of the test's choice.
pub(crate) fn enter_with(test: &str, unshare: &[&str]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let possible = Command::new("unshare").args(unshare).arg("true").output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED {test}: no private mount namespace can be made here");
        return false;
    }
    let status = Command::new("unshare")
        .args(unshare)
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its namespace");
    false
}

/// mount(8) with these words.
pub(crate) fn mount(words: &[&str]) {
    let status = Command::new("mount").args(words).status().unwrap();
    assert!(status.success(), "mount {words:?}");
}
