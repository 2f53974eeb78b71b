//! Takes foreign lines out of a hosts file that an earlier tool has left there: the only edit that ever touches a line
//! which is not ours, and only on a person's own command.
//!
//! The Go tool of the same name gives names 127.0.1.1 and upwards, and beside each an IPv6 address that writes the same
//! numbers as if they were hexadecimal (`::127:0:1:3`); it marks its lines in no way. The same addresses are used by
//! others (Debian and Ubuntu give 127.0.1.1 to the machine's own name), so nothing is taken but the names that were asked
//! for.

use std::net::{IpAddr, Ipv6Addr};

use super::block::Malformed;
use super::extraction;
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

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Without {
    /// Its content.
    pub content: Vec<u8>,
    /// What was taken out.
    pub taken: Vec<Taken>,
    /// What was asked for and stands on a line that names the machine itself. Such a line stays whole.
    pub kept: Vec<Taken>,
}

/// The file without these names on lines of the Go tool. Of a line that names the machine itself (`is_own` says that of a
/// name) nothing is taken.
///
/// # Errors
/// [`Malformed`] if it cannot be said which lines are foreign.
pub fn without(
    content: &[u8],
    names: &[Hostname],
    is_own: &dyn Fn(&str) -> bool,
) -> Result<Without, Malformed> {
    let (mut taken, mut kept) = (Vec::new(), Vec::new());
    let content = extraction::without(content, &mut |line, word| {
        let wanted = names
            .iter()
            .find(|name| word.text.eq_ignore_ascii_case(name.as_str()));
        let Some(name) = wanted.filter(|_| is_of_the_go_tool(line.ip)) else {
            return false;
        };
        let this = Taken {
            line: line.number,
            ip: line.ip,
            name: name.clone(),
        };
        let stays = line.names.iter().any(|word| is_own(&word.text));
        if stays { &mut kept } else { &mut taken }.push(this);
        !stays
    })?;
    Ok(Without {
        content,
        taken,
        kept,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Hostname> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn text_without(content: &str, gone: &[&str]) -> (String, Vec<(usize, String)>) {
        let done = without(content.as_bytes(), &names(gone), &|_| false).unwrap();
        let (new, taken) = (done.content, done.taken.into_iter());
        let taken = taken
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
        let content_without = |file: &[u8]| {
            let names = names(&["api.local"]);
            without(file, &names, &|_| false).unwrap().content
        };
        let new = content_without(file);
        assert_eq!(new, b"127.0.1.1 box\r\n\xff\xfe\r\n# no end");
        let last = b"a\n127.0.1.2 api.local".as_slice();
        assert_eq!(content_without(last), b"a\n");
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

    #[test]
    fn a_line_that_names_the_machine_stays_whole() {
        let file = b"127.0.1.1 box api.local\n127.0.1.2 api.local\n";
        let done = without(file, &names(&["api.local"]), &|name| name == "box").unwrap();
        assert_eq!(done.content, b"127.0.1.1 box api.local\n");
        let lines = |taken: &[Taken]| taken.iter().map(|taken| taken.line).collect::<Vec<_>>();
        assert_eq!((lines(&done.taken), lines(&done.kept)), (vec![2], vec![1]));
    }
}
