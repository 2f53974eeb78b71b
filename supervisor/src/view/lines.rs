//! One line after the other, each with the name of whoever it comes from: what is shown in a pipe, in a log, and where
//! there is no terminal for more.

use std::fmt::Display;
use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use monday_shared::life::report::Format;
use monday_shared::name_colour;
use monday_shared::protocol::fwd::Phase as TunnelPhase;
use monday_shared::protocol::run::{Exit, Output, Phase, Stream};
use monday_shared::protocol::supervisor::{
    AppStatus, Event, ForwardStatus, Level, ProjectStatus, TunnelStatus,
};

use super::pieces::Pieces;

/// The name before the supervisor's own lines.
const OWN: &str = "monday";

/// The status with which a shell says that it did not find a program.
const NOT_FOUND: i32 = 127;

/// The view.
#[derive(Debug)]
pub struct Lines {
    /// The width of the longest name.
    width: usize,
    colour: bool,
    /// Where everything can be reached, until it is shown.
    reachable: Option<ProjectStatus>,
    pieces: Pieces,
    /// Whose line has no end yet, because it is shown up to where it goes on.
    open: Option<(String, Stream)>,
}

impl Lines {
    /// A view of these names.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>, colour: bool) -> Self {
        let longest = names.into_iter().map(|name| name.chars().count()).max();
        Self {
            width: longest.unwrap_or(0).max(OWN.len()),
            colour,
            reachable: None,
            pieces: Pieces::default(),
            open: None,
        }
    }

    fn line(&mut self, name: &str, style: Style, text: &[u8], lines: &mut Vec<u8>) {
        self.close(lines);
        self.begin(name, style, lines);
        lines.extend_from_slice(text);
        lines.push(b'\n');
    }

    /// Ends a line that another one is to follow.
    fn close(&mut self, lines: &mut Vec<u8>) {
        if self.open.take().is_some() {
            lines.push(b'\n');
        }
    }

    fn begin(&self, name: &str, style: Style, lines: &mut Vec<u8>) {
        let width = self.width;
        // Writing into memory does not fail.
        let _ = if self.colour {
            write!(lines, "{style}{name:<width$} |{style:#} ")
        } else {
            write!(lines, "{name:<width$} | ")
        };
    }

    /// A line that an app wrote.
    pub fn app_line(&mut self, app: &str, text: &[u8], lines: &mut Vec<u8>) {
        self.line(app, name_colour::style_of(app), text, lines);
    }

    fn output(&mut self, app: &str, output: &Output, lines: &mut Vec<u8>) {
        let style = name_colour::style_of(app);
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.add(app, output, |text, open| {
            let goes_on =
                matches!(&self.open, Some((of, stream)) if of == app && *stream == output.stream);
            if !goes_on {
                self.close(lines);
                self.begin(app, style, lines);
            }
            lines.extend_from_slice(text);
            if open {
                self.open = Some((app.to_owned(), output.stream));
            } else {
                self.open = None;
                lines.push(b'\n');
            }
        });
        self.pieces = pieces;
    }

    fn own(&mut self, text: &impl Display, lines: &mut Vec<u8>) {
        let text = text.to_string();
        for line in text.lines() {
            self.line(OWN, Style::new().bold(), line.as_bytes(), lines);
        }
    }

    fn notice(&mut self, level: Level, subject: Option<&str>, message: &str, lines: &mut Vec<u8>) {
        let (word, colour) = match level {
            Level::Info => ("", None),
            Level::Warning => ("warning: ", Some(AnsiColor::Yellow)),
            Level::Error => ("error: ", Some(AnsiColor::Red)),
        };
        let subject = subject.map(|name| format!("{name}: ")).unwrap_or_default();
        match colour {
            Some(colour) if self.colour => {
                let style = Style::new().fg_color(Some(colour.into()));
                self.own(&format!("{style}{word}{style:#}{subject}{message}"), lines);
            }
            _ => self.own(&format!("{word}{subject}{message}"), lines),
        }
    }

    fn app(&mut self, app: &AppStatus, lines: &mut Vec<u8>) {
        if app.state.pid.is_none() {
            for text in self.pieces.end(&app.name) {
                self.line(&app.name, name_colour::style_of(&app.name), &text, lines);
            }
        }
        let name = Some(app.name.as_str());
        match (app.state.phase, app.state.exit) {
            _ if app.stage.is_some() => self.own(app, lines),
            (Phase::Failed, _) => {
                let reason = app
                    .state
                    .reason
                    .as_deref()
                    .unwrap_or("it could not be started");
                self.notice(Level::Error, name, reason, lines);
            }
            (Phase::Exited, Some(exit)) if exit != Exit::Code(0) => {
                let mut what = app.state.to_string();
                if exit == Exit::Code(NOT_FOUND) {
                    what.push_str(" (a program was not found, says the shell above)");
                }
                self.notice(Level::Error, name, &what, lines);
            }
            _ => self.own(app, lines),
        }
    }

    fn forward(&mut self, forward: &ForwardStatus, lines: &mut Vec<u8>) {
        let name = &forward.name;
        if let Some(error) = &forward.error {
            return self.notice(Level::Error, Some(name), error, lines);
        }
        for route in &forward.routes {
            self.own(
                &format!("{name}: {} -> {}", route.listen, route.target),
                lines,
            );
        }
    }

    fn tunnel(&mut self, forward: &str, tunnel: &TunnelStatus, lines: &mut Vec<u8>) {
        match (tunnel.phase, &tunnel.why) {
            (TunnelPhase::Failed, why) => {
                let why = why.as_deref().unwrap_or("its tunnel failed");
                self.notice(Level::Error, Some(forward), why, lines);
            }
            (_, Some(why)) => self.notice(Level::Warning, Some(forward), why, lines),
            (phase, None) => {
                let via = tunnel.via.as_deref();
                let via = via.map(|via| format!(" via {via}")).unwrap_or_default();
                self.own(&format!("{}: {phase}{via}", tunnel.id), lines);
            }
        }
    }

    /// What runs, and where it can be reached.
    fn up(&mut self, failed: &[String], lines: &mut Vec<u8>) {
        let Some(project) = self.reachable.take() else {
            return;
        };
        let name = &project.project;
        if failed.is_empty() {
            self.own(&format!("{name} is up"), lines);
        } else {
            let message = format!("{name} is up, but without {}", failed.join(", "));
            self.notice(Level::Warning, None, &message, lines);
        }
        let named = |hostname: &Option<String>| match hostname {
            Some(hostname) if project.names => hostname.clone(),
            _ => String::new(),
        };
        let apps = project
            .apps
            .iter()
            .filter_map(|app| Some((app.name.as_str(), named(&app.hostname), app.ip?.to_string())));
        let forwards = project.forwards.iter().flat_map(|forward| {
            let hostname = named(&forward.hostname);
            forward.routes.iter().map(move |route| {
                let at = if hostname.is_empty() {
                    String::new()
                } else {
                    format!("{hostname}:{}", route.listen.port())
                };
                (forward.name.as_str(), at, route.listen.to_string())
            })
        });
        let is_there = |row: &(&str, _, _)| !failed.iter().any(|name| name == row.0);
        let rows: Vec<_> = apps.chain(forwards).filter(is_there).collect();
        let columns = rows.iter().fold((0, 0), |(name, at), row| {
            (
                name.max(row.0.chars().count()),
                at.max(row.1.chars().count()),
            )
        });
        for (name, at, address) in rows {
            let (first, second) = columns;
            self.own(
                &format!("  {name:<first$}  {at:<second$}  {address}"),
                lines,
            );
        }
        if project.private_names {
            self.own(
                &"host names are for the project's own processes alone: elsewhere, in a browser say, use the addresses",
                lines,
            );
        }
    }
}

