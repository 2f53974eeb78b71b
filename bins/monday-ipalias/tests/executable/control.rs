//! The executable under control: over its socket, as the supervisor uses it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::place::{Place, Running};

pub(crate) struct Client(BufReader<UnixStream>);

impl Client {
    pub(crate) fn connect(socket: &Path) -> Self {
        Self(BufReader::new(UnixStream::connect(socket).unwrap()))
    }

    /// The reply to one request.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let request = json!({"id": 1, "method": method, "params": params});
        writeln!(self.0.get_mut(), "{request}").unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    pub(crate) fn result(&mut self, method: &str, params: &Value) -> Value {
        let reply = self.ask(method, params);
        assert!(reply["error"].is_null(), "{reply}");
        reply["result"].clone()
    }

    pub(crate) fn error(&mut self, method: &str, params: &Value) -> Value {
        let reply = self.ask(method, params);
        assert!(reply["result"].is_null(), "{reply}");
        reply["error"].clone()
    }
}

fn controlled(place: &Place, name: &str) -> (Running, Client) {
    let socket: PathBuf = place.runtime().join(name);
    let running = place.start(&["--control", socket.to_str().unwrap()]);
    (running, Client::connect(&socket))
}

const ORIGINAL: &[u8] = b"127.0.0.1 localhost\n";

#[test]
fn names_are_assigned_listed_and_released_over_the_socket() {
    let place = Place::new(ORIGINAL);
    let (running, mut client) = controlled(&place, "s");
    let empty = client.result("list", &json!({}));
    assert_eq!(empty["names"], json!([]));
    assert_eq!(empty["hosts"]["state"], "untouched");

    let one = client.result("assign", &json!({"name": "api.local"}));
    assert_eq!(one["hosts"]["state"], "written");
    assert_eq!(one["names"][0]["resolves"], true);
    let batch = json!({"names": [{"name": "db.local", "ports": [1]}, {"name": "API.local"}]});
    let both = client.result("assign", &batch);
    assert_eq!(both["names"][1]["ip"], one["names"][0]["ip"]);
    assert_eq!(
        client.result("assign", &batch),
        both,
        "the same again changes nothing"
    );
    assert_eq!(
        client.result("status", &json!({}))["names"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let names = json!({"names": ["api.local", "never.local"]});
    assert_eq!(
        client.result("release", &names)["released"],
        json!(["api.local"])
    );
    client.result("shutdown", &json!({}));
    assert!(running.wait().success());
    assert_eq!(place.content(), ORIGINAL);
}

#[test]
fn hostile_requests_are_refused_with_the_reason_and_write_nothing() {
    let place = Place::new(ORIGINAL);
    let (running, mut client) = controlled(&place, "s");
    let thousands: Vec<Value> = (0..10_000)
        .map(|n| json!({"name": format!("n{n}.local")}))
        .collect();
    for (params, kind) in [
        (
            json!({"name": "a\n127.0.0.1 bank.example"}),
            "invalid_params",
        ),
        (json!({"name": "../../etc/passwd"}), "invalid_params"),
        (json!({"name": ".."}), "invalid_params"),
        (json!({"name": "localhost"}), "invalid_params"),
        (
            json!({"name": "a.local", "ip": "10.0.0.1"}),
            "invalid_params",
        ),
        (
            json!({"name": "a.local", "ip": "127.0.0.1"}),
            "invalid_params",
        ),
        (json!({"name": "a.local", "ip": "::1"}), "invalid_params"),
        (
            json!({"name": "a.local", "path": "/etc/shadow"}),
            "invalid_params",
        ),
        (
            json!({"names": [{"name": "good.local"}, {"name": "b d"}]}),
            "invalid_params",
        ),
        (json!({"names": thousands}), "too_large"),
        (json!([]), "invalid_params"),
    ] {
        let error = client.error("assign", &params);
        assert_eq!(error["data"]["kind"], kind, "{error}");
    }
    let error = client.error(
        "assign",
        &json!({"names": [{"name": "good.local"}, {"name": "b d"}]}),
    );
    assert_eq!(error["data"]["name"], "b d");
    assert_eq!(place.content(), ORIGINAL);
    assert_eq!(client.result("list", &json!({}))["names"], json!([]));
    running.end();
}

#[test]
fn the_same_name_and_port_of_two_projects_is_a_conflict_that_names_the_first() {
    let place = Place::new(ORIGINAL);
    let (first, mut one) = controlled(&place, "one");
    let (_second, mut two) = controlled(&place, "two");
    let wish = json!({"name": "api.local", "ports": [54_322]});
    one.result("assign", &wish);
    let error = two.error("assign", &wish);
    assert_eq!(error["data"]["kind"], "conflict");
    assert_eq!(error["data"]["pid"], first.pid().as_raw());
    assert_eq!(error["data"]["port"], 54_322);
    assert!(error["message"].as_str().unwrap().contains("api.local"));
    // The first one dies, and the name is free.
    first.kill();
    let ip = two.result("assign", &wish)["names"][0]["ip"].clone();
    assert!(ip.as_str().unwrap().starts_with("127.77."));
}

#[test]
fn a_taken_port_forces_another_address_and_its_holder_is_named() {
    let place = Place::new(ORIGINAL);
    let (_running, mut client) = controlled(&place, "s");
    let usual = client.result("assign", &json!({"name": "api.local"}))["names"][0]["ip"].clone();
    client.result("release", &json!({"names": ["api.local"]}));
    let listener = TcpListener::bind((usual.as_str().unwrap(), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let moved = client.result("assign", &json!({"name": "api.local", "ports": [port]}));
    assert_ne!(moved["names"][0]["ip"], usual);
    let note = moved["names"][0]["note"].as_str().unwrap();
    assert!(
        note.contains(&format!("pid {}", std::process::id())),
        "{note}"
    );
    // The address from before is taken back without asking, as after a restart beside one's own listeners.
    client.result("release", &json!({"names": ["api.local"]}));
    let again = json!({"name": "api.local", "ports": [port], "ip": usual});
    assert_eq!(client.result("assign", &again)["names"][0]["ip"], usual);
}

#[test]
fn a_wildcard_listener_is_explained() {
    let place = Place::new(ORIGINAL);
    let (_running, mut client) = controlled(&place, "s");
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let assigned = client.result("assign", &json!({"name": "api.local", "ports": [port]}));
    let note = assigned["names"][0]["note"].as_str().unwrap();
    assert!(note.contains("every address"), "{note}");
    assert!(
        note.contains(&format!("pid {}", std::process::id())),
        "{note}"
    );
}

#[test]
fn a_rewritten_file_is_told_of_and_healed() {
    let place = Place::new(ORIGINAL);
    let running = place.start(&["api.local"]);
    std::fs::write(&place.hosts, b"10.0.0.1 theirs").unwrap();
    let event = running.next_event();
    assert_eq!(event, json!({"event": "rewritten", "times": 1}));
    let now = String::from_utf8(place.content()).unwrap();
    assert!(now.starts_with("10.0.0.1 theirs\n# monday") && now.contains("api.local"));
    running.end();
    assert_eq!(place.content(), b"10.0.0.1 theirs");
}
