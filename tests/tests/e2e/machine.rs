//! A machine of a test's own: private mounts and a private network, with a copy of `/etc` in which `nobody` may run
//! monday-ipalias as root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use monday_tests::executable;
use monday_tests::skip::{missing_programs, skip};
use monday_tests::user::is_root;
use monday_tests::world::World;
use serde_json::Value;

/// Says to the test that it runs in its own namespaces.
const INSIDE: &str = "MONDAY_TEST_INSIDE_NAMESPACE";

/// What the machine's hosts file holds; the last line has no end.
pub(crate) const ORIGINAL: &str = "127.0.0.1 localhost\n192.0.2.7 elsewhere.example";

/// The machine: mounts, a loopback device, an empty `/run` and a copy of `/etc`.
const MACHINE: &str = "
    mount -t tmpfs -o mode=755 none /run && cp -a /etc /run/etc && mount --bind /run/etc /etc &&
    mkdir -p /etc/sudoers.d && ip link set lo up";

/// Where the executables are installed on the machine.
pub(crate) const INSTALLED: &str = "/run/bin";

/// Runs the test of that name again on a machine of its own; whether this is that run.
pub(crate) fn enter(test: &str, tool: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if !is_root() {
        skip("it takes root to make a machine on which somebody may become root");
        return false;
    }
    let missing = missing_programs(&["unshare", "ip", "setpriv", "curl", tool]);
    if !missing.is_empty() {
        skip(&format!("these programs are not installed: {missing:?}"));
        return false;
    }
    let status = Command::new("unshare")
        .args(["--mount", "--net", "--propagation", "private", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed on its machine");
    false
}

/// Makes the machine out of the namespaces that this process is in.
pub(crate) fn make() {
    let made = Command::new("sh").args(["-ec", MACHINE]).status().unwrap();
    assert!(made.success());
    fs::write("/etc/hosts", ORIGINAL).unwrap();
    fs::set_permissions("/etc/hosts", fs::Permissions::from_mode(0o644)).unwrap();
}

/// A user's world on the machine, where the user may run monday-ipalias as root, in the words that `setup --print` gives.
pub(crate) fn machine() -> World {
    make();
    let world = World::ordinary();
    // Where only root can put another program in the place of the one that may become root.
    fs::create_dir(INSTALLED).unwrap();
    for name in ["monday-ipalias", "monday-run", "monday-tcpproxy"] {
        fs::copy(executable::find(name), Path::new(INSTALLED).join(name)).unwrap();
    }
    let helper = format!("{INSTALLED}/monday-ipalias");
    let printed = world
        .run(&helper, ["setup", "--print", "--output", "json"])
        .expect_code(0);
    let lines: Value = serde_json::from_str(&printed.stdout).unwrap();
    for (file, key, mode) in [
        ("/etc/sudoers.d/monday", "sudoers", 0o440),
        ("/etc/doas.conf", "doas", 0o600),
    ] {
        fs::write(file, format!("{}\n", lines[key].as_str().unwrap())).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }
    world
}
