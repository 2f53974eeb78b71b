//! What an app writes, made safe for a screen: colours (SGR, ECMA-48 8.3.117) become styles, every other control sequence
//! is left out, a tab becomes blanks.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

/// How far apart tab stops are.
const TAB: usize = 8;

/// The text in pieces of one style each.
#[must_use]
pub(super) fn spans(text: &str, colours: bool) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut style = Style::new();
    let mut piece = String::new();
    let mut column = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                let Some(parameters) = sequence(&mut chars) else {
                    continue;
                };
                if !colours {
                    continue;
                }
                if !piece.is_empty() {
                    spans.push(Span::styled(std::mem::take(&mut piece), style));
                }
                style = selected(style, &parameters);
            }
            '\t' => {
                let blanks = TAB - column % TAB;
                piece.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            // What came before a carriage return is overwritten by what follows, as progress bars do it.
            '\r' if chars.peek().is_some() => {
                piece.clear();
                spans.clear();
                column = 0;
            }
            c if c.is_control() => {}
            c => {
                piece.push(c);
                column += 1;
            }
        }
    }
    if !piece.is_empty() {
        spans.push(Span::styled(piece, style));
    }
    spans
}

/// The text without any sequence.
#[must_use]
pub(super) fn plain(text: &str) -> String {
    let spans = spans(text, false);
    spans.iter().map(|span| span.content.as_ref()).collect()
}

/// Reads a sequence to its end; returns the parameters if it is one that selects a style.
fn sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    match chars.next()? {
        '[' => {
            let mut parameters = String::new();
            for c in chars.by_ref() {
                match c {
                    'm' => return Some(parameters),
                    '0'..='9' | ';' | ':' => parameters.push(c),
                    // Another sequence, or none at all: it ends at its final byte.
                    '\u{40}'..='\u{7e}' => return None,
                    _ => {}
                }
            }
            None
        }
        // An operating system command ends with BEL or ST.
        ']' => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' {
                    return None;
                }
                if c == '\u{1b}' {
                    chars.next();
                    return None;
                }
            }
            None
        }
        _ => None,
    }
}

fn selected(mut style: Style, parameters: &str) -> Style {
    let mut numbers = parameters
        .split([';', ':'])
        .map(|number| number.parse::<u8>().unwrap_or(0));
    while let Some(number) = numbers.next() {
        style = match number {
            0 => Style::new(),
            1 => style.add_modifier(Modifier::BOLD),
            2 => style.add_modifier(Modifier::DIM),
            3 => style.add_modifier(Modifier::ITALIC),
            4 => style.add_modifier(Modifier::UNDERLINED),
            7 => style.add_modifier(Modifier::REVERSED),
            22 => style.remove_modifier(Modifier::BOLD | Modifier::DIM),
            23 => style.remove_modifier(Modifier::ITALIC),
            24 => style.remove_modifier(Modifier::UNDERLINED),
            27 => style.remove_modifier(Modifier::REVERSED),
            30..=37 => style.fg(Color::Indexed(number - 30)),
            38 => extended(&mut numbers).map_or(style, |colour| style.fg(colour)),
            39 => style.fg(Color::Reset),
            40..=47 => style.bg(Color::Indexed(number - 40)),
            48 => extended(&mut numbers).map_or(style, |colour| style.bg(colour)),
            49 => style.bg(Color::Reset),
            90..=97 => style.fg(Color::Indexed(number - 90 + 8)),
            100..=107 => style.bg(Color::Indexed(number - 100 + 8)),
            _ => style,
        };
    }
    style
}

/// A colour from the palette of 256, or of three parts.
fn extended(numbers: &mut impl Iterator<Item = u8>) -> Option<Color> {
    match numbers.next()? {
        5 => numbers.next().map(Color::Indexed),
        2 => Some(Color::Rgb(
            numbers.next()?,
            numbers.next()?,
            numbers.next()?,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_become_styles_and_other_sequences_vanish() {
        let spans = spans(
            "\u{1b}[1;31mred\u{1b}[0m \u{1b}[2Kplain\u{1b}]0;title\u{7}!",
            true,
        );
        let red = Style::new()
            .fg(Color::Indexed(1))
            .add_modifier(Modifier::BOLD);
        assert_eq!(spans, [Span::styled("red", red), Span::raw(" plain!")]);
        assert_eq!(plain("\u{1b}[38;5;200mx\u{1b}[38;2;1;2;3my"), "xy");
    }

    #[test]
    fn tabs_and_carriage_returns_look_as_on_a_terminal() {
        assert_eq!(plain("a\tb"), "a       b");
        assert_eq!(plain("10%\r50%\r99%"), "99%");
        assert_eq!(plain("dos line\r"), "dos line");
    }

    proptest! {
        #[test]
        fn nothing_that_controls_a_terminal_comes_through(text in "(\u{1b}\\[|\u{1b}|\\]|[0-9;:mKHJ\u{7}\r\t\u{0}]|[a-z])*") {
            let safe = spans(&text, true).iter().all(|span| !span.content.chars().any(char::is_control));
            prop_assert!(safe);
        }
    }
}
