//! The agent of `kubernetes-remote`, as its image has it.

use std::path::PathBuf;
use std::process::Command;

use crate::executable;

/// Builds it as `make image` does, but for its profile: everything below it is built already.
///
/// # Panics
/// If it cannot be built.
pub(super) fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let release = executable::folder().ends_with("release");
    let status = Command::new(cargo)
        .current_dir(executable::workspace())
        .args([
            "rustc",
            "--quiet",
            "--package",
            "monday-agent",
            "--bin",
            "monday-agent",
        ])
        .args(release.then_some("--release"))
        // Where it is taken from, however this test was started.
        .arg("--target-dir")
        .args(executable::folder().parent())
        .args([
            "--",
            "-C",
            "target-feature=+crt-static",
            "-C",
            "strip=symbols",
        ])
        .status()
        .expect("cargo can be run");
    assert!(status.success(), "monday-agent cannot be built");
    executable::find("monday-agent")
}
