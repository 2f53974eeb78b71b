//! What YAML forbids and libyaml reads, and with it the Go program: existing files have it.
//!
//! - a tab right behind the colon of a key;
//! - a flow collection (`[...]`, `{...}`) that goes on with less indentation than its surroundings;
//! - a quoted text that does.
//!
//! Where the parser stumbles over one of these, the text that it reads is changed at that place, in blanks that have no
//! meaning there, and read again. Positions are those of the file as it is.

use std::borrow::Cow;

use crate::diagnostic::SourceFile;

/// How far a line is moved in: past any real indentation.
const PADDING: usize = 250;

/// How many places of one file are changed at most. Each costs another pass over the file.
const MOST_REPAIRS: usize = 50;

/// The text that the parser reads, and how its bytes relate to those of the file.
pub(super) struct Lenient<'a> {
    text: Cow<'a, SourceFile>,
    /// Where padding begins, as bytes of the changed text, in order.
    padded: Vec<usize>,
    repairs: usize,
    /// A quoted text that went on with less indentation: if nothing else helps, its quote was probably never closed.
    open_quote: Option<usize>,
}

impl<'a> Lenient<'a> {
    pub(super) fn new(source: &'a SourceFile) -> Self {
        Self {
            text: Cow::Borrowed(source),
            padded: Vec::new(),
            repairs: 0,
            open_quote: None,
        }
    }

    /// What the parser reads.
    pub(super) fn source(&self) -> &SourceFile {
        &self.text
    }

    /// The byte of the file that a byte of the changed text stands for.
    pub(super) fn original(&self, byte: usize) -> usize {
        let before = self.padded.partition_point(|&at| at <= byte);
        let Some(last) = before.checked_sub(1) else {
            return byte;
        };
        let inside = (byte - self.padded[last]).min(PADDING);
        byte - last * PADDING - inside
    }

    /// The opening quote, as a byte of the file, of a text that is suspicious.
    pub(super) fn open_quote(&self) -> Option<usize> {
        self.open_quote
    }

    /// Changes the text where the parser stumbled; false where there is nothing to change.
    pub(super) fn repair(&mut self, complaint: &str, byte: usize) -> bool {
        if self.repairs >= MOST_REPAIRS {
            return false;
        }
        self.repairs += 1;
        if complaint.contains("':' must be followed by") {
            self.replace_tabs_before(byte)
        } else if complaint.contains("indentation in quoted")
            || complaint.contains("tab cannot be used as indentation")
        {
            self.pad_quoted(byte)
        } else if complaint.contains("invalid indentation") {
            let start = self.line_start(byte);
            self.pad(&[start])
        } else {
            false
        }
    }

    fn replace_tabs_before(&mut self, byte: usize) -> bool {
        let text = &self.text.text;
        let before = &text[..byte];
        let start = before.trim_end_matches([' ', '\t']).len();
        if !before[start..].contains('\t') {
            return false;
        }
        let blanks = " ".repeat(byte - start);
        let changed = [&text[..start], &blanks, &text[byte..]].concat();
        self.change(changed);
        true
    }

    /// Moves in the lines of the quoted text that begins at, or before, this byte.
    fn pad_quoted(&mut self, byte: usize) -> bool {
        let text = &self.text.text;
        let rest = &text[byte..];
        let Some(quote @ ('"' | '\'')) = rest.chars().next() else {
            let start = self.line_start(byte);
            return self.pad(&[start]);
        };
        let mut starts = Vec::new();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '\n' => starts.push(byte + at + 1),
                '\\' if quote == '"' => {
                    let escaped = chars.next();
                    starts.extend(
                        escaped
                            .filter(|&(_, c)| c == '\n')
                            .map(|(at, _)| byte + at + 1),
                    );
                }
                _ if c == quote => match chars.peek() {
                    Some((_, '\'')) if quote == '\'' => drop(chars.next()),
                    _ => break,
                },
                _ => {}
            }
        }
        self.open_quote.get_or_insert(self.original(byte));
        self.pad(&starts)
    }

    /// Moves lines in that were not moved before.
    fn pad(&mut self, starts: &[usize]) -> bool {
        let starts: Vec<usize> = starts
            .iter()
            .copied()
            .filter(|start| !self.padded.contains(start))
            .collect();
        if starts.is_empty() {
            return false;
        }
        let padding = " ".repeat(PADDING);
        let text = &self.text.text;
        let mut changed = String::with_capacity(text.len() + starts.len() * PADDING);
        let mut done = 0;
        for &start in &starts {
            changed.push_str(&text[done..start]);
            changed.push_str(&padding);
            done = start;
        }
        changed.push_str(&text[done..]);
        let moved = |at: usize| at + starts.iter().filter(|&&start| start < at).count() * PADDING;
        self.padded = self
            .padded
            .iter()
            .chain(&starts)
            .map(|&at| moved(at))
            .collect();
        self.padded.sort_unstable();
        self.change(changed);
        true
    }

    fn line_start(&self, byte: usize) -> usize {
        self.text.text[..byte].rfind('\n').map_or(0, |at| at + 1)
    }

    fn change(&mut self, text: String) {
        self.text = Cow::Owned(SourceFile::new(&self.text.path, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_the_changed_text_lead_back_to_those_of_the_file() {
        let source = SourceFile::new("monday.yaml", "a: [\nb,\nc]\n");
        let mut lenient = Lenient::new(&source);
        assert!(lenient.repair("invalid indentation in flow construct", 8));
        assert!(lenient.repair("invalid indentation in flow construct", 5));
        assert!(!lenient.repair("invalid indentation in flow construct", 5 + PADDING));
        let changed = lenient.source().text.to_string();
        assert_eq!(changed.replace(' ', ""), "a:[\nb,\nc]\n");
        for (at, c) in changed.char_indices() {
            let original = lenient.original(at);
            let theirs = source.text[original..].chars().next().unwrap();
            assert!(c == theirs || c == ' ', "{at} {original}");
        }
        assert_eq!(lenient.original(changed.len()), source.text.len());
    }

    #[test]
    fn what_is_not_known_is_left_alone() {
        let source = SourceFile::new("monday.yaml", "a: b: c\n");
        let mut lenient = Lenient::new(&source);
        assert!(!lenient.repair("mapping values are not allowed in this context", 4));
        assert!(!lenient.repair("':' must be followed by a valid YAML whitespace", 4));
    }
}
