//! The frames of SPDY/3.1, as a server reads and writes them.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The first two bytes of a control frame: it is one, and the version is 3.
const CONTROL: u16 = 0x8003;
/// A flag of data and of new streams: nothing follows in this direction.
const FIN: u8 = 0x01;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
/// The status of a reset that means "never mind".
const CANCEL: u32 = 5;

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A new stream, with its compressed headers.
    Open {
        id: u32,
        block: Vec<u8>,
    },
    Data {
        id: u32,
        bytes: Vec<u8>,
        last: bool,
    },
    Reset {
        id: u32,
    },
    Ping {
        id: u32,
    },
    /// Everything else, which is of no consequence here.
    Other,
}

/// The next frame; nothing at the end between two.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut head = [0; 8];
    match from.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let first = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let flags = head[4];
    let length = u32::from_be_bytes([0, head[5], head[6], head[7]]);
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes).await?;
    if first & 0x8000_0000 == 0 {
        return Ok(Some(Frame::Data {
            id: first,
            bytes,
            last: flags & FIN != 0,
        }));
    }
    let number = bytes
        .first_chunk()
        .map_or(0, |number| u32::from_be_bytes(*number) & 0x7fff_ffff);
    Ok(Some(match u16::from_be_bytes([head[2], head[3]]) {
        // Stream, associated stream, priority, slot: ten bytes before the headers.
        SYN_STREAM if bytes.len() >= 10 => Frame::Open {
            id: number,
            block: bytes.split_off(10),
        },
        RST_STREAM => Frame::Reset { id: number },
        PING => Frame::Ping { id: number },
        _ => Frame::Other,
    }))
}

fn control(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("control frames are short");
    let mut frame = Vec::with_capacity(8 + payload.len());
    frame.extend(CONTROL.to_be_bytes());
    frame.extend(kind.to_be_bytes());
    frame.extend(length.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The answer to a new stream, with a header block.
pub(super) fn reply(id: u32, block: &[u8]) -> Vec<u8> {
    control(SYN_REPLY, &[&id.to_be_bytes(), block].concat())
}

/// The end of a stream that was not its own.
pub(super) fn reset(id: u32) -> Vec<u8> {
    control(
        RST_STREAM,
        &[id.to_be_bytes(), CANCEL.to_be_bytes()].concat(),
    )
}

/// The answer to a PING, or a PING.
pub(super) fn ping(id: u32) -> Vec<u8> {
    control(PING, &id.to_be_bytes())
}

/// Bytes of a stream.
pub(super) fn data(id: u32, bytes: &[u8], last: bool) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("we cut smaller pieces");
    let flags = if last { u32::from(FIN) << 24 } else { 0 };
    let mut frame = Vec::with_capacity(8 + bytes.len());
    frame.extend(id.to_be_bytes());
    frame.extend((flags | length).to_be_bytes());
    frame.extend(bytes);
    frame
}
