//! Header blocks: one zlib stream for the whole session, written without compressing.
//!
//! A zlib stream (RFC 1950) may consist of *stored* deflate blocks (RFC 1951, section 3.2.4), which any inflater
//! accepts whatever dictionary was agreed on. The headers of a port-forward are some fifty bytes, so there is nothing
//! to gain from compressing them.

/// `CMF` and `FLG` of RFC 1950: deflate with a window of 32 KiB, no dictionary, fastest.
const ZLIB_HEADER: [u8; 2] = [0x78, 0x01];

/// A stored block of no bytes. The server's inflater hands out what it has only when it meets one.
const FLUSH: [u8; 5] = [0, 0, 0, 0xff, 0xff];

/// Writes the header blocks of one session.
#[derive(Debug, Default)]
pub(crate) struct HeaderWriter {
    begun: bool,
}

impl HeaderWriter {
    /// Appends a block with these names (lower case) and values.
    ///
    /// They have to be shorter than 64 KiB together, which names and numbers of ours are by far.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, headers: &[(&str, &str)]) {
        let mut plain = Vec::with_capacity(64);
        push_length(&mut plain, headers.len());
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            push_length(&mut plain, text.len());
            plain.extend_from_slice(text.as_bytes());
        }
        if !std::mem::replace(&mut self.begun, true) {
            out.extend(ZLIB_HEADER);
        }
        for stored in plain.chunks(usize::from(u16::MAX)) {
            let length = u16::try_from(stored.len()).unwrap_or(u16::MAX);
            out.push(0);
            out.extend(length.to_le_bytes());
            out.extend((!length).to_le_bytes());
            out.extend_from_slice(stored);
        }
        out.extend(FLUSH);
    }
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_block_begins_the_stream_and_each_is_flushed() {
        let mut writer = HeaderWriter::default();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        writer.write(&mut first, &[("port", "80")]);
        writer.write(&mut second, &[("port", "80")]);
        let plain = b"\0\0\0\x01\0\0\0\x04port\0\0\0\x0280";
        let stored = [&[0, 18, 0, !18, 0xff][..], plain, &FLUSH].concat();
        assert_eq!(first, [&ZLIB_HEADER[..], &stored].concat());
        assert_eq!(second, stored);
    }
}
