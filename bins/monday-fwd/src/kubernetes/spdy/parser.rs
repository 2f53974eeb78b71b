//! Cuts the server's bytes into frames.
//!
//! The bytes come in pieces of any size and may be anything: no length that a server writes makes the parser keep more
//! than eight bytes.

use std::ops::Range;

use super::frame::{
    CONTROL, FLAG_FIN, GOAWAY, HEADER_BYTES, PING, RST_STREAM, SYN_REPLY, SYN_STREAM,
};

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Data of a stream: where in the input it is. A long frame comes in as many pieces as the input does.
    Data {
        /// Of which stream.
        stream: u32,
        /// Where it is in the input.
        at: Range<usize>,
    },
    /// The server's direction of a stream is over.
    End {
        /// Of which stream.
        stream: u32,
    },
    /// Somebody opens a stream. Only clients do.
    Open {
        /// Which.
        stream: u32,
    },
    /// A stream that we opened is accepted.
    Reply {
        /// Which.
        stream: u32,
    },
    /// A stream is given up in both directions.
    Reset {
        /// Which.
        stream: u32,
    },
    /// A PING: the answer to one of ours, or a question.
    Ping {
        /// Its id: odd if it was ours.
        id: u32,
    },
    /// The server will accept no further streams.
    GoAway,
}

/// Why bytes are not what a server of `pods/portforward` sends. The session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nonsense {
    /// Another version of SPDY.
    #[error("a frame of SPDY version {0}, which is not 3")]
    Version(u16),
    /// Too few bytes for what the frame is.
    #[error("a frame of type {kind} with {length} bytes, which are too few")]
    Short {
        /// Its type.
        kind: u16,
        /// Its length.
        length: u32,
    },
    /// Only a client opens streams.
    #[error("a stream of its own, number {0}")]
    ServerStream(u32),
}

/// The state between two pieces of input.
#[derive(Debug)]
pub(crate) struct Parser {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Reading the eight bytes before a payload.
    Header(Word),
    /// In the payload of a data frame; `fin`: the stream ends after it.
    Data { stream: u32, fin: bool, left: u32 },
    /// In the payload of a control frame, of which the first `wanted` bytes matter.
    Control {
        kind: u16,
        fin: bool,
        word: Word,
        wanted: usize,
        left: u32,
    },
    /// The frame that was just handed out ended its stream as well.
    Ending { stream: u32 },
}

/// Up to eight bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    bytes: [u8; HEADER_BYTES],
    have: usize,
}

impl Word {
    /// Takes bytes from `input` until there are `wanted`; how many it took.
    fn fill(&mut self, wanted: usize, input: &[u8]) -> usize {
        let taken = input.len().min(wanted.saturating_sub(self.have));
        self.bytes[self.have..self.have + taken].copy_from_slice(&input[..taken]);
        self.have += taken;
        taken
    }

    fn number(&self) -> u32 {
        let [a, b, c, d, ..] = self.bytes;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            state: State::Header(Word::default()),
        }
    }
}

