//! Header blocks: one zlib stream in each direction for the whole session, with a dictionary that both sides know.

use std::collections::HashMap;
use std::io;
use std::sync::LazyLock;

use flate2::{Decompress, FlushDecompress};

/// The words of SPDY/3's dictionary (its draft, section 2.6.10.1), each of which stands behind its length.
const WORDS: &str = "\
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow \
authorization cache-control connection content-base content-encoding content-language content-length \
content-location content-md5 content-range content-type date etag expect expires from host if-match \
if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
user-agent vary via warning www-authenticate method get status 200+OK version HTTP/1.1 url public set-cookie \
keep-alive origin";

/// What follows them.
const TAIL: &str = "\
100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative \
Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal \
Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, \
Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,\
application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8\
charset=iso-8859-1,utf-,*,enq=0.";

static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Vec::new();
    for word in WORDS.split(' ') {
        // The one word with a space in it.
        let word = word.replace('+', " ");
        let length = u32::try_from(word.len()).expect("words are short");
        bytes.extend(length.to_be_bytes());
        bytes.extend(word.bytes());
    }
    bytes.extend(TAIL.bytes());
    bytes
});

/// Reads the blocks of a session, in their order.
#[derive(Debug)]
pub(super) struct Reader {
    zlib: Decompress,
    prepared: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            zlib: Decompress::new(true),
            prepared: false,
        }
    }
}

impl Reader {
    /// The headers of the next block.
    pub(super) fn read(&mut self, block: &[u8]) -> io::Result<HashMap<String, String>> {
        let plain = self.inflate(block)?;
        parse(&plain).ok_or_else(|| io::Error::other("this is no block of headers"))
    }

    fn inflate(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(4096);
        let mut rest = block;
        loop {
            let before = self.zlib.total_in();
            let done = self
                .zlib
                .decompress_vec(rest, &mut plain, FlushDecompress::Sync);
            let used = usize::try_from(self.zlib.total_in() - before).map_err(io::Error::other)?;
            rest = &rest[used..];
            match done {
                Err(error) if error.needs_dictionary().is_some() && !self.prepared => {
                    self.zlib
                        .set_dictionary(&DICTIONARY)
                        .map_err(io::Error::other)?;
                    self.prepared = true;
                }
                // Nothing more to be had from what is here.
                Err(error) if rest.is_empty() => {
                    if plain.is_empty() {
                        return Err(io::Error::other(error));
                    }
                    return Ok(plain);
                }
                Err(error) => return Err(io::Error::other(error)),
                Ok(_) if rest.is_empty() => return Ok(plain),
                Ok(_) if plain.len() == plain.capacity() => plain.reserve(4096),
                Ok(_) => {}
            }
        }
    }
}

/// `count`, then for each a length, a name, a length and a value.
fn parse(mut bytes: &[u8]) -> Option<HashMap<String, String>> {
    fn number(bytes: &mut &[u8]) -> Option<u32> {
        let (number, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(u32::from_be_bytes(*number))
    }
    fn text(bytes: &mut &[u8]) -> Option<String> {
        let length = number(bytes)? as usize;
        let (text, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        String::from_utf8(text.to_vec()).ok()
    }
    let count = number(&mut bytes)?;
    (0..count)
        .map(|_| Some((text(&mut bytes)?, text(&mut bytes)?)))
        .collect()
}

/// Writes blocks without headers, which is all that a server has to say, and without compression.
#[derive(Debug, Default)]
pub(super) struct Writer {
    begun: bool,
}

impl Writer {
    /// A stored block of deflate with the count zero, and an empty one after it, where Go's reader flushes.
    pub(super) fn empty(&mut self) -> Vec<u8> {
        let mut block = Vec::new();
        if !self.begun {
            block.extend([0x78, 0x01]);
            self.begun = true;
        }
        block.extend([0x00, 4, 0, 0xfb, 0xff, 0, 0, 0, 0]);
        block.extend([0x00, 0x00, 0x00, 0xff, 0xff]);
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_the_one_that_everybody_has() {
        assert_eq!(DICTIONARY.len(), 1423);
        let (mut a, mut b) = (1_u32, 0_u32);
        for &byte in DICTIONARY.iter() {
            a = (a + u32::from(byte)) % 65521;
            b = (b + a) % 65521;
        }
        assert_eq!(b << 16 | a, 0xe3c6_a7c2, "Adler-32");
    }

    #[test]
    fn stored_blocks_are_read_as_well() {
        let (mut writer, mut reader) = (Writer::default(), Reader::default());
        assert!(reader.read(&writer.empty()).unwrap().is_empty());
        assert!(reader.read(&writer.empty()).unwrap().is_empty());
    }
}
