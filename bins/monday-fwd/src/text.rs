//! How events are told to people.

use std::io::Write as _;

use monday_shared::life::report::Format;
use monday_shared::protocol::fwd::{Event, Step};

/// Prints what a person wants to know. Beside a COMMAND that is only what does not work, each line with the name of the
/// executable before it, for standard error is COMMAND's as well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    /// A COMMAND runs.
    pub(crate) beside_command: bool,
}

impl Format<Event> for Text {
    fn event(&mut self, event: &Event, lines: &mut Vec<u8>) {
        let bad = match event {
            // One line for each request of a browser would hide everything else.
            Event::Connection { error: None, .. } => return,
            Event::Connection { error: Some(_), .. }
            | Event::AcceptFailed { .. }
            | Event::Lost { .. }
            | Event::Warning { .. }
            // How it is undone by hand is worth a line beside any COMMAND.
            | Event::Step {
                step: Step::Patched,
                ..
            } => true,
            // What fails at the start is said by the error that ends us.
            Event::Failed { .. } => !self.beside_command,
            Event::Step { .. }
            | Event::Ready { .. } | Event::Opened(_) | Event::Up(_) | Event::Closed { .. } => false,
        };
        // Writing to memory cannot fail.
        let _ = match (self.beside_command, bad) {
            (false, _) => writeln!(lines, "{event}"),
            (true, true) => writeln!(lines, "monday-fwd: {event}"),
            (true, false) => Ok(()),
        };
    }

    fn lagged(&mut self, _dropped: u64, _lines: &mut Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(beside_command: bool, event: &Event) -> String {
        let mut lines = Vec::new();
        Text { beside_command }.event(event, &mut lines);
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn beside_a_command_only_what_does_not_work_is_told() {
        let closed = Event::Closed { id: "db".into() };
        assert_eq!(said(true, &closed), "");
        assert_eq!(said(false, &closed), "db: closed\n");
        let warning = Event::Warning {
            id: "db".into(),
            message: "`-X` is not honoured".into(),
        };
        assert_eq!(
            said(true, &warning),
            "monday-fwd: db: `-X` is not honoured\n"
        );
    }

    #[test]
    fn a_connection_that_ended_well_is_nobodys_business() {
        let ended = Event::Connection {
            id: "db".into(),
            client: "127.0.0.1:5".into(),
            bytes_up: 1,
            bytes_down: 1,
            error: None,
        };
        assert_eq!(said(false, &ended), "");
    }
}
