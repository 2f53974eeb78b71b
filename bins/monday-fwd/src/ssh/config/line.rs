//! One line of `ssh_config`: a keyword and its arguments.

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// In lower case.
    pub(super) keyword: String,
    /// With the quotes taken off.
    pub(super) arguments: Vec<String>,
    /// Everything after the keyword as it was written, for commands.
    pub(super) rest: String,
}

/// Reads a line; nothing for one that is empty or a comment.
///
/// # Errors
/// A quote that is not closed.
pub(super) fn read(line: &str) -> Result<Option<Line>, &'static str> {
    let line = line.trim_matches([' ', '\t', '\r', '\n', '\x0c']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let rest = rest.trim_start_matches([' ', '\t']);
    Ok(Some(Line {
        keyword: keyword.trim_matches('"').to_ascii_lowercase(),
        arguments: split(rest)?,
        rest: rest.to_owned(),
    }))
}

/// Splits into words: quotes of both kinds keep blanks together, a backslash before a quote, a backslash or (outside of
/// quotes) a blank makes it plain, and `#` at the beginning of a word ends the line.
fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        while characters.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match characters.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        loop {
            let Some(c) = characters.next() else {
                if quote.is_some() {
                    return Err("a quote is not closed");
                }
                break;
            };
            match c {
                '\\' => {
                    let plain = characters.next_if(|next| {
                        matches!(next, '"' | '\'' | '\\') || (quote.is_none() && *next == ' ')
                    });
                    word.push(plain.unwrap_or('\\'));
                }
                ' ' | '\t' if quote.is_none() => break,
                '"' | '\'' if quote.is_none() => quote = Some(c),
                c if quote == Some(c) => quote = None,
                c => word.push(c),
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        read(line).unwrap().unwrap().arguments
    }

    #[test]
    fn keyword_and_arguments_are_apart_by_blanks_tabs_or_an_equals_sign() {
        for line in [
            "Port 22",
            "port\t22",
            "PORT=22",
            " Port = 22 ",
            "Port =22 # yes",
        ] {
            let read = read(line).unwrap().unwrap();
            assert_eq!(
                (read.keyword.as_str(), read.arguments),
                ("port", vec!["22".into()])
            );
        }
        assert_eq!(read("  # comment").unwrap(), None);
        assert_eq!(read("\t\r").unwrap(), None);
    }

    #[test]
    fn quotes_keep_blanks_together() {
        assert_eq!(
            words(r#"IdentityFile "a b" 'c"d' e\ f"#),
            ["a b", "c\"d", "e f"]
        );
        assert_eq!(words(r"X a\tb"), [r"a\tb"]);
        assert_eq!(words("Host a#b #c"), ["a#b"]);
        assert!(read("Host \"a").is_err());
    }
}
