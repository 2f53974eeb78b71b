//! What every executable answers to what it gets on its socket, sense or nonsense; and that nonsense harms nobody else.

use monday_shared::protocol::MAX_LINE_BYTES;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::sidecar::{Sidecar, for_every_executable};

for_every_executable! {
    garbage_is_a_parse_error_and_the_connection_goes_on,
    bytes_that_are_not_utf8_are_a_parse_error,
    half_a_line_is_answered_when_the_client_ends_it,
    a_whole_request_without_its_line_feed_is_served,
    a_line_of_two_mebibytes_is_too_large_and_the_next_one_is_served,
    an_unknown_method_is_named_in_the_error,
    bad_parameters_are_refused,
    json_that_is_no_request_is_refused,
    blank_lines_and_carriage_returns_are_tolerated,
    a_notification_gets_no_reply,
    a_protocol_of_another_version_is_refused,
    many_clients_are_served_at_once,
    a_client_that_never_reads_harms_nobody,
}

fn garbage_is_a_parse_error_and_the_connection_goes_on(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut bystander = sidecar.connect();
    let mut client = sidecar.connect();
    for garbage in ["GET / HTTP/1.1", "{", "{\"id\":1", "\u{0}\u{1}", "hello"] {
        let reply = client.ask_line(garbage);
        assert_eq!(reply["error"]["data"]["kind"], "parse_error", "{reply}");
        assert_eq!(
            (&reply["error"]["code"], &reply["id"]),
            (&json!(-32700), &json!(null))
        );
    }
    assert_eq!(client.ask("hello")["name"], name);
    assert_eq!(bystander.ask("hello")["name"], name);
}

fn bytes_that_are_not_utf8_are_a_parse_error(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut client = sidecar.connect();
    client.send(b"{\"id\":1,\"method\":\"h\xffllo\"}\n");
    let reply = client.next_reply();
    assert_eq!(reply["error"]["data"]["kind"], "parse_error", "{reply}");
    assert_eq!(client.ask("hello")["name"], name);
}

fn half_a_line_is_answered_when_the_client_ends_it(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut bystander = sidecar.connect();
    let mut client = sidecar.connect();
    client.send(b"{\"id\":1,\"meth");
    client.close_writing();
    let reply = client.next_reply();
    assert_eq!(reply["error"]["data"]["kind"], "parse_error", "{reply}");
    assert_eq!(client.next_line(), None, "the server closes then");
    assert_eq!(bystander.ask("hello")["name"], name);
}

fn a_whole_request_without_its_line_feed_is_served(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut client = sidecar.connect();
    client.send(b"{\"id\":1,\"method\":\"hello\"}");
    client.close_writing();
    assert_eq!(client.next_reply()["result"]["name"], name);
    assert_eq!(client.next_line(), None, "the server closes then");
}

fn a_line_of_two_mebibytes_is_too_large_and_the_next_one_is_served(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut bystander = sidecar.connect();
    let mut client = sidecar.connect();
    let line = format!(
        "{{\"id\":1,\"method\":\"{}\"}}",
        "x".repeat(2 * MAX_LINE_BYTES)
    );
    let reply = client.ask_line(&line);
    assert_eq!(reply["error"]["data"]["kind"], "too_large", "{reply}");
    assert_eq!(reply["error"]["code"], -32600);
    assert_eq!(client.ask("hello")["name"], name);
    assert_eq!(bystander.ask("hello")["name"], name);
}

fn an_unknown_method_is_named_in_the_error(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let reply = sidecar
        .connect()
        .ask_line(r#"{"id":"a","method":"frobnicate"}"#);
    assert_eq!(reply["error"]["data"]["kind"], "unknown_method");
    assert_eq!(
        (&reply["error"]["code"], &reply["id"]),
        (&json!(-32601), &json!("a"))
    );
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("frobnicate") && message.contains(name),
        "{message}"
    );
    sidecar.assert_alive();
}

fn bad_parameters_are_refused(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut client = sidecar.connect();
    for (method, params) in [
        ("hello", json!({"protocol": "one"})),
        ("hello", json!({"what": 1})),
        ("subscribe", json!({"bulk": "sometimes"})),
        ("status", json!({"surplus": true})),
        ("status", json!([1])),
        ("shutdown", json!("now")),
    ] {
        let error = client.call(method, &params).unwrap_err();
        assert_eq!(error.code, -32602, "{method} {params}: {error}");
        assert!(error.message.contains(method), "{error}");
    }
    sidecar.assert_alive();
}

fn json_that_is_no_request_is_refused(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut client = sidecar.connect();
    for line in ["[1]", "null", "7", r#"{"id":3}"#, r#"{"id":4,"method":7}"#] {
        let reply = client.ask_line(line);
        assert_eq!(
            reply["error"]["data"]["kind"], "invalid_request",
            "{line}: {reply}"
        );
        assert_eq!(reply["error"]["code"], -32600);
    }
    assert_eq!(
        client.ask_line(r#"{"id":3}"#)["id"],
        3,
        "an id that can be read is given back"
    );
    sidecar.assert_alive();
}

fn blank_lines_and_carriage_returns_are_tolerated(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut client = sidecar.connect();
    client.send(b"\n\r\n  \n{\"id\":1,\"method\":\"hello\"}\r\n");
    assert_eq!(client.next_reply()["result"]["name"], name);
}

fn a_notification_gets_no_reply(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut client = sidecar.connect();
    client.send_line(r#"{"method":"hello"}"#);
    client.send_line(r#"{"method":"frobnicate"}"#);
    let reply = client.ask_line(r#"{"id":9,"method":"hello"}"#);
    assert_eq!(reply["id"], 9);
}

fn a_protocol_of_another_version_is_refused(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut client = sidecar.connect();
    let error = client
        .call("hello", &json!({"protocol": 2_000_000}))
        .unwrap_err();
    assert_eq!(json!(error.data.kind), "unsupported_protocol");
    assert_eq!(error.data.details["protocol"], 1);
    assert!(client.call("hello", &json!({"protocol": 1})).is_ok());
}

fn many_clients_are_served_at_once(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut clients: Vec<_> = (0..100).map(|_| sidecar.connect()).collect();
    for client in &mut clients {
        client.send_line(r#"{"id":1,"method":"status"}"#);
    }
    for client in &mut clients {
        assert!(client.next_reply().get("result").is_some());
    }
}

fn a_client_that_never_reads_harms_nobody(name: &'static str) {
    let sidecar = Sidecar::start(name);
    let mut silent = sidecar.connect();
    silent.ask("subscribe");
    // More replies than the socket's buffers hold: the server stops to read this client, and only this one.
    let requests = "{\"id\":1,\"method\":\"hello\"}\n".repeat(200);
    silent.send(requests.as_bytes());
    sidecar.assert_alive();
    let mut process = sidecar.process;
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(), 143);
}