impl Format<Event> for Lines {
    fn event(&mut self, event: &Event, lines: &mut Vec<u8>) {
        match event {
            Event::Ready(project) => self.reachable = Some(project.clone()),
            Event::Up { failed } => self.up(failed, lines),
            Event::App(app) => self.app(app, lines),
            Event::Forward(forward) => self.forward(forward, lines),
            Event::Tunnel { forward, tunnel } => self.tunnel(forward, tunnel, lines),
            Event::Sidecar(_) => {}
            Event::Output { app, output } => {
                self.output(app, output, lines);
            }
            Event::Notice {
                level,
                subject,
                message,
            } => self.notice(*level, subject.as_deref(), message, lines),
            Event::Reloaded { difference, .. } => {
                self.own(&difference.told(), lines);
            }
            Event::Stopping { reason } => self.own(&format!("stopping: {reason}"), lines),
        }
    }

    fn lagged(&mut self, dropped: u64, lines: &mut Vec<u8>) {
        self.own(
            &format!("{dropped} lines of output were lost here: whoever reads this is too slow"),
            lines,
        );
    }
}

#[cfg(test)]
mod tests {
    use monday_shared::protocol::run::{Line, State};

    use super::*;

    fn shown(events: &[Event]) -> String {
        let mut view = Lines::new(["api", "frontend"], false);
        let mut lines = Vec::new();
        for event in events {
            view.event(event, &mut lines);
        }
        String::from_utf8_lossy(&lines).into_owned()
    }

