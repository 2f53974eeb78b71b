//! What YAML forbids and libyaml reads, and with it the Go program: existing files have it.
//!
//! - a tab right behind the colon of a key;
//! - a flow collection (`[...]`, `{...}`) that goes on with less indentation than its surroundings;
//! - a quoted text that does.
//!
//! Where the parser stumbles over one of these, the text that it reads is changed, in blanks that have no meaning there,
//! and read again. Positions are those of the file as it is.

use std::borrow::Cow;

use super::flow;
use crate::diagnostic::{SourceFile, Span};

/// A line is moved in past any real indentation, but no further than this.
const MOST_PADDING: usize = 250;

/// How many bytes of padding a file may get.
const MOST_PADDING_BYTES: usize = 4 * 1024 * 1024;

/// How many bytes may be read again on account of one file; each repair costs all of its bytes. So a usual file is
/// repaired thousands of times, and the largest ones a few times.
const MOST_BYTES_AGAIN: usize = 8 * 1024 * 1024;

/// So many repairs every file is good for.
const FEW_REPAIRS: usize = 3;

/// The text that the parser reads, and how its bytes relate to those of the file.
pub(super) struct Lenient<'a> {
    source: &'a SourceFile,
    text: Cow<'a, SourceFile>,
    /// How far a line is moved in.
    padding: usize,
    /// Where lines are moved in, as bytes of the file, in order.
    starts: Vec<usize>,
    /// The same as bytes of the changed text.
    padded: Vec<usize>,
    /// The tabs behind a colon that became blanks; nothing while none did.
    tabs: Vec<Tab>,
    repairs: usize,
    bytes_again: usize,
    /// A quoted text that went on with less indentation: if nothing else helps, its quote was probably never closed.
    open_quote: Option<usize>,
}

/// A tab behind a colon.
struct Tab {
    /// Where, in the file.
    byte: usize,
    /// Whether it is in a text, where it means itself.
    spared: bool,
}

impl<'a> Lenient<'a> {
    pub(super) fn new(source: &'a SourceFile) -> Self {
        Self {
            source,
            text: Cow::Borrowed(source),
            padding: 0,
            starts: Vec::new(),
            padded: Vec::new(),
            tabs: Vec::new(),
            repairs: 0,
            bytes_again: 0,
            open_quote: None,
        }
    }

    /// What the parser reads.
    pub(super) fn source(&self) -> &SourceFile {
        &self.text
    }

