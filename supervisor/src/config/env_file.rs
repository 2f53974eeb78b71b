//! Env files: the usual dotenv dialect.
//!
//! A line is `NAME=VALUE`, also after `export`. `#` begins a comment at the start of a line and, in an unquoted value,
//! after a blank. `'…'` is literal. `"…"` knows `\n \r \t \\ \" \$` and may go on over several lines. Nothing is
//! expanded: `$` is a dollar. A line with a name alone is skipped, as the variable is then inherited anyway.

/// A line that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Error {
    /// Which, counted from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// The variables of an env file, in order.
///
/// # Errors
/// A name that is none, a quote that is not closed, text after a closing quote.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, Error> {
    if let Some(at) = text.find('\0') {
        return Err(Error {
            line: text[..at].matches('\n').count() + 1,
            reason: "there is a NUL character, which no variable can hold".to_owned(),
        });
    }
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line: 1,
    };
    let mut variables = Vec::new();
    while !reader.rest.is_empty() {
        variables.extend(reader.statement()?);
    }
    Ok(variables)
}

/// What is left of the text, and the line where that begins.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    /// Takes one statement, which is one line unless a quoted value goes on.
    fn statement(&mut self) -> Result<Option<(String, String)>, Error> {
        self.skip_blanks();
        if self.rest.starts_with(['#', '\n', '\r']) || self.rest.is_empty() {
            self.skip_line();
            return Ok(None);
        }
        self.skip_export();
        let name = self.name()?;
        self.skip_blanks();
        if self.at_line_end() {
            self.skip_line();
            return Ok(None);
        }
        if !self.skip('=') {
            return Err(self.error(format!("`=` is missing after `{name}`")));
        }
        self.skip_blanks();
        let value = match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                self.rest = &self.rest[1..];
                let value = self.quoted(quote)?;
                self.nothing_more(quote)?;
                value
            }
            _ => self.unquoted(),
        };
        Ok(Some((name, value)))
    }

    fn skip_export(&mut self) {
        if let Some(after) = self.rest.strip_prefix("export")
            && after.starts_with([' ', '\t'])
        {
            self.rest = after;
            self.skip_blanks();
        }
    }

    /// Whatever stands before `=`, a blank or the end of the line; dots and dashes occur in real files.
    fn name(&mut self) -> Result<String, Error> {
        let end = self
            .rest
            .find(['=', ' ', '\t', '\n', '\r'])
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
        if name.is_empty()
            || name.starts_with(|c: char| c.is_ascii_digit())
            || !name.chars().all(fits)
        {
            return Err(self.error(format!(
                "`{}` is not the name of a variable: write NAME=VALUE, or begin the line with `#`",
                name.escape_debug()
            )));
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    /// The value up to the closing quote; it may go on over several lines.
    fn quoted(&mut self, quote: char) -> Result<String, Error> {
        let opened_at = self.line;
        let mut value = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(value);
                }
                '\\' if quote == '"' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, known @ ('\\' | '"' | '$' | '\''))) => value.push(known),
                    Some((_, '\n')) => {
                        // A backslash at the end of a line joins it with the next, as in a shell.
                        self.line += 1;
                    }
                    Some((_, other)) => value.extend(['\\', other]),
                    None => {}
                },
                '\n' => {
                    self.line += 1;
                    value.push('\n');
                }
                // A file from Windows has the same value.
                '\r' if self.rest[at..].starts_with("\r\n") => {}
                _ => value.push(c),
            }
        }
        self.line = opened_at;
        Err(self.error(format!(
            "the quote {quote} that is opened here is never closed"
        )))
    }

    fn nothing_more(&mut self, quote: char) -> Result<(), Error> {
        self.skip_blanks();
        if self.at_line_end() {
            self.skip_line();
            return Ok(());
        }
        let (reason, escape) = match quote {
            '"' => (
                "there is more text after the closing \"",
                "write a quote inside the value as \\\"",
            ),
            _ => (
                "there is more text after the closing '",
                "put the value in double quotes",
            ),
        };
        Err(self.error(format!("{reason}: {escape}")))
    }

    fn unquoted(&mut self) -> String {
        let line = self.rest.split('\n').next().unwrap_or_default();
        let comment = line
            .char_indices()
            .find(|&(at, c)| c == '#' && (at == 0 || line[..at].ends_with([' ', '\t'])));
        let value = &line[..comment.map_or(line.len(), |(at, _)| at)];
        let value = value.trim_end().to_owned();
        self.skip_line();
        value
    }

    fn at_line_end(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with(['\n', '\r', '#'])
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn skip(&mut self, wanted: char) -> bool {
        let after = self.rest.strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        self.line += 1;
    }

    fn error(&self, reason: String) -> Error {
        Error {
            line: self.line,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> String {
        let variables = parse(text).unwrap();
        assert_eq!(variables.len(), 1, "{variables:?}");
        assert_eq!(variables[0].0, "A");
        variables[0].1.clone()
    }

    #[test]
    fn plain_values_keep_what_they_say() {
        assert_eq!(one("A=b"), "b");
        assert_eq!(one("A = b c \r\n"), "b c");
        assert_eq!(one("A="), "");
        assert_eq!(one("export A=b"), "b");
        assert_eq!(
            one("export\tA=$HOME/${X} 'y' \"z\""),
            "$HOME/${X} 'y' \"z\""
        );
        assert_eq!(one("A={\"json\": [1, 2]}"), "{\"json\": [1, 2]}");
        assert_eq!(one("A=a=b=c"), "a=b=c");
        assert_eq!(one("\u{feff}A=1"), "1");
    }

    #[test]
    fn comments_are_no_variables() {
        assert_eq!(one("# B=1\n\n  #C=2\nA=b # said\n#end"), "b");
        assert_eq!(one("A=b#not"), "b#not");
        assert_eq!(one("A=# all of it"), "");
        assert_eq!(one("A='b # not' # said"), "b # not");
    }

    #[test]
    fn quotes_are_taken_off_and_escapes_resolved_in_double_ones() {
        assert_eq!(one("A='b\\n$c \"d\"'"), "b\\n$c \"d\"");
        assert_eq!(one(r#"A="b\n\t\"\\ \$c $d \e""#), "b\n\t\"\\ $c $d \\e");
        assert_eq!(one("A=\"one\ntwo\r\nthree\"  # said"), "one\ntwo\nthree");
        assert_eq!(one("A=\"one \\\ntwo\""), "one two");
        assert_eq!(one("A=''"), "");
    }

    #[test]
    fn order_and_repetition_are_kept_for_the_caller() {
        let variables = parse("A=1\nB=2\nA=3").unwrap();
        let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "B", "A"]);
    }

    #[test]
    fn a_name_alone_is_left_to_be_inherited() {
        assert_eq!(parse("A\nexport B\n").unwrap(), []);
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, line, part) in [
            ("A=1\nB=\"x", 2, "never closed"),
            ("A=1\n\"x\ny\"", 2, "not the name"),
            ("=1", 1, "not the name"),
            ("1A=1", 1, "not the name"),
            ("A B=1", 1, "`=` is missing"),
            ("X=\"a\nb\"\nA='x'y", 3, "more text"),
            ("A=\0", 1, "NUL"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(error.reason.contains(part), "{text:?}: {error}");
        }
    }
}