    #[test]
    fn every_line_of_output_has_its_app_s_name_before_it() {
        let output = Output {
            generation: 1,
            stream: Stream::Stdout,
            lines: vec![Line(b"one".to_vec()), Line(b"two".to_vec())],
            partial: false,
            unterminated: false,
        };
        let event = Event::Output {
            app: "api".to_owned(),
            output,
        };
        assert_eq!(shown(&[event]), "api      | one\napi      | two\n");
    }

    #[test]
    fn a_prompt_and_its_answer_share_a_line_until_somebody_else_speaks() {
        let said = |app: &str, line: &str, partial| Event::Output {
            app: app.to_owned(),
            output: Output {
                generation: 1,
                stream: Stream::Stdout,
                lines: vec![Line(line.as_bytes().to_vec())],
                partial,
                unterminated: false,
            },
        };
        let events = [
            said("api", "name? ", true),
            said("api", "joe", false),
            said("api", "age? ", true),
            said("frontend", "hello", false),
            said("api", "7", false),
        ];
        assert_eq!(
            shown(&events),
            "api      | name? joe\napi      | age? \nfrontend | hello\napi      | 7\n"
        );
    }

    #[test]
    fn a_project_is_up_when_it_is_said_so_and_who_is_missing_is_named() {
        let ready = || {
            Event::Ready(ProjectStatus {
                project: "shop".to_owned(),
                ..ProjectStatus::default()
            })
        };
        let up = |failed: &[&str]| Event::Up {
            failed: failed.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(shown(&[ready()]), "");
        assert_eq!(shown(&[ready(), up(&[])]), "monday   | shop is up\n");
        assert_eq!(
            shown(&[ready(), up(&["api"])]),
            "monday   | warning: shop is up, but without api\n"
        );
    }

    #[test]
    fn an_app_that_fails_is_an_error_and_one_that_ends_well_is_not() {
        let app = |phase, exit| {
            Event::App(AppStatus {
                name: "api".to_owned(),
                state: State {
                    phase,
                    exit,
                    ..State::default()
                },
                ..AppStatus::default()
            })
        };
        let text = shown(&[
            app(Phase::Exited, Some(Exit::Code(0))),
            app(Phase::Exited, Some(Exit::Code(127))),
            app(Phase::Exited, Some(Exit::Signal(11))),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "monday   | api: ended, exit status 0");
        assert!(lines[1].starts_with("monday   | error: api: ended, exit status 127 ("));
        assert_eq!(lines[2], "monday   | error: api: ended, killed by SIGSEGV");
    }
}
