//! Any bytes in any pieces: the parser does not panic, uses up its input or says why not, and finds the same frames
//! however the bytes are cut.
//!
//! The first byte says how large the pieces are.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

// The parser has no part in what the executable shows of itself; this is its source.
#[path = "../../src/kubernetes/spdy"]
mod spdy {
    pub(crate) mod frame;
    pub(crate) mod header;
    pub(crate) mod parser;
}

use spdy::parser::{Frame, Nonsense, Parser};

/// All frames, data joined where it was cut.
fn parse<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<(Frame, Vec<u8>)>, Option<Nonsense>) {
    let mut parser = Parser::default();
    let mut frames: Vec<(Frame, Vec<u8>)> = Vec::new();
    for piece in pieces {
        let mut at = 0;
        loop {
            let before = at;
            match parser.next(piece, &mut at) {
                Err(nonsense) => return (frames, Some(nonsense)),
                Ok(None) => break,
                Ok(Some(Frame::Data { stream, at: range })) => {
                    assert_eq!((range.start, range.end), (before.max(range.start), at));
                    let bytes = &piece[range];
                    assert!(!bytes.is_empty());
                    match frames.last_mut() {
                        Some((Frame::Data { stream: last, .. }, joined)) if *last == stream => {
                            joined.extend_from_slice(bytes);
                        }
                        _ => frames.push((Frame::Data { stream, at: 0..0 }, bytes.to_vec())),
                    }
                }
                Ok(Some(frame)) => frames.push((frame, Vec::new())),
            }
        }
        assert_eq!(at, piece.len());
    }
    (frames, None)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = parse(std::iter::once(bytes));
    let cut = parse(bytes.chunks(usize::from(size) + 1));
    assert_eq!(whole, cut);
});
