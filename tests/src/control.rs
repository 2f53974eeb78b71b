//! Speaks the control protocol: as raw lines, the way a script does, and through the client that monday itself uses.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use monday_shared::protocol::error::RpcError;
use monday_shared::protocol::method::Call;
use monday_shared::rpc::client::{Client, ClientError};
use serde_json::{Value, json};

use crate::wait::{Deadline, PATIENCE};

/// A connection to a control socket that speaks in lines.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    reader: BufReader<UnixStream>,
    next_id: u64,
    /// Events that came while a reply was waited for.
    events: VecDeque<Value>,
    /// Replies that came while an event was waited for.
    replies: VecDeque<Value>,
}

impl Control {
    /// Connects to a control socket.
    ///
    /// # Panics
    /// If nobody serves it.
    #[must_use]
    pub fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path)
            .unwrap_or_else(|error| panic!("cannot connect to {}: {error}", path.display()));
        for set in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
            set(&stream, Some(PATIENCE)).expect("a socket takes a time-out");
        }
        Self {
            path: path.to_owned(),
            reader: BufReader::new(stream),
            next_id: 0,
            events: VecDeque::new(),
            replies: VecDeque::new(),
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// If the other side does not take them.
    pub fn send(&mut self, bytes: &[u8]) {
        self.reader
            .get_mut()
            .write_all(bytes)
            .unwrap_or_else(|error| panic!("cannot write to {}: {error}", self.path.display()));
    }

    /// Sends a line.
    pub fn send_line(&mut self, line: &str) {
        self.send(format!("{line}\n").as_bytes());
    }

    /// Says that nothing more comes from here.
    ///
    /// # Panics
    /// If the connection is gone.
    pub fn close_writing(&mut self) {
        self.reader
            .get_mut()
            .shutdown(Shutdown::Write)
            .expect("a connection can be half-closed");
    }

    /// The next line, if there is one before the other side closes.
    ///
    /// # Panics
    /// If neither comes.
    pub fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end_matches('\n').to_owned()),
            // The other side closed with something of ours unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no line came from {}: {error}", self.path.display()),
        }
    }

    /// Sends a line and returns the next one that is not an event.
    pub fn ask_line(&mut self, line: &str) -> Value {
        self.send_line(line);
        self.next_reply()
    }

    /// The next line that is not an event.
    ///
    /// # Panics
    /// If none comes.
    pub fn next_reply(&mut self) -> Value {
        match self.try_next_reply() {
            Some(reply) => reply,
            None => panic!("no reply came from {}", self.path.display()),
        }
    }

    /// The next line that is not an event; nothing when the connection has ended, or when none comes.
    pub fn try_next_reply(&mut self) -> Option<Value> {
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply);
        }
        let deadline = Deadline::patient();
        while !deadline.passed() {
            let value = self.read_json()?;
            if value["method"] != "event" {
                return Some(value);
            }
            self.events.push_back(value);
        }
        None
    }

    fn read_json(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in: {line}")),
            ),
        }
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// What the other side says.
    ///
    /// # Panics
    /// If what comes is not a reply.
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Value, RpcError> {
        self.next_id += 1;
        let id = self.next_id;
        let request = json!({"id": id, "method": method, "params": params});
        let mut reply = self.ask_line(&request.to_string());
        assert_eq!(reply["id"], id, "a reply to something else: {reply}");
        assert_eq!(reply["jsonrpc"], "2.0", "{reply}");
        if reply.get("error").is_some() {
            let error = reply["error"].take();
            return Err(serde_json::from_value(error).expect("an error as the protocol has it"));
        }
        Ok(reply["result"].take())
    }

    /// The same for a method without parameters that has to work.
    ///
    /// # Panics
    /// If it does not.
    pub fn ask(&mut self, method: &str) -> Value {
        self.call(method, &json!({}))
            .unwrap_or_else(|error| panic!("`{method}` was refused: {error}"))
    }

    /// The next event; nothing when the connection has ended, or when none comes.
    ///
    /// # Panics
    /// If a line is not JSON.
    pub fn next_event(&mut self) -> Option<Value> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        loop {
            let value = self.read_json()?;
            if value["method"] == "event" {
                return Some(value);
            }
            self.replies.push_back(value);
        }
    }

    /// The next event that fits, others being passed over; its content, without the envelope.
    ///
    /// # Panics
    /// If none comes.
    pub fn event_where(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Deadline::patient();
        while !deadline.passed() {
            match self.next_event() {
                Some(mut event) if fits(&event["params"]) => return event["params"].take(),
                Some(_) => {}
                None => break,
            }
        }
        panic!("{} did not tell of {what}", self.path.display());
    }

    /// Everything until the other side closes.
    ///
    /// # Panics
    /// If it does not.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        match self.reader.read_to_string(&mut rest) {
            Ok(_) => rest,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => rest,
            Err(error) => panic!("{} does not close: {error}", self.path.display()),
        }
    }
}

/// Asks through the client that monday itself uses.
///
/// # Errors
/// As the client has them.
///
/// # Panics
/// If there can be no runtime.
pub fn ask<C: Call>(path: &Path, call: &C) -> Result<C::Reply, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        let client = Client::connect(path).await?;
        client.call(call).await
    })
}
