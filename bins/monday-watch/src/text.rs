//! What is shown to people.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use monday_shared::life::report::{Format, Json};
use monday_shared::protocol::run::{Exit, Phase, State};
use monday_shared::protocol::watch::{Changed, Event, WatchStatus};

/// Shows events as lines, paths as seen from one folder.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// What stands before each line.
    prefix: &'static str,
    seen_from: Option<PathBuf>,
}

impl Text {
    /// With `prefix` before each line, paths as seen from the current folder.
    pub(crate) fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            seen_from: std::env::current_dir().ok(),
        }
    }

    fn short<'a>(&self, path: &'a str) -> &'a str {
        let short = self
            .seen_from
            .as_ref()
            .and_then(|folder| Path::new(path).strip_prefix(folder).ok()?.to_str());
        match short {
            Some("") => ".",
            Some(short) => short,
            None => path,
        }
    }

    fn line(&self, lines: &mut Vec<u8>, text: &str) {
        // Writing into memory does not fail.
        let _ = writeln!(lines, "{}{text}", self.prefix);
    }

    fn watching(&self, watch: &WatchStatus, lines: &mut Vec<u8>) {
        let paths: Vec<&str> = watch.paths.iter().map(|path| self.short(path)).collect();
        let folders = match watch.folders {
            0 => String::new(),
            1 => " (1 folder)".to_owned(),
            folders => format!(" ({folders} folders)"),
        };
        self.line(lines, &format!("watching {}{folders}", paths.join(", ")));
        for path in &watch.missing {
            self.line(
                lines,
                &format!("{} does not exist yet, waiting for it", self.short(path)),
            );
        }
        if let Some(note) = &watch.note {
            self.line(lines, note);
        }
    }

    fn changed(&self, changed: &Changed, lines: &mut Vec<u8>) {
        let shown = Changed {
            paths: changed
                .paths
                .iter()
                .map(|path| self.short(path).to_owned())
                .collect(),
            ..changed.clone()
        };
        self.line(lines, &format!("changed {shown}"));
    }

    fn state(&self, state: &State, lines: &mut Vec<u8>) {
        match (state.phase, state.exit, &state.reason) {
            (Phase::Exited, Some(Exit::Code(0)), _) => self.line(lines, "COMMAND ended"),
            (Phase::Exited, Some(exit), _) => self.line(lines, &format!("COMMAND ended: {exit}")),
            (Phase::Failed, _, Some(reason)) => self.line(lines, reason),
            _ => {}
        }
    }
}

impl Format<Event> for Text {
    fn event(&mut self, event: &Event, lines: &mut Vec<u8>) {
        match event {
            Event::Ready { watches } => {
                for watch in watches {
                    self.watching(watch, lines);
                }
            }
            Event::Watching(watch) => self.watching(watch, lines),
            Event::Changed(changed) => self.changed(changed, lines),
            Event::Missing { path, .. } => {
                self.line(
                    lines,
                    &format!("{} is missing, waiting for it", self.short(path)),
                );
            }
            Event::Returned { path, .. } => {
                self.line(lines, &format!("{} is there", self.short(path)));
            }
            Event::Unwatched { .. } => self.line(lines, &event.to_string()),
            Event::State(state) => self.state(state, lines),
            // Where events are shown as text, COMMAND writes to the same place by itself.
            Event::Output(_) => {}
        }
    }

    fn lagged(&mut self, dropped: u64, lines: &mut Vec<u8>) {
        self.line(
            lines,
            &format!("({dropped} lines were lost here: too slow)"),
        );
    }
}

/// Holds back what comes before the ready event, which is the first that is shown, whatever happens.
#[derive(Debug)]
pub(crate) struct ReadyFirst<F> {
    format: F,
    /// What follows the ready event; `None` after it.
    held: Option<Vec<u8>>,
}

impl<F> ReadyFirst<F> {
    pub(crate) fn new(format: F) -> Self {
        Self {
            format,
            held: Some(Vec::new()),
        }
    }
}

impl<F: Format<Event>> Format<Event> for ReadyFirst<F> {
    fn event(&mut self, event: &Event, lines: &mut Vec<u8>) {
        match (&mut self.held, event) {
            (None, _) => self.format.event(event, lines),
            (Some(_), Event::Ready { .. }) => {
                self.format.event(event, lines);
                lines.append(&mut self.held.take().unwrap_or_default());
            }
            // It says the same.
            (Some(_), Event::Watching(_)) => {}
            (Some(held), _) => self.format.event(event, held),
        }
    }

    fn lagged(&mut self, dropped: u64, lines: &mut Vec<u8>) {
        self.format
            .lagged(dropped, self.held.as_mut().unwrap_or(lines));
    }
}

/// JSON in the same way.
pub(crate) fn json() -> ReadyFirst<Json> {
    ReadyFirst::new(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(path: &str, count: u64) -> Event {
        Event::Changed(Changed {
            paths: vec![path.to_owned()],
            count,
            ..Changed::default()
        })
    }

    fn shown(format: &mut impl Format<Event>, events: &[Event]) -> String {
        let mut lines = Vec::new();
        for event in events {
            format.event(event, &mut lines);
        }
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn a_batch_is_one_line_with_its_paths_as_seen_from_here() {
        let mut text = Text {
            prefix: "> ",
            seen_from: Some("/p".into()),
        };
        let events = [
            changed("/p/src/a.rs", 13),
            changed("/q/b", 1),
            changed("/p", 1),
        ];
        assert_eq!(
            shown(&mut text, &events),
            "> changed src/a.rs and 12 more\n> changed /q/b\n> changed .\n"
        );
    }

    #[test]
    fn the_ready_event_comes_first_even_if_something_changed_before_it() {
        let mut json = json();
        let status = WatchStatus::default();
        let events = [
            Event::Watching(status.clone()),
            changed("/p/a", 1),
            Event::Ready {
                watches: vec![status],
            },
            changed("/p/b", 1),
        ];
        let shown = shown(&mut json, &events);
        let names: Vec<&str> = shown
            .lines()
            .map(|line| line.split('"').nth(3).unwrap())
            .collect();
        assert_eq!(names, ["ready", "changed", "changed"]);
    }
}
