//! Ports below 1024, bound by the helper and handed over to an ordinary user's process.

use std::io::Write as _;
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use monday_shared::handover::{self, socket_beside};
use monday_shared::protocol::error::RpcError;
use serde_json::{Value, json};

use crate::control::Client;
use crate::place::Place;
use crate::realm::{CALLER, Realm};

const PREFIX: &str = "MONDAY_TEST_PORTS_";

/// The user's process, as monday-tcpproxy is one: it gets the port, listens and answers one client.
#[tokio::test]
#[ignore = "the ordinary user's process; another test starts it"]
async fn listener() {
    let var = |name: &str| std::env::var(format!("{PREFIX}{name}"));
    let Ok(socket) = var("SOCKET") else { return };
    let ip: IpAddr = var("IP").unwrap().parse().unwrap();
    assert!(!nix::unistd::geteuid().is_root());
    // It could not do it itself.
    let error = TcpListener::bind((ip, 80)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    let bound = handover::request(Path::new(&socket), ip, 80).await.unwrap();
    let listener = {
        let socket = socket2::Socket::from(bound);
        socket.listen(16).unwrap();
        TcpListener::from(socket)
    };
    // The port is taken now, and its holder is named to who asks next.
    let taken = handover::request(Path::new(&socket), ip, 80)
        .await
        .unwrap_err();
    let taken = RpcError::from(taken);
    assert_eq!(taken.data.details["pid"], std::process::id(), "{taken}");
    eprintln!("listening");
    let (mut client, _) = listener.accept().unwrap();
    client.write_all(b"hello").unwrap();
}

#[test]
fn a_user_without_rights_serves_port_80_of_a_name() {
    let test = "ports::a_user_without_rights_serves_port_80_of_a_name";
    let Some(realm) = Realm::enter(test) else {
        return;
    };
    let socket = CALLER.folder().join("s");
    let (running, mut client) = realm.serve(CALLER, &socket);
    let wish = json!({"name": "web.shop.test", "ports": [80]});
    let ip = client.result("assign", &wish)["names"][0]["ip"].clone();
    std::fs::copy(std::env::current_exe().unwrap(), "/run/bin/tests").unwrap();
    let mut listener = CALLER.command(&["/run/bin/tests", "--exact", "ports::listener"]);
    let mut listener = listener
        .args(["--ignored", "--nocapture"])
        .env(format!("{PREFIX}SOCKET"), socket_beside(&socket))
        .env(format!("{PREFIX}IP"), ip.as_str().unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(listener.stderr.take().unwrap());
    let mut said = String::new();
    std::io::BufRead::read_line(&mut lines, &mut said).unwrap();
    assert_eq!(said, "listening\n");
    // As the system sees it, the user listens there.
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let row = table.lines().find(|row| row.contains(":0050 ")).unwrap();
    assert_eq!(row.split_ascii_whitespace().nth(7), Some("65534"), "{row}");
    // The helper is gone, and the port stays.
    running.end();
    let mut stream = TcpStream::connect((ip.as_str().unwrap(), 80)).unwrap();
    assert_eq!(std::io::read_to_string(&mut stream).unwrap(), "hello");
    assert!(listener.wait().unwrap().success());
}

/// The reply to one raw line.
pub(crate) fn reply(socket: &Path, line: &str) -> Value {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(line.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    serde_json::from_str(&std::io::read_to_string(stream).unwrap()).unwrap()
}

#[test]
fn only_addresses_that_were_assigned_are_bound() {
    let place = Place::new(b"");
    let socket: PathBuf = place.runtime().join("s");
    let running = place.start(&["--control", socket.to_str().unwrap()]);
    let assigned = Client::connect(&socket).result("assign", &json!({"name": "api.local"}));
    let ip = assigned["names"][0]["ip"].as_str().unwrap();
    let ports = socket_beside(&socket);
    let bind = |ip: &str, port: u32| {
        let request = json!({"id": 7, "method": "bind", "params": {"ip": ip, "port": port}});
        reply(&ports, &format!("{request}\n"))
    };
    let free = TcpListener::bind((ip, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let bound = bind(ip, free.into());
    assert_eq!(bound["result"], json!({"ip": ip, "port": free}), "{bound}");
    for (ip, port, kind) in [
        ("127.0.0.1", 80, "not_found"),
        ("127.77.0.1", 80, "not_found"),
        ("0.0.0.0", 80, "not_found"),
        ("10.0.0.1", 80, "not_found"),
        ("::1", 80, "not_found"),
        ("::ffff:127.0.0.1", 80, "not_found"),
        (ip, 0, "invalid_params"),
        (ip, 65_536, "invalid_params"),
        ("localhost", 80, "invalid_params"),
    ] {
        let refused = bind(ip, port);
        assert_eq!(
            refused["error"]["data"]["kind"], kind,
            "{ip}:{port}: {refused}"
        );
    }
    // After it was released, no more.
    Client::connect(&socket).result("release", &json!({"names": ["api.local"]}));
    assert_eq!(bind(ip, free.into())["error"]["data"]["kind"], "not_found");
    running.end();
    assert!(!ports.exists());
}

#[test]
fn without_the_right_the_ways_out_are_named() {
    // Root has the right, so it is taken away where there is root.
    let place = Place::new(b"");
    let socket: PathBuf = place.runtime().join("s");
    let inner = place.command(&["--output", "json", "--control", socket.to_str().unwrap()]);
    let mut command = Command::new("setpriv");
    if nix::unistd::geteuid().is_root() {
        command.args([
            "--bounding-set=-net_bind_service",
            "--inh-caps=-net_bind_service",
        ]);
    }
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .stdin(Stdio::null());
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let running = crate::place::Running::start(command);
    let assigned = Client::connect(&socket).result("assign", &json!({"name": "api.local"}));
    let ip = &assigned["names"][0]["ip"];
    let request = json!({"id": 7, "method": "bind", "params": {"ip": ip, "port": 1}});
    let refused = reply(&socket_beside(&socket), &format!("{request}\n"));
    assert_eq!(refused["error"]["data"]["kind"], "denied", "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    for way_out in ["sudo", "setcap", "ip_unprivileged_port_start"] {
        assert!(message.contains(way_out), "{message}");
    }
    running.end();
}