    /// The text of the file as it is.
    pub(super) fn file(&self) -> &'a str {
        &self.source.text
    }

    /// The byte of the file that a byte of the changed text stands for.
    pub(super) fn original(&self, byte: usize) -> usize {
        let before = self.padded.partition_point(|&at| at <= byte);
        let Some(last) = before.checked_sub(1) else {
            return byte;
        };
        let inside = (byte - self.padded[last]).min(self.padding);
        byte - last * self.padding - inside
    }

    /// The opening quote, as a byte of the file, of a text that is suspicious.
    pub(super) fn open_quote(&self) -> Option<usize> {
        self.open_quote
    }

    /// Changes the text where the parser stumbled; false where there is nothing to change.
    pub(super) fn repair(&mut self, complaint: &str, byte: usize) -> bool {
        self.repairs += 1;
        self.bytes_again += self.text.text.len();
        if self.repairs > FEW_REPAIRS && self.bytes_again > MOST_BYTES_AGAIN {
            return false;
        }
        let byte = self.original(byte);
        if complaint.contains("':' must be followed by") {
            self.replace_tabs(byte)
        } else if complaint.contains("indentation in quoted")
            || complaint.contains("tab cannot be used as indentation")
        {
            self.pad_quoted(byte)
        } else if complaint.contains("invalid indentation") {
            let start = self.line_start(byte);
            let mut starts = vec![start];
            starts.extend(flow::line_starts(&self.source.text, byte));
            self.pad(starts)
        } else {
            false
        }
    }

    /// Makes blanks of all tabs behind colons, if there is one before this byte.
    fn replace_tabs(&mut self, byte: usize) -> bool {
        let text = &self.source.text;
        let before = text[..byte].trim_end_matches([' ', '\t']);
        if !self.tabs.is_empty() || !text[before.len()..byte].contains('\t') {
            return false;
        }
        let mut behind_colon = false;
        for (at, c) in text.bytes().enumerate() {
            if c == b'\t' && behind_colon {
                self.tabs.push(Tab {
                    byte: at,
                    spared: false,
                });
            }
            behind_colon = c == b':' || (behind_colon && matches!(c, b' ' | b'\t'));
        }
        self.change();
        true
    }

    /// Whether a stretch of the file has a tab that became a blank.
    pub(super) fn changed(&self, span: Span) -> bool {
        self.tabs_in(span).any(|at| !self.tabs[at].spared)
    }

    /// Gives these texts, quoted ones and blocks, their tabs back; false where all of them have theirs.
    pub(super) fn spare(&mut self, texts: &[Span]) -> bool {
        for &text in texts {
            for at in self.tabs_in(text) {
                self.tabs[at].spared = true;
            }
        }
        if texts.is_empty() {
            return false;
        }
        self.change();
        true
    }

    fn tabs_in(&self, span: Span) -> std::ops::Range<usize> {
        let index = |byte: u32| self.tabs.partition_point(|tab| tab.byte < byte as usize);
        index(span.start)..index(span.end)
    }

    /// Moves in the lines of the quoted text that begins at, or before, this byte.
    fn pad_quoted(&mut self, byte: usize) -> bool {
        let text = &self.source.text;
        if !text[byte..].starts_with(['"', '\'']) {
            let start = self.line_start(byte);
            return self.pad(vec![start]);
        }
        let end = flow::end_of_quoted(text, byte);
        let breaks = text[byte..end].match_indices('\n');
        let starts = breaks.map(|(at, _)| byte + at + 1).collect();
        self.open_quote.get_or_insert(byte);
        self.pad(starts)
    }

    /// Moves lines in; false where that was done before, or where it is too much. They are in order.
    fn pad(&mut self, starts: Vec<usize>) -> bool {
        if self.padding == 0 {
            self.padding = deepest(&self.source.text) + 1;
        }
        let known = self.starts.len();
        self.starts.extend(starts);
        self.starts.sort_unstable();
        self.starts.dedup();
        if self.starts.len() == known || self.starts.len() * self.padding > MOST_PADDING_BYTES {
            return false;
        }
        let padded = self.starts.iter().enumerate();
        self.padded = padded
            .map(|(at, &start)| start + at * self.padding)
            .collect();
        self.change();
        true
    }

    fn line_start(&self, byte: usize) -> usize {
        self.source.text[..byte].rfind('\n').map_or(0, |at| at + 1)
    }

    /// Makes the changed text out of that of the file.
    fn change(&mut self) {
        let text = &*self.source.text;
        let padding = " ".repeat(self.padding);
        let mut changed = String::with_capacity(text.len() + self.starts.len() * self.padding);
        let mut tabs = self.tabs.iter().filter(|tab| !tab.spared).peekable();
        let mut done = 0;
        for &start in self.starts.iter().chain([&text.len()]) {
            while let Some(tab) = tabs.next_if(|tab| tab.byte < start) {
                changed.push_str(&text[done..tab.byte]);
                changed.push(' ');
                done = tab.byte + 1;
            }
            changed.push_str(&text[done..start]);
            done = start;
            if start < text.len() {
                changed.push_str(&padding);
            }
        }
        self.text = Cow::Owned(SourceFile::new(&self.source.path, changed));
    }
}

/// The furthest that a line is moved in: blanks, and what begins items of lists and complex keys.
fn deepest(text: &str) -> usize {
    let indentation = |line: &str| {
        line.bytes()
            .take(MOST_PADDING - 1)
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'-' | b'?' | b':'))
            .count()
    };
    text.lines().map(indentation).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_the_changed_text_lead_back_to_those_of_the_file() {
        let source = SourceFile::new("monday.yaml", "a: [\nb,\nc]\nd: {\ne: f}\n");
        let mut lenient = Lenient::new(&source);
        let complaint = "invalid indentation in flow construct";
        assert!(lenient.repair(complaint, 16));
        assert!(lenient.repair(complaint, 5));
        assert!(!lenient.repair(complaint, 5 + lenient.padding));
        let changed = lenient.source().text.to_string();
        assert_eq!(changed.replace(' ', ""), "a:[\nb,\nc]\nd:{\ne:f}\n");
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
