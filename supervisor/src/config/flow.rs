//! How far flow collections and quoted texts reach, told without a parser.

/// Where lines begin behind this byte, up to the end of the outermost flow collection that it is certainly in.
pub(super) fn line_starts(text: &str, byte: usize) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut starts = Vec::new();
    let mut depth = 0_usize;
    let mut at = byte;
    // A quote opens a text only where a value or key begins.
    let mut at_value = true;
    while let Some(&c) = bytes.get(at) {
        match c {
            b'\n' => starts.push(at + 1),
            b'#' if at > 0 && bytes[at - 1].is_ascii_whitespace() => {
                at = end_of_line(text, at);
                continue;
            }
            b'"' | b'\'' if at_value => {
                let end = end_of_quoted(text, at);
                let breaks = text[at..end].match_indices('\n');
                starts.extend(breaks.map(|(inside, _)| at + inside + 1));
                at = end;
                at_value = false;
                continue;
            }
            b'[' | b'{' if at_value => depth += 1,
            b']' | b'}' if depth > 0 => depth -= 1,
            // Of the innermost collection this is the end. That it is in another one shows in what follows.
            b']' | b'}' if !matches!(after_blanks(text, at + 1), Some(b',' | b']' | b'}')) => break,
            _ => {}
        }
        let begins = matches!(c, b'[' | b'{' | b',' | b':');
        at_value = begins || (at_value && c.is_ascii_whitespace());
        at += 1;
    }
    starts
}

/// The byte behind the closing quote of the text that begins with a quote at this byte; the end where there is none.
pub(super) fn end_of_quoted(text: &str, byte: usize) -> usize {
    let bytes = text.as_bytes();
    let Some(&quote) = bytes.get(byte) else {
        return byte;
    };
    let mut at = byte + 1;
    while let Some(&c) = bytes.get(at) {
        at += match c {
            b'\\' if quote == b'"' => 2,
            b'\'' if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') => 2,
            _ if c == quote => return at + 1,
            _ => 1,
        };
    }
    text.len()
}

fn end_of_line(text: &str, byte: usize) -> usize {
    text[byte..].find('\n').map_or(text.len(), |at| byte + at)
}

/// The next byte that is neither blank nor comment.
fn after_blanks(text: &str, mut at: usize) -> Option<u8> {
    let bytes = text.as_bytes();
    loop {
        match bytes.get(at)? {
            b'#' if bytes[at - 1].is_ascii_whitespace() => at = end_of_line(text, at),
            c if c.is_ascii_whitespace() => at += 1,
            c => return Some(*c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_up_to_the_end_of_the_outermost_collection() {
        let text = "a: [\n{b: 'x ]',\nc: d}, # ]\n\"e\n]\", it's\n]\nf: g\n";
        let starts = line_starts(text, 6);
        let firsts: Vec<&str> = starts.iter().map(|&at| &text[at..=at]).collect();
        assert_eq!(firsts, ["c", "\"", "]", "]"]);
    }

    #[test]
    fn a_quoted_text_ends_at_its_quote() {
        for (text, end) in [(r#""a\"b" c"#, 6), ("'a''b' c", 6), ("'a", 2), (r#""\"#, 2)] {
            assert_eq!(end_of_quoted(text, 0), end, "{text}");
        }
    }
}
