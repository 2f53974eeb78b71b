//! A SPDY session, raw or in a websocket.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::frame::{self, Frame};
use super::header::{Reader, Writer};
use super::pod::{self, Input, Pair};
use super::recorder::Recorder;
use super::{Wire, hostile};
use crate::fake_api::behaviour::spend;
use crate::fake_api::{State, locked};

/// Frames of one stream that wait for the pod: with 32 KiB each the 6 MiB after which a real server blocks as well.
const QUEUE: usize = 192;

/// How long "for ever" is for what is stalled.
const FOR_EVER: Duration = Duration::from_secs(3600);

type Frames = mpsc::Sender<Vec<u8>>;

/// Serves a session of a pod until it ends.
pub(super) async fn run(wire: Box<dyn Wire>, state: Arc<State>, pod: String) {
    let hostility = locked(&state.behaviour).hostility;
    if let Some(hostility) = hostility {
        hostile::run(wire, hostility).await;
        return;
    }
    let (reader, writer) = split(Recorder::new(wire, Arc::clone(&state)));
    let (frames, to_send) = mpsc::channel(64);
    let forgotten = Arc::new(AtomicBool::new(false));
    let cut_after = locked(&state.behaviour).cut_after;
    let writing = write(writer, to_send, cut_after, Arc::clone(&forgotten));
    let session = Session {
        reader,
        headers: Reader::default(),
        replies: Writer::default(),
        inputs: HashMap::new(),
        halves: HashMap::new(),
        frames,
        state,
        pod,
    };
    // When one ends, so does the other, and with both the connection.
    tokio::select! {
        _ = session.read(&forgotten) => {}
        _ = writing => {}
    }
}

async fn write(
    mut writer: WriteHalf<Recorder>,
    mut frames: mpsc::Receiver<Vec<u8>>,
    cut_after: Option<u64>,
    forgotten: Arc<AtomicBool>,
) -> io::Result<()> {
    let mut sent = 0;
    while let Some(frame) = frames.recv().await {
        if forgotten.load(Ordering::Relaxed) {
            continue;
        }
        sent += frame.len() as u64;
        if cut_after.is_some_and(|limit| sent > limit) {
            return Ok(());
        }
        writer.write_all(&frame).await?;
        if frames.is_empty() {
            writer.flush().await?;
        }
    }
    Ok(())
}

struct Session {
    reader: ReadHalf<Recorder>,
    headers: Reader,
    replies: Writer,
    /// Where what comes on a stream goes.
    inputs: HashMap<u32, mpsc::Sender<Input>>,
    /// The first streams of pairs whose second has not come.
    halves: HashMap<String, (String, u32)>,
    frames: Frames,
    state: Arc<State>,
    pod: String,
}

impl Session {
    async fn read(mut self, forgotten: &AtomicBool) -> io::Result<()> {
        loop {
            let (stall, idle) = {
                let behaviour = locked(&self.state.behaviour);
                (behaviour.stall_reading, behaviour.forget_idle)
            };
            if stall {
                tokio::time::sleep(FOR_EVER).await;
            }
            let came = timeout(idle.unwrap_or(FOR_EVER), frame::read(&mut self.reader)).await;
            let next = if let Ok(next) = came {
                next?
            } else {
                // Nobody tells anybody: the bytes are taken and lost.
                forgotten.store(true, Ordering::Relaxed);
                tokio::io::copy(&mut self.reader, &mut tokio::io::sink()).await?;
                None
            };
            let Some(next) = next else {
                return Ok(());
            };
            self.take(next).await?;
        }
    }

    async fn take(&mut self, frame: Frame) -> io::Result<()> {
        match frame {
            Frame::Open { id, block } => self.open(id, &block).await?,
            Frame::Data { id, bytes, last } => {
                let Some(input) = self.inputs.get(&id) else {
                    return Ok(());
                };
                // A pod that has ended takes nothing.
                if !bytes.is_empty() {
                    let _ = input.send(Input::Bytes(bytes)).await;
                }
                if last {
                    let _ = input.send(Input::End).await;
                }
            }
            Frame::Reset { id } => {
                if let Some(input) = self.inputs.remove(&id) {
                    let _ = input.send(Input::Reset).await;
                }
            }
            Frame::Ping { id } => {
                let swallow = locked(&self.state.behaviour).swallow_pings;
                if !swallow {
                    self.send(frame::ping(id)).await;
                }
            }
            Frame::Other => {}
        }
        Ok(())
    }

    async fn open(&mut self, id: u32, block: &[u8]) -> io::Result<()> {
        let mut headers = self.headers.read(block)?;
        if spend(&mut locked(&self.state.behaviour).no_reply) {
            return Ok(());
        }
        let mut header = |name: &str| headers.remove(name).unwrap_or_default();
        let (kind, port, request) = (header("streamtype"), header("port"), header("requestid"));
        let Ok(port) = port.parse() else {
            self.send(frame::reset(id)).await;
            return Ok(());
        };
        let block = self.replies.empty();
        self.send(frame::reply(id, &block)).await;
        let Some((first_kind, first)) = self.halves.remove(&request) else {
            self.halves.insert(request, (kind.clone(), id));
            // What comes before its other half is kept for it.
            if kind == "data" {
                let (input, inputs) = mpsc::channel(QUEUE);
                self.inputs.insert(id, input);
                self.waiting(id, inputs);
            }
            return Ok(());
        };
        let (error, data) = match (first_kind.as_str(), kind.as_str()) {
            ("error", "data") => (first, id),
            ("data", "error") => (id, first),
            _ => {
                self.send(frame::reset(id)).await;
                return Ok(());
            }
        };
        let (input, inputs) = mpsc::channel(QUEUE);
        self.inputs.insert(data, input);
        let pair = Pair { error, data, port };
        let (frames, state, pod) = (
            self.frames.clone(),
            Arc::clone(&self.state),
            self.pod.clone(),
        );
        tokio::spawn(pod::carry(pair, inputs, frames, state, pod));
        Ok(())
    }

    /// A data stream that came before its error stream. No client does that; a real server has nothing for it to do.
    fn waiting(&self, id: u32, inputs: mpsc::Receiver<Input>) {
        let frames = self.frames.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            drop(inputs);
            let _ = frames.send(frame::reset(id)).await;
        });
    }

    /// The writer has ended where this fails, and the session with it.
    async fn send(&mut self, frame: Vec<u8>) {
        let _ = self.frames.send(frame).await;
    }
}
