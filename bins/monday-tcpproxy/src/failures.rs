//! What is told beside a COMMAND, to which standard output belongs: only what does not work.

use std::io::Write as _;

use monday_shared::life::report::Format;
use monday_shared::protocol::tcpproxy::Event;

/// Prints failures and nothing else, each line with the name of the executable before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failures;

impl Format<Event> for Failures {
    fn event(&mut self, event: &Event, lines: &mut Vec<u8>) {
        match event {
            Event::DialFailed { .. } | Event::AcceptFailed { .. } => {
                // Writing to memory cannot fail.
                let _ = writeln!(lines, "monday-tcpproxy: {event}");
            }
            Event::Ready { .. }
            | Event::Opened(_)
            | Event::Closed { .. }
            | Event::Faults { .. }
            | Event::Connected { .. }
            | Event::Disconnected { .. } => {}
        }
    }

    fn lagged(&mut self, _dropped: u64, _lines: &mut Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_are_told() {
        let mut lines = Vec::new();
        let opened = Event::Faults {
            id: "db".into(),
            faults: vec![],
        };
        Failures.event(&opened, &mut lines);
        Failures.event(&Event::Closed { id: "db".into() }, &mut lines);
        assert!(lines.is_empty());
        let failed = Event::DialFailed {
            id: "db".into(),
            client: "127.0.0.1:5".into(),
            error: "refused".into(),
        };
        Failures.event(&failed, &mut lines);
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "monday-tcpproxy: db: connection from 127.0.0.1:5 failed: refused\n"
        );
    }
}
