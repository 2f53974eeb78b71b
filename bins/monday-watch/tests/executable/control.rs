//! The control socket.

use monday_shared::protocol::common::Hello;
use monday_shared::protocol::error::ErrorKind;
use monday_shared::protocol::watch::{Event, List, Status, Unwatch, Watch, WatchSpec};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Run, World};

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

struct Client {
    stream: BufReader<UnixStream>,
    last: u64,
}

impl Client {
    fn connect(world: &World) -> Self {
        let stream = UnixStream::connect(world.path("s")).unwrap();
        Self {
            stream: BufReader::new(stream),
            last: 0,
        }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The whole reply.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let request = json!({"id": self.last, "method": method, "params": params});
        writeln!(self.stream.get_mut(), "{request}").unwrap();
        loop {
            let line = self.line();
            if line["id"] == self.last {
                return line;
            }
        }
    }

    fn changed(&mut self) -> Value {
        loop {
            let line = self.line();
            if line["params"]["event"] == "changed" {
                return line["params"].clone();
            }
        }
    }
}

fn start(world: &World) -> Run {
    world.start(&["--control", "s"])
}

#[test]
fn a_client_watches_lists_and_ends_watches() {
    let world = World::new();
    world.write("tree/a/x", "1");
    let mut run = start(&world);
    let mut client = Client::connect(&world);
    let hello = client.ask("hello", &json!(Hello::default()));
    assert_eq!(hello["result"]["name"], "monday-watch");
    client.ask("subscribe", &json!({}));
    let reply = client.ask("watch", &json!({"id": "one", "paths": ["tree"]}));
    assert_eq!(reply["result"]["watches"][0]["folders"], 2, "{reply}");
    world.write("tree/a/x", "2");
    let changed = client.changed();
    assert_eq!(
        (&changed["id"], &changed["count"]),
        (&json!("one"), &json!(1))
    );
    let path = changed["paths"][0].as_str().unwrap();
    assert!(
        path.starts_with('/') && path.ends_with("/tree/a/x"),
        "{path}"
    );
    let many = Watch {
        watches: ["two", "three"]
            .map(|id| WatchSpec::new(id, vec!["tree".into()]))
            .into(),
    };
    client.ask("watch", &json!(many));
    let list = client.ask("list", &json!(List {}));
    let ids: Vec<&Value> = list["result"]["watches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| &w["id"])
        .collect();
    assert_eq!(ids, ["one", "two", "three"]);
    let ids = ["two", "nobody"].map(str::to_owned).into();
    let gone = client.ask("unwatch", &json!(Unwatch { ids }));
    assert_eq!(gone["result"]["unwatched"], json!(["two"]));
    let status = client.ask("status", &json!(Status {}));
    assert!(status["result"]["inotify_watches"].as_u64().unwrap() > 2);
    client.ask("shutdown", &json!({}));
    assert_eq!(run.end().0, 0);
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_of_its_batch_is_done() {
    let world = World::new();
    let mut run = start(&world);
    let mut client = Client::connect(&world);
    let good = json!({"id": "good", "paths": ["tree"]});
    for (bad, part) in [
        (json!({"id": "bad", "paths": []}), "no paths"),
        (
            json!({"id": "bad", "paths": ["tree"], "exclude": ["a{b"]}),
            "`a{b`",
        ),
        (json!({"id": "good", "paths": ["tree"]}), "twice"),
        (
            json!({"id": "bad", "paths": ["tree"], "debounce": "soon"}),
            "span of time",
        ),
        (json!({"id": "bad", "paths": ["tree"], "depth": 3}), "depth"),
        (json!({"id": "bad"}), "paths"),
    ] {
        let reply = client.ask("watch", &json!({"watches": [good, bad]}));
        assert_eq!(
            reply["error"]["data"]["kind"],
            json!(ErrorKind::InvalidParams),
            "{reply}"
        );
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
        assert_eq!(
            client.ask("list", &json!({}))["result"]["watches"],
            json!([])
        );
    }
    run.signal(Signal::SIGTERM);
    run.end();
}

#[test]
fn the_watch_of_the_command_line_is_one_of_those_that_clients_see() {
    let world = World::new();
    let mut run = world.start(&["tree", "--control", "s"]);
    let mut client = Client::connect(&world);
    let list = client.ask("list", &json!({}));
    let id = list["result"]["watches"][0]["id"].clone();
    client.ask("unwatch", &json!({"ids": [id]}));
    assert!(matches!(run.event(), Event::Unwatched { .. }));
    run.signal(Signal::SIGTERM);
    run.end();
}
