//! What a hostile caller, or another user, gets out of it: nothing.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use monday_shared::handover::socket_beside;
use serde_json::json;

use crate::control::Client;
use crate::place::Running;
use crate::ports::reply;
use crate::realm::{CALLER, ORIGINAL, OTHER, Realm, own_folder, refused, says_hello, text};

#[test]
fn nobody_but_the_caller_and_root_is_answered() {
    let Some(realm) = Realm::enter("hostile::nobody_but_the_caller_and_root_is_answered") else {
        return;
    };
    let socket = CALLER.folder().join("s");
    let (running, mut client) = realm.serve(CALLER, &socket);
    // However careless the caller is with the files.
    for path in [CALLER.folder(), socket.clone(), socket_beside(&socket)] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    for socket in [&socket, &socket_beside(&socket)] {
        assert!(says_hello(CALLER.uid, socket));
        assert!(says_hello(0, socket));
        assert!(!says_hello(OTHER.uid, socket));
        assert!(!says_hello(65_533, socket));
    }
    client.result("list", &json!({}));
    running.end();
}

#[test]
fn a_caller_names_no_file_runs_no_command_and_serves_only_in_folders_of_its_own() {
    let Some(realm) = Realm::enter(
        "hostile::a_caller_names_no_file_runs_no_command_and_serves_only_in_folders_of_its_own",
    ) else {
        return;
    };
    let output = |words: &[&str]| realm.served(CALLER, words).output().unwrap();
    refused(
        &output(&["a.local", "--hosts-file", "/etc/shadow"]),
        2,
        "--hosts-file is refused",
    );
    refused(&output(&["a.local", "--", "id"]), 2, "COMMAND");
    refused(
        &output(&["clean", "--hosts-file", "/etc/passwd"]),
        2,
        "--hosts-file is refused",
    );

    let folder = CALLER.folder();
    own_folder(&folder.join("open"), CALLER);
    fs::set_permissions(folder.join("open"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/etc", folder.join("link")).unwrap();
    for (socket, said) in [
        ("/etc/s".to_owned(), "belongs to uid 0"),
        ("/root/s".to_owned(), "/root"),
        (format!("{}/s", OTHER.folder().display()), "/run/user/1"),
        (format!("{}/open/s", folder.display()), "mode 755"),
        (format!("{}/link/s", folder.display()), "is a link"),
        (
            format!("{}/../../../etc/s", folder.display()),
            "belongs to uid 0",
        ),
        ("s".to_owned(), "absolute"),
        ("/".to_owned(), "absolute path of a file"),
        (format!("{}/none/s", folder.display()), "cannot look at"),
    ] {
        refused(&output(&["--control", &socket]), 2, said);
    }
    for made in ["/etc/s", "/etc/s.lock", "/root/s"] {
        assert!(!Path::new(made).exists(), "{made}");
    }
    assert_eq!(realm.hosts(), ORIGINAL);
}

#[test]
fn traps_in_the_callers_own_folder_lead_nowhere() {
    let Some(realm) = Realm::enter("hostile::traps_in_the_callers_own_folder_lead_nowhere") else {
        return;
    };
    let folder = CALLER.folder();
    fs::write("/etc/precious", "kept").unwrap();
    let socket = folder.join("s");
    let words = ["--control", socket.to_str().unwrap()];
    let output = || realm.served(CALLER, &words).output().unwrap();
    for trap in ["s", "s.lock"] {
        let path = folder.join(trap);
        symlink("/etc/precious", &path).unwrap();
        refused(&output(), 1, "cannot");
        fs::remove_file(&path).unwrap();
    }
    // A folder that the caller may not write, although it is the caller's: root's rights are not lent.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    refused(&output(), 1, "Permission denied");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    // A link in the place of the lease that is going to be written.
    symlink("/etc/precious", folder.join("monday/.ipalias/new")).unwrap();
    let running = Running::start(realm.served(CALLER, &["--output", "json", "api.local"]));
    running.end();
    assert_eq!(fs::read("/etc/precious").unwrap(), b"kept");
    fs::remove_dir_all(folder.join("monday/.ipalias")).unwrap();
    fs::create_dir(folder.join("monday/.ipalias")).unwrap();
    // A link in the place of the folder of leases.
    fs::remove_dir(folder.join("monday/.ipalias")).unwrap();
    symlink("/etc", folder.join("monday/.ipalias")).unwrap();
    let running = Running::start(realm.served(CALLER, &["--output", "json", "api.local"]));
    running.end();
    assert_eq!(fs::read("/etc/precious").unwrap(), b"kept");
    let made = fs::read_dir("/etc").unwrap().flatten();
    assert!(
        made.map(|entry| entry.path())
            .all(|path| path.extension().is_none_or(|is| is != "json"))
    );
    assert_eq!(realm.hosts(), ORIGINAL);
}

#[test]
fn a_lease_that_the_caller_has_forged_gives_nothing_that_could_not_be_asked_for() {
    let Some(realm) = Realm::enter(
        "hostile::a_lease_that_the_caller_has_forged_gives_nothing_that_could_not_be_asked_for",
    ) else {
        return;
    };
    let leases = CALLER.folder().join("monday/.ipalias");
    // Once, so that the folder is there.
    Running::start(realm.served(CALLER, &["--output", "json", "api.local"])).end();
    let forged = json!({
        "instance": "0123456789abcdef",
        "owner": {"pid": 1, "started": 0, "boot": "-"},
        "hosts_file": "/etc/hosts",
        "names": [
            {"name": "github.com", "ip": "203.0.113.5"},
            {"name": "wild.test", "ip": "0.0.0.0"},
            {"name": "self.test", "ip": "127.0.0.1"},
        ],
    });
    fs::write(leases.join("0123456789abcdef.json"), forged.to_string()).unwrap();
    let socket = CALLER.folder().join("s");
    let (running, mut client) = realm.serve(CALLER, &socket);
    let names = ["github.com", "wild.test", "self.test"];
    let assigned = client.result(
        "assign",
        &json!({"names": names.map(|name| json!({"name": name}))}),
    );
    for name in assigned["names"].as_array().unwrap() {
        assert!(
            name["ip"].as_str().unwrap().starts_with("127.77."),
            "{name}"
        );
    }
    let hosts = text(&realm.hosts());
    for forged in ["203.0.113.5", "0.0.0.0", "127.0.0.1\tself"] {
        assert!(!hosts.contains(forged), "{hosts}");
    }
    for ip in ["0.0.0.0", "127.0.0.1", "203.0.113.5"] {
        let request = json!({"id": 1, "method": "bind", "params": {"ip": ip, "port": 22}});
        let answer = reply(&socket_beside(&socket), &format!("{request}\n"));
        assert_eq!(answer["error"]["data"]["kind"], "not_found", "{answer}");
    }
    running.end();
    assert_eq!(realm.hosts(), ORIGINAL);
}

#[test]
fn the_callers_environment_means_nothing() {
    let Some(realm) = Realm::enter("hostile::the_callers_environment_means_nothing") else {
        return;
    };
    let elsewhere = OTHER.folder();
    let notified = std::os::unix::net::UnixDatagram::bind("/run/notify").unwrap();
    notified.set_nonblocking(true).unwrap();
    let mut command = realm.served(CALLER, &["--output", "json", "api.local"]);
    command
        .env("XDG_RUNTIME_DIR", &elsewhere)
        .env("TMPDIR", &elsewhere)
        .env("HOME", &elsewhere)
        .env("MONDAY_LOG", "trace")
        .env("NOTIFY_SOCKET", "/run/notify")
        .stderr(Stdio::piped());
    let mut running = Running::start(command);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    let mut stderr = running.stderr();
    running.end();
    let mut logged = String::new();
    stderr.read_to_string(&mut logged).unwrap();
    assert_eq!(logged, "");
    assert!(notified.recv(&mut [0; 64]).is_err());
}

#[test]
fn hostile_lines_are_answered_and_survived() {
    let Some(realm) = Realm::enter("hostile::hostile_lines_are_answered_and_survived") else {
        return;
    };
    let socket = CALLER.folder().join("s");
    let (running, mut client) = realm.serve(CALLER, &socket);
    let thousands: Vec<_> = (0..10_000)
        .map(|n| json!({"name": format!("n{n}.local")}))
        .collect();
    // This machine's own name, which others find it by.
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let own = own.trim_end();
    for (params, kind) in [
        (
            json!({"name": "a\n127.0.0.1 bank.example"}),
            "invalid_params",
        ),
        (json!({"name": "../../etc/passwd"}), "invalid_params"),
        (json!({"name": own}), "denied"),
        (
            json!({"name": "a.local", "ip": "10.0.0.1"}),
            "invalid_params",
        ),
        (
            json!({"name": "a.local", "hosts_file": "/etc/shadow"}),
            "invalid_params",
        ),
        (json!({"names": thousands}), "too_large"),
    ] {
        let error = client.error("assign", &params);
        assert_eq!(error["data"]["kind"], kind, "{error}");
    }
    for line in [
        vec![b'x'; 2 * 1024 * 1024],
        b"\xff\xfe\n".to_vec(),
        b"{\"id\":1,\"method\":".to_vec(),
    ] {
        for socket in [&socket, &socket_beside(&socket)] {
            let mut raw = UnixStream::connect(socket).unwrap();
            // It may hang up in the middle.
            let _ = raw
                .write_all(&line)
                .and_then(|()| raw.shutdown(std::net::Shutdown::Write));
            let mut answer = Vec::new();
            let _ = raw.read_to_end(&mut answer);
            assert!(answer.is_empty() || text(&answer).contains("\"error\""));
        }
    }
    assert_eq!(realm.hosts(), ORIGINAL);
    client.result("list", &json!({}));
    running.end();
}

#[test]
fn a_hosts_file_that_is_not_roots_own_is_not_written_for_a_user() {
    let Some(realm) =
        Realm::enter("hostile::a_hosts_file_that_is_not_roots_own_is_not_written_for_a_user")
    else {
        return;
    };
    // A link into a folder that the caller can change, as some keep their settings.
    let folder = Path::new("/run/theirs");
    own_folder(folder, CALLER);
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let theirs = folder.join("hosts");
    fs::write(&theirs, ORIGINAL).unwrap();
    fs::remove_file("/etc/hosts").unwrap();
    symlink(&theirs, "/etc/hosts").unwrap();
    let (running, mut client) = realm.serve(CALLER, &CALLER.folder().join("s"));
    let assigned = client.result("assign", &json!({"name": "api.local"}));
    let reason = &assigned["hosts"]["reason"].as_str().unwrap();
    assert!(reason.contains("others than root"), "{reason}");
    assert!(
        assigned["names"][0]["ip"]
            .as_str()
            .unwrap()
            .starts_with("127.77.")
    );
    running.end();
    assert_eq!(fs::read(&theirs).unwrap(), ORIGINAL);

    // One that root has made read-only stays so.
    fs::remove_file("/etc/hosts").unwrap();
    fs::write("/etc/hosts", ORIGINAL).unwrap();
    fs::set_permissions("/etc/hosts", fs::Permissions::from_mode(0o444)).unwrap();
    let (running, mut client) = realm.serve(CALLER, &CALLER.folder().join("s"));
    let assigned = client.result("assign", &json!({"name": "api.local"}));
    assert_eq!(assigned["hosts"]["state"], "unwritable", "{assigned}");
    running.end();
    assert_eq!(realm.hosts(), ORIGINAL);
}

#[test]
fn a_client_that_connects_and_says_nothing_holds_nobody_up() {
    let Some(realm) =
        Realm::enter("hostile::a_client_that_connects_and_says_nothing_holds_nobody_up")
    else {
        return;
    };
    let socket = CALLER.folder().join("s");
    let (running, _client) = realm.serve(CALLER, &socket);
    // More than are served at once.
    let _silent: Vec<UnixStream> = (0..20)
        .map(|_| UnixStream::connect(socket_beside(&socket)).unwrap())
        .collect();
    let mut client = Client::connect(&socket);
    client.result("list", &json!({}));
    let begin = Instant::now();
    let request = json!({"id": 1, "method": "bind", "params": {"ip": "127.0.0.1", "port": 80}});
    let answer = reply(&socket_beside(&socket), &format!("{request}\n"));
    assert_eq!(answer["error"]["data"]["kind"], "not_found", "{answer}");
    // Who asks for a port goes away after 10 s.
    assert!(begin.elapsed() < Duration::from_secs(8), "{begin:?}");
    running.end();
}

#[test]
fn whoever_keeps_the_lock_of_the_folder_keeps_nobodys_names_away() {
    let test = "hostile::whoever_keeps_the_lock_of_the_folder_keeps_nobodys_names_away";
    let Some(realm) = Realm::enter(test) else {
        return;
    };
    let mut holder = OTHER
        .command(&[
            "flock",
            "--no-fork",
            "/etc",
            "sh",
            "-c",
            "echo held; exec sleep 600",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = [0; 5];
    holder
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut held)
        .unwrap();
    let (running, mut client) = realm.serve(CALLER, &CALLER.folder().join("s"));
    let assigned = client.result("assign", &json!({"name": "api.local"}));
    assert_eq!(assigned["hosts"]["state"], "written", "{assigned}");
    running.end();
    assert_eq!(realm.hosts(), ORIGINAL);
    assert!(
        holder.try_wait().unwrap().is_none(),
        "the lock was held all the time"
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
}
