//! Takes foreign lines out of a hosts file that an earlier tool has left there: the only edit that ever touches a line
//! which is not ours, and only on a person's own command.
//!
//! The Go tool of the same name gives names 127.0.1.1 and upwards, and beside each an IPv6 address that writes the same
//! numbers as if they were hexadecimal (`::127:0:1:3`); it marks its lines in no way. The same addresses are used by
//! others (Debian and Ubuntu give 127.0.1.1 to the machine's own name), so nothing is taken but the names that were asked
//! for.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;

use super::block::{Malformed, blocks};
use super::text::{Line, lines};
use monday_shared::hostname::Hostname;

/// A name that was taken out of a foreign line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The line, counted from 1, as it was numbered before.
    pub line: usize,
    /// The address that it gave.
    pub ip: IpAddr,
    /// The name.
    pub name: Hostname,
}

/// Whether the Go tool gives out such addresses.
#[must_use]
pub fn is_of_the_go_tool(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [127, 0, 1],
        IpAddr::V6(ip) => is_its_pseudo_address(ip),
    }
}

fn is_its_pseudo_address(ip: Ipv6Addr) -> bool {
    let [zeros @ .., a, b, c, d] = ip.segments();
    zeros == [0; 4] && [a, b, c] == [0x127, 0, 1] && format!("{d:x}").parse::<u8>().is_ok()
}

/// The file without these names on lines of the Go tool; a line that names nothing else goes as a whole. Every other
/// byte stays.
///
/// # Errors
/// [`Malformed`] if it cannot be said which lines are foreign.
pub fn without(content: &[u8], names: &[Hostname]) -> Result<(Vec<u8>, Vec<Taken>), Malformed> {
    let blocks = blocks(content)?;
    let ours = |line: &Line<'_>| {
        blocks
            .iter()
            .any(|block| block.span.contains(&line.span.start))
    };
    let mut out = Vec::with_capacity(content.len());
    let mut taken = Vec::new();
    for line in lines(content) {
        let whole = &content[line.span.clone()];
        let words = words_with_places(line.content);
        let ip = words
            .first()
            .and_then(|(_, word)| word.parse::<IpAddr>().ok());
        let Some(ip) = ip.filter(|ip| is_of_the_go_tool(*ip) && !ours(&line)) else {
            out.extend_from_slice(whole);
            continue;
        };
        let wanted = |word: &str| {
            names
                .iter()
                .find(|name| word.eq_ignore_ascii_case(name.as_str()))
        };
        let (go, stay): (Vec<_>, Vec<_>) = words[1..]
            .iter()
            .partition(|(_, word)| wanted(word).is_some());
        taken.extend(go.iter().filter_map(|(_, word)| {
            Some(Taken {
                line: line.number,
                ip,
                name: wanted(word)?.clone(),
            })
        }));
        if !go.is_empty() && stay.is_empty() {
            continue;
        }
        let mut cursor = 0;
        for (place, _) in go {
            // The blanks before it go along.
            let blanks = whole[..place.start]
                .iter()
                .rev()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            out.extend_from_slice(&whole[cursor..place.start - blanks]);
            cursor = place.end;
        }
        out.extend_from_slice(&whole[cursor..]);
    }
    Ok((out, taken))
}

/// The words before the comment with where they stand in the line, as far as they are text.
fn words_with_places(content: &[u8]) -> Vec<(Range<usize>, String)> {
    let end = content
        .iter()
        .position(|byte| *byte == b'#')
        .unwrap_or(content.len());
    let mut words = Vec::new();
    let mut at = 0;
    for word in content[..end].split(u8::is_ascii_whitespace) {
        if !word.is_empty() {
            let text = String::from_utf8_lossy(word).into_owned();
            words.push((at..at + word.len(), text));
        }
        at += word.len() + 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(names: &[&str]) -> Vec<Hostname> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn text_without(content: &str, gone: &[&str]) -> (String, Vec<(usize, String)>) {
        let (new, taken) = without(content.as_bytes(), &names(gone)).unwrap();
        let taken = taken
            .into_iter()
            .map(|taken| (taken.line, taken.name.to_string()))
            .collect();
        (String::from_utf8(new).unwrap(), taken)
    }

    #[test]
    fn addresses_of_the_go_tool_are_known_in_both_families() {
        for theirs in ["127.0.1.1", "127.0.1.255", "::127:0:1:3", "::127:0:1:255"] {
            assert!(is_of_the_go_tool(theirs.parse().unwrap()), "{theirs}");
        }
        for other in [
            "127.0.0.1",
            "127.0.2.1",
            "127.77.0.1",
            "10.0.1.1",
            "::1",
            "::127:0:1:fff",
            "::127:0:1:1a",
        ] {
            assert!(!is_of_the_go_tool(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn the_line_goes_if_nothing_else_is_on_it_and_the_name_alone_otherwise() {
        let file = "127.0.0.1 localhost\n127.0.1.2        api.local\n::127:0:1:2 api.local\n127.0.1.3 db.local  API.local other # api.local\n";
        let (new, taken) = text_without(file, &["api.local"]);
        assert_eq!(
            new,
            "127.0.0.1 localhost\n127.0.1.3 db.local other # api.local\n"
        );
        let api = "api.local".to_owned();
        assert_eq!(taken, [(2, api.clone()), (3, api.clone()), (4, api)]);
    }

    #[test]
    fn every_other_byte_stays() {
        let file = b"127.0.1.1 box\r\n\xff\xfe\r\n127.0.1.2 api.local\r\n# no end".as_slice();
        let (new, _) = without(file, &names(&["api.local"])).unwrap();
        assert_eq!(new, b"127.0.1.1 box\r\n\xff\xfe\r\n# no end");
        let last = b"a\n127.0.1.2 api.local".as_slice();
        assert_eq!(without(last, &names(&["api.local"])).unwrap().0, b"a\n");
    }

    #[test]
    fn only_lines_with_such_an_address_and_only_these_names_are_taken() {
        let file =
            "10.0.0.1 api.local\n127.0.1.2 api.local.example\n# 127.0.1.2 api.local\n127.0.1.4\n";
        assert_eq!(
            text_without(file, &["api.local"]),
            (file.to_owned(), Vec::new())
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost_but_what_was_asked_for(content in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok((new, taken)) = without(&content, &names(&["never.there"])) {
                prop_assert_eq!(new, content);
                prop_assert!(taken.is_empty());
            }
        }
    }
}
