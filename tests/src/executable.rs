//! Where the built executables are: in the target folder that the test's own executable came from.

use std::path::{Path, PathBuf};

/// The executables that serve the control protocol.
pub const SIDECARS: [&str; 3] = ["monday-run", "monday-tcpproxy", "monday-ipalias"];

/// The one that tells changes; its life differs where COMMAND is run again and again.
pub const WATCH: &str = "monday-watch";

/// The executable that wires them.
pub const SUPERVISOR: &str = "monday-supervisor";

/// The program that plays the apps of a test's project.
pub const FIXTURE: &str = "monday-fixture";

/// The program of the demo.
pub const DEMO: &str = "examples/demo";

/// The folder of the built executables: `target/debug` for a test at `target/debug/deps/e2e-…`.
#[must_use]
pub fn folder() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its executable");
    let deps = own.parent().expect("an executable is in a folder");
    deps.parent()
        .expect("the folder of a test's executable is in the target folder")
        .to_owned()
}

/// Where a built executable is: `monday-run`, or `examples/demo`.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn find(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(
        path.is_file(),
        "{} is missing: these tests drive the built executables; build them first, as `make test` does",
        path.display()
    );
    path
}

/// The workspace's folder.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package is a folder of the workspace")
}
