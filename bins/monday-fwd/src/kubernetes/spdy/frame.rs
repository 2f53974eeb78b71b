//! The frames that a client writes.

use super::header::HeaderWriter;

/// Bytes before the payload of any frame.
pub(crate) const HEADER_BYTES: usize = 8;

/// The stream will carry nothing more in this direction.
pub(crate) const FLAG_FIN: u8 = 0x01;

/// The version and the control bit, as they begin every control frame.
pub(crate) const CONTROL: u16 = 0x8003;

/// `SYN_STREAM`
pub(crate) const SYN_STREAM: u16 = 1;
/// `SYN_REPLY`
pub(crate) const SYN_REPLY: u16 = 2;
/// `RST_STREAM`
pub(crate) const RST_STREAM: u16 = 3;
/// `PING`
pub(crate) const PING: u16 = 6;
/// `GOAWAY`
pub(crate) const GOAWAY: u16 = 7;

/// The status of a `RST_STREAM` from one who does not want the stream any more.
const CANCEL: u32 = 5;

/// The most that a frame can carry: its length has 24 bits.
pub(crate) const MAX_PAYLOAD_BYTES: usize = (1 << 24) - 1;

/// Opens a stream. Ids are odd and rise in the order in which these are written.
pub(crate) fn syn_stream(
    out: &mut Vec<u8>,
    headers: &mut HeaderWriter,
    stream: u32,
    pairs: &[(&str, &str)],
) {
    let at = out.len();
    out.extend([0; HEADER_BYTES]);
    out.extend(stream.to_be_bytes());
    // No associated stream, the highest priority, no credential slot.
    out.extend([0; 6]);
    headers.write(out, pairs);
    let payload = out.len() - at - HEADER_BYTES;
    out[at..at + HEADER_BYTES].copy_from_slice(&control(SYN_STREAM, 0, payload));
}

/// What stands before so many bytes of data.
pub(crate) fn data(stream: u32, flags: u8, payload: usize) -> [u8; HEADER_BYTES] {
    header((stream & 0x7fff_ffff).to_be_bytes(), flags, payload)
}

/// Gives a stream up in both directions.
pub(crate) fn reset(out: &mut Vec<u8>, stream: u32) {
    out.extend(control(RST_STREAM, 0, 8));
    out.extend(stream.to_be_bytes());
    out.extend(CANCEL.to_be_bytes());
}

/// Asks for the same frame back, or answers such a question.
pub(crate) fn ping(out: &mut Vec<u8>, id: u32) {
    out.extend(control(PING, 0, 4));
    out.extend(id.to_be_bytes());
}

fn control(kind: u16, flags: u8, payload: usize) -> [u8; HEADER_BYTES] {
    let word = (u32::from(CONTROL) << 16) | u32::from(kind);
    header(word.to_be_bytes(), flags, payload)
}

/// A word, a byte of flags and the three bytes of a length.
fn header(word: [u8; 4], flags: u8, payload: usize) -> [u8; HEADER_BYTES] {
    let length = u32::try_from(payload.min(MAX_PAYLOAD_BYTES)).unwrap_or_default();
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&word);
    header[4..].copy_from_slice(&length.to_be_bytes());
    header[4] = flags;
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_the_draft_draws_them() {
        assert_eq!(data(3, FLAG_FIN, 0x01_0203), [0, 0, 0, 3, 1, 1, 2, 3]);
        let mut out = Vec::new();
        reset(&mut out, 7);
        assert_eq!(out, [0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0, 5]);
        out.clear();
        ping(&mut out, 9);
        assert_eq!(out, [0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 9]);
    }

    #[test]
    fn the_length_of_an_opening_frame_covers_its_header_block() {
        let mut out = Vec::new();
        syn_stream(
            &mut out,
            &mut HeaderWriter::default(),
            1,
            &[("streamtype", "error")],
        );
        assert_eq!(out[..7], [0x80, 3, 0, 1, 0, 0, 0]);
        assert_eq!(usize::from(out[7]), out.len() - HEADER_BYTES);
        assert_eq!(out[8..18], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
}
