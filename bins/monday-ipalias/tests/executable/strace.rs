//! What the helper opens, seen from outside: strace(1) writes down every call that names a file, while a caller makes it
//! do all that it can do.

use std::fs;
use std::path::Path;
use std::process::Command;

use monday_shared::handover::socket_beside;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::control::Client;
use crate::place::Running;
use crate::realm::{CALLER, HELPER, ORIGINAL, Realm, has, pid_behind};

const TRACE: &str = "/run/trace";

/// Whether root may have this file opened for writing, made, renamed or removed.
fn is_allowed(path: &str) -> bool {
    let own_folder = CALLER.folder();
    let path = Path::new(path);
    // The hosts file and what is put beside it for a moment.
    path == Path::new("/etc/hosts")
        || path == Path::new("/etc/.hosts.monday-new")
        || path == Path::new("/etc/.hosts.monday-swap")
        || path == Path::new("/etc/.hosts.monday-journal")
        // The folder of root's lock is made; nothing is in it.
        || path == Path::new("/run/monday")
        // Done as the user: `identity` and `served` see to that.
        || path.starts_with(&own_folder)
        || path == Path::new("/dev/null")
}

/// The files that a traced call changes or opens for writing.
fn written(line: &str) -> Vec<String> {
    let Some((call, arguments)) = line
        .split_once(' ')
        .map_or(line, |(_pid, rest)| rest.trim_start())
        .split_once('(')
    else {
        return Vec::new();
    };
    let paths = || -> Vec<String> {
        arguments
            .split('"')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let changes = match call {
        "open" | "openat" | "openat2" => ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"]
            .iter()
            .any(|flag| arguments.contains(flag)),
        // Only looks.
        "access" | "faccessat" | "faccessat2" | "stat" | "lstat" | "newfstatat" | "statx"
        | "readlink" | "readlinkat" | "execve" | "getxattr" | "lgetxattr" | "listxattr"
        | "llistxattr" | "statfs" | "getcwd" | "chdir" => false,
        // Whatever else names a file changes something: creat, mkdir, rename, link, unlink, chmod, chown, truncate, …
        _ => true,
    };
    if changes { paths() } else { Vec::new() }
}

#[test]
fn it_writes_the_hosts_file_and_nothing_else() {
    let test = "strace::it_writes_the_hosts_file_and_nothing_else";
    if !has("strace") {
        return;
    }
    let Some(realm) = Realm::enter(test) else {
        return;
    };
    let socket = CALLER.folder().join("s");
    let mut command = Command::new("strace");
    command
        .args([
            "-f",
            "-qq",
            "-s",
            "4096",
            "-e",
            "trace=%file",
            "-e",
            "signal=none",
            "-o",
            TRACE,
            HELPER,
        ])
        .args([
            "--output",
            "json",
            "--control",
            socket.to_str().unwrap(),
            "first.local",
        ])
        .env("SUDO_UID", CALLER.uid.to_string())
        .env("SUDO_GID", CALLER.uid.to_string())
        .stdin(std::process::Stdio::null());
    let running = Running::start(command);
    let mut client = Client::connect(&socket);
    let helper = Pid::from_raw(pid_behind(&mut client));
    client.result(
        "assign",
        &json!({"names": [{"name": "a.local", "ports": [80, 18_082]}]}),
    );
    for name in ["../../etc/passwd", "a\n1.2.3.4 b", "/etc/shadow"] {
        client.error("assign", &json!({"name": name}));
    }
    client.error("open", &json!({"path": "/etc/shadow"}));
    // Bound or not, the answer is of no interest here.
    let _ =
        std::os::unix::net::UnixStream::connect(socket_beside(&socket)).and_then(|mut stream| {
            std::io::Write::write_all(
                &mut stream,
                b"{\"id\":1,\"method\":\"bind\",\"params\":{\"ip\":\"127.0.0.1\",\"port\":80}}\n",
            )?;
            std::io::read_to_string(stream)
        });
    // Somebody rewrites the file, and it is put right.
    fs::write("/etc/hosts", ORIGINAL).unwrap();
    while running.next_event()["event"] != "rewritten" {}
    client.result("release", &json!({"names": ["a.local"]}));
    kill(helper, Signal::SIGTERM).unwrap();
    running.wait();
    assert_eq!(realm.hosts(), ORIGINAL);

    let trace = fs::read_to_string(TRACE).unwrap();
    let all: Vec<String> = trace.lines().flat_map(written).collect();
    assert!(all.iter().any(|path| path == "/etc/hosts"), "{trace}");
    let others: Vec<&String> = all.iter().filter(|path| !is_allowed(path)).collect();
    assert_eq!(others, Vec::<&String>::new());
}

#[test]
fn a_line_of_a_trace_is_understood() {
    for (line, paths) in [
        (
            "12 openat(AT_FDCWD, \"/etc/hosts\", O_RDONLY|O_CLOEXEC) = 3",
            vec![],
        ),
        (
            "12 openat(AT_FDCWD, \"/etc/x\", O_WRONLY|O_APPEND|O_CLOEXEC) = 3",
            vec!["/etc/x"],
        ),
        (
            "12 openat(AT_FDCWD, \"/x\", O_RDWR|O_CREAT, 0600) = -1 EACCES",
            vec!["/x"],
        ),
        (
            "12 renameat2(AT_FDCWD, \"/a\", AT_FDCWD, \"/b\", RENAME_EXCHANGE) = 0",
            vec!["/a", "/b"],
        ),
        ("12 unlink(\"/a\") = 0", vec!["/a"]),
        (
            "12 newfstatat(AT_FDCWD, \"/a\", {st_mode=S_IFREG}, 0) = 0",
            vec![],
        ),
        ("12 <... openat resumed>) = 3", vec![]),
    ] {
        assert_eq!(written(line), paths, "{line}");
    }
}
