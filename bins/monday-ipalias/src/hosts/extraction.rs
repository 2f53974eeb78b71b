//! Takes names out of lines of others: for `adopt` ([`super::adoption`]), and in a private copy of the hosts file, where our
//! names simply win. Every other byte stays.

use std::net::IpAddr;
use std::ops::Range;

use super::block::{Malformed, blocks};
use super::text::{Line, lines};

/// A line of somebody else's, as it is asked about.
#[derive(Debug)]
pub struct ForeignLine<'a> {
    /// Which one it is, counted from 1.
    pub number: usize,
    /// The address that it gives.
    pub ip: IpAddr,
    /// The names that it gives it to.
    pub names: &'a [Word],
}

/// A word of a line.
#[derive(Debug)]
pub struct Word {
    place: Range<usize>,
    /// What it says, as far as it is text.
    pub text: String,
}

/// The file without the words for which `goes` says so, which is asked about every name of every foreign line that gives
/// an address; a line that names nothing else goes as a whole.
///
/// # Errors
/// [`Malformed`] if it cannot be said which lines are foreign.
pub fn without(
    content: &[u8],
    goes: &mut dyn FnMut(&ForeignLine<'_>, &Word) -> bool,
) -> Result<Vec<u8>, Malformed> {
    let blocks = blocks(content)?;
    let is_ours = |line: &Line<'_>| {
        blocks
            .iter()
            .any(|block| block.span.contains(&line.span.start))
    };
    let mut out = Vec::with_capacity(content.len());
    for line in lines(content) {
        let whole = &content[line.span.clone()];
        let words = words_with_places(line.content);
        let ip = words.first().and_then(|word| word.text.parse().ok());
        let Some(ip) = ip.filter(|_| !is_ours(&line)) else {
            out.extend_from_slice(whole);
            continue;
        };
        let names = &words[1..];
        let foreign = ForeignLine {
            number: line.number,
            ip,
            names,
        };
        let (gone, stay): (Vec<_>, Vec<_>) = names.iter().partition(|word| goes(&foreign, word));
        if !gone.is_empty() && stay.is_empty() {
            continue;
        }
        let mut cursor = 0;
        for Word { place, .. } in gone {
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
    Ok(out)
}

/// The words before the comment with where they stand in the line.
fn words_with_places(content: &[u8]) -> Vec<Word> {
    let end = content
        .iter()
        .position(|byte| *byte == b'#')
        .unwrap_or(content.len());
    let mut words = Vec::new();
    let mut at = 0;
    for word in content[..end].split(u8::is_ascii_whitespace) {
        if !word.is_empty() {
            words.push(Word {
                place: at..at + word.len(),
                text: String::from_utf8_lossy(word).into_owned(),
            });
        }
        at += word.len() + 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whatever_the_address_a_name_goes_and_the_rest_of_its_line_stays() {
        let file = b"127.0.0.1 localhost\n10.0.0.1\tx  API.local y # api.local\r\n::1 api.local\n\xff api.local";
        let mut asked = Vec::new();
        let new = without(file, &mut |line, word| {
            asked.push((line.number, word.text.clone()));
            word.text.eq_ignore_ascii_case("api.local")
        });
        assert_eq!(
            new.unwrap(),
            b"127.0.0.1 localhost\n10.0.0.1\tx y # api.local\r\n\xff api.local"
        );
        assert_eq!(asked.len(), 5, "{asked:?}");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_but_what_goes(content in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(new) = without(&content, &mut |_, _| false) {
                prop_assert_eq!(new, content);
            }
        }
    }
}
