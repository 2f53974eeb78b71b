//! The program of the pods, as the one static executable that an image without anything else can have.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::executable;

/// Compiles `monday-pod` into a folder. Cargo would build all that this package needs a second time; it needs nothing.
///
/// # Panics
/// If it cannot be compiled.
pub(super) fn compile(folder: &Path) -> PathBuf {
    let program = folder.join("monday-pod");
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(compiler)
        .args(["--edition", "2024", "--crate-name", "monday_pod"])
        .args([
            "-C",
            "opt-level=2",
            "-C",
            "panic=abort",
            "-C",
            "strip=symbols",
        ])
        .args(["-C", "target-feature=+crt-static"])
        .arg(executable::workspace().join("tests/src/bin/monday-pod/main.rs"))
        .arg("-o")
        .arg(&program)
        .status()
        .expect("rustc can be run");
    assert!(status.success(), "monday-pod cannot be compiled");
    program
}
