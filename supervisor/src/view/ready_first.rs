//! JSON lines in the order that scripts count on: the first one is `ready`, whatever happened on the way there.

use monday_shared::life::report::{Format, Json};
use monday_shared::protocol::supervisor::Event;

/// The view: holds back what is told before `ready`, and tells it right after that. A project that is stopped before it
/// was ready tells everything then.
#[derive(Debug)]
pub struct ReadyFirst {
    /// The lines that wait; nothing once they need not wait any more.
    held: Option<Vec<u8>>,
}

impl Default for ReadyFirst {
    fn default() -> Self {
        Self {
            held: Some(Vec::new()),
        }
    }
}

impl Format<Event> for ReadyFirst {
    fn event(&mut self, event: &Event, lines: &mut Vec<u8>) {
        match event {
            Event::Ready(_) => {
                Json.event(event, lines);
                lines.append(&mut self.held.take().unwrap_or_default());
            }
            Event::Stopping { .. } => {
                lines.append(&mut self.held.take().unwrap_or_default());
                Json.event(event, lines);
            }
            _ => Json.event(event, self.held.as_mut().unwrap_or(lines)),
        }
    }

    fn lagged(&mut self, dropped: u64, lines: &mut Vec<u8>) {
        Format::<Event>::lagged(&mut Json, dropped, self.held.as_mut().unwrap_or(lines));
    }
}

#[cfg(test)]
mod tests {
    use monday_shared::protocol::supervisor::{Level, ProjectStatus};

    use super::*;

    fn told(events: &[Event]) -> Vec<String> {
        let mut view = ReadyFirst::default();
        let mut lines = Vec::new();
        for event in events {
            view.event(event, &mut lines);
        }
        let text = String::from_utf8(lines).unwrap();
        text.lines()
            .map(|line| {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                let what = event.get("message").unwrap_or(&event["event"]);
                what.as_str().unwrap().to_owned()
            })
            .collect()
    }

    fn notice(message: &str) -> Event {
        Event::Notice {
            level: Level::Info,
            subject: None,
            message: message.to_owned(),
        }
    }

    #[test]
    fn what_came_before_ready_is_told_after_it_in_its_order() {
        let ready = Event::Ready(ProjectStatus::default());
        assert_eq!(
            told(&[notice("one"), notice("two"), ready, notice("three")]),
            ["ready", "one", "two", "three"]
        );
    }

    #[test]
    fn a_project_that_is_stopped_before_it_was_ready_tells_why() {
        let stopping = Event::Stopping {
            reason: "interrupted".to_owned(),
        };
        assert_eq!(told(&[notice("one")]), [""; 0]);
        assert_eq!(told(&[notice("one"), stopping]), ["one", "stopping"]);
    }
}