impl Parser {
    /// The next frame that begins or goes on at `at`, which is moved on. `None`: the input is used up.
    ///
    /// # Errors
    /// [`Nonsense`]; nothing after it means anything.
    pub(crate) fn next(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Frame>, Nonsense> {
        loop {
            let rest = input.get(*at..).unwrap_or_default();
            match &mut self.state {
                State::Header(word) => {
                    *at += word.fill(HEADER_BYTES, rest);
                    if word.have < HEADER_BYTES {
                        return Ok(None);
                    }
                    self.state = begin(word.bytes)?;
                }
                State::Ending { stream } => {
                    let stream = *stream;
                    self.state = State::Header(Word::default());
                    return Ok(Some(Frame::End { stream }));
                }
                State::Data { stream, fin, left } => {
                    let stream = *stream;
                    if *left == 0 {
                        self.state = after(stream, *fin);
                        continue;
                    }
                    if rest.is_empty() {
                        return Ok(None);
                    }
                    let taken = rest.len().min(usize_of(*left));
                    *left -= u32_of(taken);
                    let from = *at;
                    *at += taken;
                    return Ok(Some(Frame::Data {
                        stream,
                        at: from..*at,
                    }));
                }
                State::Control {
                    kind,
                    fin,
                    word,
                    wanted,
                    left,
                } => {
                    let taken = word.fill(*wanted, rest);
                    *at += taken;
                    *left -= u32_of(taken);
                    if word.have < *wanted {
                        return Ok(None);
                    }
                    let skipped = usize_of(*left).min(input.len() - *at);
                    *at += skipped;
                    *left -= u32_of(skipped);
                    if *left > 0 {
                        return Ok(None);
                    }
                    let (frame, next) = finish(*kind, *fin, word.number());
                    self.state = next;
                    if frame.is_some() {
                        return Ok(frame);
                    }
                }
            }
        }
    }
}

/// What comes after the eight bytes that begin a frame.
fn begin(header: [u8; HEADER_BYTES]) -> Result<State, Nonsense> {
    let number = u64::from_be_bytes(header);
    let low = |shift: u32| u16::try_from(number >> shift & 0xffff).unwrap_or_default();
    let length = u32::try_from(number & 0x00ff_ffff).unwrap_or_default();
    let fin = header[4] & FLAG_FIN != 0;
    if header[0] & 0x80 == 0 {
        return Ok(State::Data {
            stream: u32::try_from(number >> 32).unwrap_or_default(),
            fin,
            left: length,
        });
    }
    let (version, kind) = (low(48), low(32));
    if version != CONTROL {
        return Err(Nonsense::Version(version & 0x7fff));
    }
    let wanted = match kind {
        SYN_STREAM | RST_STREAM => 8,
        SYN_REPLY | PING | GOAWAY => 4,
        // SETTINGS, HEADERS, WINDOW_UPDATE and whatever else there may be are read over.
        _ => 0,
    };
    if usize_of(length) < wanted {
        return Err(Nonsense::Short { kind, length });
    }
    Ok(State::Control {
        kind,
        fin,
        word: Word::default(),
        wanted,
        left: length,
    })
}

/// What a whole control frame means, and what comes after it.
fn finish(kind: u16, fin: bool, number: u32) -> (Option<Frame>, State) {
    let stream = number & 0x7fff_ffff;
    let header = State::Header(Word::default());
    match kind {
        SYN_STREAM => (Some(Frame::Open { stream }), after(stream, fin)),
        SYN_REPLY => (Some(Frame::Reply { stream }), after(stream, fin)),
        RST_STREAM => (Some(Frame::Reset { stream }), header),
        PING => (Some(Frame::Ping { id: number }), header),
        GOAWAY => (Some(Frame::GoAway), header),
        _ => (None, header),
    }
}

fn after(stream: u32, fin: bool) -> State {
    if fin {
        State::Ending { stream }
    } else {
        State::Header(Word::default())
    }
}

/// A length of 24 bits is one of memory everywhere.
fn usize_of(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Never more than the length that it is taken from, which had 24 bits.
fn u32_of(taken: usize) -> u32 {
    u32::try_from(taken).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kubernetes::spdy::frame;

    /// All that is in the input, data joined where it was cut.
    fn parse(pieces: &[&[u8]]) -> Result<Vec<(Frame, Vec<u8>)>, Nonsense> {
        let mut parser = Parser::default();
        let mut frames: Vec<(Frame, Vec<u8>)> = Vec::new();
        for piece in pieces {
            let mut at = 0;
            while let Some(found) = parser.next(piece, &mut at)? {
                let Frame::Data { stream, at } = found else {
                    frames.push((found, Vec::new()));
                    continue;
                };
                let bytes = &piece[at];
                match frames.last_mut() {
                    Some((Frame::Data { stream: last, .. }, joined)) if *last == stream => {
                        joined.extend_from_slice(bytes);
                    }
                    _ => frames.push((Frame::Data { stream, at: 0..0 }, bytes.to_vec())),
                }
            }
            assert_eq!(at, piece.len(), "all input is used up");
        }
        Ok(frames)
    }

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reply whose header block is not looked at, and which ends its stream at once.
        bytes.extend([0x80, 3, 0, 2, 1, 0, 0, 7, 0, 0, 0, 1, 9, 9, 9]);
        bytes.extend(frame::data(3, 0, 5));
        bytes.extend(b"hello");
        bytes.extend(frame::data(3, FLAG_FIN, 0));
        frame::ping(&mut bytes, 11);
        frame::reset(&mut bytes, 5);
        // SETTINGS.
        bytes.extend([0x80, 3, 0, 4, 0, 0, 0, 2, 1, 2]);
        bytes.extend([0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    fn expected() -> Vec<(Frame, Vec<u8>)> {
        [
            (Frame::Reply { stream: 1 }, &b""[..]),
            (Frame::End { stream: 1 }, b""),
            (
                Frame::Data {
                    stream: 3,
                    at: 0..0,
                },
                b"hello",
            ),
            (Frame::End { stream: 3 }, b""),
            (Frame::Ping { id: 11 }, b""),
            (Frame::Reset { stream: 5 }, b""),
            (Frame::GoAway, b""),
        ]
        .map(|(frame, bytes)| (frame, bytes.to_vec()))
        .to_vec()
    }

    #[test]
    fn what_is_no_frame_of_a_server_is_refused() {
        let refused = |bytes: &[u8]| parse(&[bytes]).unwrap_err();
        assert_eq!(refused(&[0x80, 2, 0, 6, 0, 0, 0, 4]), Nonsense::Version(2));
        for (kind, length) in [(1, 7), (2, 3), (3, 7), (6, 0), (7, 3)] {
            assert_eq!(
                refused(&[0x80, 3, 0, kind, 0, 0, 0, length]),
                Nonsense::Short {
                    kind: kind.into(),
                    length: length.into()
                }
            );
        }
    }

    /// What `kubectl port-forward` 1.34 said and was told, of three connections and two PINGs.
    const CLIENT: &[u8] = include_bytes!("../../../tests/recorded/kubectl-client.bin");
    const SERVER: &[u8] = include_bytes!("../../../tests/recorded/kubectl-server.bin");

    /// The streams of one kind of frame.
    fn streams(bytes: &[u8], of: impl Fn(&Frame) -> Option<u32>) -> Vec<u32> {
        let frames = parse(&[bytes]).unwrap();
        frames.iter().filter_map(|(frame, _)| of(frame)).collect()
    }

    #[test]
    fn what_kubectl_said_is_understood() {
        let opened = streams(CLIENT, |frame| match frame {
            Frame::Open { stream } => Some(*stream),
            _ => None,
        });
        assert_eq!(opened, [1, 3, 5, 7, 9, 11]);
        let pings = streams(CLIENT, |frame| match frame {
            Frame::Ping { id } => Some(*id),
            _ => None,
        });
        assert!(!pings.is_empty());
        let answered = streams(SERVER, |frame| match frame {
            Frame::Ping { id } => Some(*id),
            _ => None,
        });
        assert_eq!(answered, pings);
        let mut replied = streams(SERVER, |frame| match frame {
            Frame::Reply { stream } => Some(*stream),
            _ => None,
        });
        replied.sort_unstable();
        assert_eq!(replied, opened);
        let mut ended = streams(SERVER, |frame| match frame {
            Frame::End { stream } => Some(*stream),
            _ => None,
        });
        ended.sort_unstable();
        assert_eq!(ended, opened);
        let sent = |wanted: u32| {
            let frames = parse(&[SERVER]).unwrap();
            let of = frames.into_iter().filter_map(|(frame, bytes)| match frame {
                Frame::Data { stream, .. } if stream == wanted => Some(bytes.len()),
                _ => None,
            });
            of.sum::<usize>()
        };
        assert_eq!(sent(7), 5000);
    }

    proptest! {
        #[test]
        fn what_kubectl_said_is_the_same_however_it_is_cut(
            cuts in prop::collection::vec(0..SERVER.len(), 0..40)
        ) {
            let mut cuts = cuts;
            cuts.extend([0, SERVER.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &SERVER[cut[0]..cut[1]]).collect();
            prop_assert_eq!(parse(&pieces).unwrap(), parse(&[SERVER]).unwrap());
        }

        #[test]
        fn frames_are_the_same_however_the_bytes_are_cut(
            cuts in prop::collection::vec(0..sample().len(), 0..20)
        ) {
            let bytes = sample();
            let mut cuts = cuts;
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(parse(&pieces).unwrap(), expected());
        }

        #[test]
        fn no_bytes_make_it_panic_or_stand_still(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..16)
        ) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let _ = parse(&pieces);
        }
    }
}
