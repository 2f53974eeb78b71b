//! The server and the client against each other, and against clients that misbehave.

// A test says what it expects by failing, in its helpers as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use monday_shared::protocol::common::{Bulk, Hello};
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::rpc::client::{Client, ClientError, Received};
use monday_shared::rpc::hub::{Event, Hub};
use monday_shared::rpc::server::serve;
use monday_shared::rpc::service::{Service, Switches};
use monday_shared::socket::ControlSocket;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;

/// A service whose `wait` ends when `release` is called, and which remembers the order of its calls.
#[derive(Default)]
struct Sample {
    released: Notify,
    order: Mutex<Vec<String>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Told {
    Number { number: u32 },
}

impl Event for Told {}

/// The service behind an `Arc`, so that the test can look into it.
struct Shared(Arc<Sample>);

impl Service for Shared {
    type Event = Told;
    const NAME: &'static str = "sample";
    const METHODS: &'static [&'static str] = &["status", "wait", "release", "note"];

    async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        match method {
            "status" => Ok(json!({"fine": true})),
            "wait" => {
                self.0.released.notified().await;
                Ok(json!("waited"))
            }
            "release" => {
                self.0.released.notify_one();
                Ok(json!("released"))
            }
            "note" => {
                self.0.order.lock().await.push(params["text"].to_string());
                Ok(json!({}))
            }
            unknown => Err(RpcError::unknown_method(unknown, Self::NAME)),
        }
    }
}

struct Running {
    _dir: tempfile::TempDir,
    path: PathBuf,
    sample: Arc<Sample>,
    hub: Hub<Told>,
    switches: Switches,
    task: JoinHandle<()>,
}

impl Running {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let socket = ControlSocket::bind(&path).unwrap();
        let (sample, hub, switches) = (Arc::default(), Hub::new(), Switches::default());
        let service = Shared(Arc::clone(&sample));
        let task = tokio::spawn(serve(socket, service, hub.clone(), switches.clone()));
        Self {
            _dir: dir,
            path,
            sample,
            hub,
            switches,
            task,
        }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.path).await.unwrap()
    }
}

/// Sends bytes, closes the writing side and reads to the end, as `nc -N -U` does.
async fn exchange(path: &Path, bytes: &[u8]) -> Vec<Value> {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut text))
        .await
        .expect("the server closes after the last reply")
        .unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn kinds(replies: &[Value]) -> Vec<&str> {
    replies
        .iter()
        .map(|reply| reply["error"]["data"]["kind"].as_str().unwrap_or("none"))
        .collect()
}

#[tokio::test]
async fn a_script_sends_a_line_reads_a_line_and_the_connection_ends_by_itself() {
    let server = Running::start();
    let replies = exchange(&server.path, b"{\"id\":1,\"method\":\"hello\"}\n").await;
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0]["result"]["name"], "sample");
    assert_eq!(replies[0]["result"]["methods"][3], "status");
    assert_eq!(replies[0]["id"], 1);
}

#[tokio::test]
async fn what_is_no_request_gets_its_error_and_the_next_line_is_served() {
    let server = Running::start();
    let mut bytes = b"garbage\n[1]\n{\"id\":7}\n\xff\xfe\n".to_vec();
    bytes.extend(std::iter::repeat_n(b'x', 2 * 1024 * 1024));
    bytes.extend(b"\n\r\n  \n{\"id\":\"a\",\"method\":\"nope\"}\n{\"id\":8,\"method\":\"hello\",\"params\":{\"x\":1}}\n");
    bytes.extend(b"{\"id\":9,\"method\":\"hello\",\"params\":[]}\n{\"id\":10,\"method\":\"hello\"}\n{\"id\":11,\"me");
    let replies = exchange(&server.path, &bytes).await;
    let mut sorted = kinds(&replies);
    sorted.sort_unstable();
    let mut expected = [
        "parse_error",
        "invalid_request",
        "invalid_request",
        "parse_error",
        "too_large",
        "unknown_method",
        "invalid_params",
        "invalid_params",
        "none",
        "parse_error",
    ];
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    let of_id = |id: Value| replies.iter().find(|reply| reply["id"] == id).unwrap();
    assert_eq!(of_id(json!(7))["error"]["code"], -32600);
    assert_eq!(of_id(json!("a"))["error"]["code"], -32601);
    assert_eq!(of_id(json!(8))["error"]["code"], -32602);
    assert_eq!(of_id(json!(10))["result"]["name"], "sample");
}

