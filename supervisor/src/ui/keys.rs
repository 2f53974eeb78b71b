//! What a key or the mouse means; pure. The keys are those that users of process-compose, k9s, less and vi have in their
//! fingers.

use ratatui::crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};

/// What a person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// So many lines or rows down; up if negative.
    Move(i64),
    /// So many pages down; up if negative.
    Page(i64),
    /// To the beginning.
    First,
    /// To the end.
    Last,
    /// The other half of the screen.
    Switch,
    /// That half to the whole screen, and back.
    Zoom,
    /// Follow new lines, or do not.
    Follow,
    /// Search for words.
    Search,
    /// The next hit towards the end (or the beginning).
    NextHit {
        /// Towards the beginning.
        backwards: bool,
    },
    /// Restart the app, reconnect the forward.
    Restart,
    /// Stop the app, or start it.
    StopOrStart,
    /// Copy the address.
    Copy,
    /// Show or hide what the keys mean.
    Help,
    /// Leave.
    Quit,
    /// Leave at once: Ctrl-C.
    Interrupt,
    /// Back: out of a question, a search, a zoom.
    Back,
    /// Yes, or do it.
    Enter,
    /// A letter, where text is typed.
    Letter(char),
    /// The last letter was wrong.
    Erase,
    /// Clicked there.
    Click {
        /// From the left.
        column: u16,
        /// From the top.
        row: u16,
    },
    /// The wheel turned over that place: so many lines down.
    Wheel {
        /// Lines.
        lines: i64,
        /// From the left.
        column: u16,
    },
    /// Draw everything again.
    Redraw,
}

/// How many lines one notch of the wheel is.
const WHEEL: i64 = 3;

/// What it means; `typing` says whether letters are text at this moment.
pub(super) fn meaning(event: &Event, typing: bool) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key_meaning(*key, typing),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Some(Input::Click {
                column: mouse.column,
                row: mouse.row,
            }),
            MouseEventKind::ScrollDown => Some(Input::Wheel {
                lines: WHEEL,
                column: mouse.column,
            }),
            MouseEventKind::ScrollUp => Some(Input::Wheel {
                lines: -WHEEL,
                column: mouse.column,
            }),
            _ => None,
        },
        Event::Resize(..) => Some(Input::Redraw),
        _ => None,
    }
}

fn key_meaning(key: KeyEvent, typing: bool) -> Option<Input> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => return Some(Input::Interrupt),
        KeyCode::Esc => return Some(Input::Back),
        KeyCode::Enter => return Some(Input::Enter),
        KeyCode::Up => return Some(Input::Move(-1)),
        KeyCode::Down => return Some(Input::Move(1)),
        KeyCode::Backspace if typing => return Some(Input::Erase),
        KeyCode::Char(letter) if typing && !control => return Some(Input::Letter(letter)),
        _ if typing => return None,
        _ => {}
    }
    Some(match key.code {
        KeyCode::Char('l') if control => Input::Redraw,
        KeyCode::Char('d') if control => Input::Page(1),
        KeyCode::Char('u') if control => Input::Page(-1),
        KeyCode::Char(_) if control => return None,
        KeyCode::Char('j') => Input::Move(1),
        KeyCode::Char('k') => Input::Move(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Input::Page(1),
        KeyCode::PageUp => Input::Page(-1),
        KeyCode::Char('g') | KeyCode::Home => Input::First,
        KeyCode::Char('G') | KeyCode::End => Input::Last,
        KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => Input::Switch,
        KeyCode::Char('l') => Input::Zoom,
        KeyCode::Char('f') => Input::Follow,
        KeyCode::Char('/') => Input::Search,
        KeyCode::Char('n') => Input::NextHit { backwards: true },
        KeyCode::Char('N') => Input::NextHit { backwards: false },
        KeyCode::Char('r') => Input::Restart,
        KeyCode::Char('s') => Input::StopOrStart,
        KeyCode::Char('c') => Input::Copy,
        KeyCode::Char('?' | 'h') => Input::Help,
        KeyCode::Char('q') => Input::Quit,
        KeyCode::Char(letter @ ('y' | 'Y')) => Input::Letter(letter),
        _ => return None,
    })
}

/// What the keys mean, for people.
pub(super) const HELP: [(&str, &str); 14] = [
    ("↑ ↓  j k", "up and down"),
    ("PgUp PgDn  g G", "a page; the beginning, the end"),
    ("tab  ← →", "between the list and the output"),
    ("enter  l", "one log on the whole screen, and back"),
    ("f", "follow new lines"),
    ("/  n N", "search; the hit before, the one after"),
    ("r", "restart the app, reconnect the forward"),
    ("s", "stop the app, or start it"),
    ("c", "copy the address"),
    ("?", "this"),
    ("esc", "back"),
    ("q", "quit"),
    ("ctrl-c", "stop everything; twice: kill it"),
    ("ctrl-l", "draw again"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, typing: bool) -> Option<Input> {
        meaning(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)), typing)
    }

    #[test]
    fn letters_are_commands_unless_text_is_typed() {
        assert_eq!(key(KeyCode::Char('q'), false), Some(Input::Quit));
        assert_eq!(key(KeyCode::Char('q'), true), Some(Input::Letter('q')));
        assert_eq!(key(KeyCode::Esc, true), Some(Input::Back));
        assert_eq!(key(KeyCode::Char('x'), false), None);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(
            meaning(&Event::Key(interrupt), true),
            Some(Input::Interrupt)
        );
    }
}