#[tokio::test]
async fn a_complete_request_without_a_line_feed_is_served_at_the_end() {
    let server = Running::start();
    let replies = exchange(&server.path, b"{\"id\":1,\"method\":\"status\"}").await;
    assert_eq!(replies[0]["result"]["fine"], true);
}

#[tokio::test]
async fn a_notification_gets_no_reply() {
    let server = Running::start();
    let bytes = b"{\"method\":\"status\"}\n{\"id\":2,\"method\":\"status\"}\n";
    let replies = exchange(&server.path, bytes).await;
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0]["id"], 2);
}

#[tokio::test]
async fn a_long_request_does_not_hold_up_those_behind_it_on_the_same_connection() {
    let server = Running::start();
    let bytes = b"{\"id\":1,\"method\":\"wait\"}\n{\"id\":2,\"method\":\"release\"}\n";
    let replies = exchange(&server.path, bytes).await;
    let mut ids: Vec<u64> = replies.iter().filter_map(|r| r["id"].as_u64()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
}

#[tokio::test]
async fn requests_of_a_connection_begin_in_their_order() {
    let server = Running::start();
    let line = |n| format!("{{\"method\":\"note\",\"params\":{{\"text\":{n}}}}}\n");
    let lines = (0..500).map(line).collect::<Vec<_>>().concat();
    exchange(&server.path, lines.as_bytes()).await;
    let expected: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    assert_eq!(*server.sample.order.lock().await, expected);
}

#[tokio::test]
async fn a_client_that_never_reads_harms_nobody() {
    let server = Running::start();
    let mut stuck = UnixStream::connect(&server.path).await.unwrap();
    let line = b"{\"id\":1,\"method\":\"hello\"}\n".repeat(1000);
    // Written until nothing more goes in: neither replies nor requests are read then.
    while let Ok(Ok(())) =
        tokio::time::timeout(Duration::from_millis(100), stuck.write_all(&line)).await
    {}
    let replies = exchange(&server.path, b"{\"id\":1,\"method\":\"hello\"}\n").await;
    assert_eq!(replies[0]["result"]["name"], "sample");
}

#[tokio::test]
async fn a_typed_call_brings_its_reply_or_its_error() {
    let server = Running::start();
    let client = server.client().await;
    let hello = client.call(&Hello::default()).await.unwrap();
    assert_eq!(hello.pid, std::process::id());
    let refused = client.call(&Hello { protocol: Some(99) }).await;
    let Err(ClientError::Refused(error)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error.data.kind, ErrorKind::UnsupportedProtocol);
}

#[tokio::test]
async fn a_subscriber_gets_the_status_and_every_event_after_it_in_order() {
    let server = Running::start();
    server.hub.publish(Told::Number { number: 0 });
    let (_client, reply, mut events) = Client::subscribe::<Told>(&server.path, Bulk::Lossless)
        .await
        .unwrap();
    assert_eq!((reply.seq, &reply.status), (1, &json!({"fine": true})));
    for number in 1..=100 {
        server.hub.publish(Told::Number { number });
    }
    for number in 1..=100 {
        match events.next().await.unwrap() {
            Received::Event(event) => assert_eq!(event, Told::Number { number }),
            other => panic!("a state event was lost: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_call_to_a_server_that_ends_is_lost_and_never_hangs() {
    let server = Running::start();
    let client = server.client().await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call(&Hello::default()).await }
    });
    call.await.unwrap().unwrap();
    server.switches.end.cancel();
    server.task.await.unwrap();
    client.closed().await;
    assert!(matches!(
        client.call(&Hello::default()).await,
        Err(ClientError::Lost { .. })
    ));
}

#[tokio::test]
async fn shutdown_is_answered_before_the_switch_is_acted_upon() {
    let server = Running::start();
    let replies = exchange(&server.path, b"{\"id\":1,\"method\":\"shutdown\"}\n").await;
    assert_eq!(replies[0]["result"], json!({}));
    assert!(server.switches.shutdown.is_cancelled());
    server.switches.end.cancel();
    server.task.await.unwrap();
    assert!(!server.path.exists());
}
