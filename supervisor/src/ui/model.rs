//! Everything that the screen shows, as data: events and inputs go in, calls to the supervisor come out. No I/O.

use std::collections::HashMap;
use std::sync::Arc;

use monday_shared::protocol::run::{Line, Output, Phase, Stream};
use monday_shared::protocol::supervisor::{
    AppStatus, Event, ForwardStatus, Level, ProjectStatus, TunnelStatus,
};

use super::Leaving;
use super::keys::Input;
use super::log::{Entry, Log};

/// The label of the supervisor's own lines.
pub(super) const OWN: &str = "monday";

/// One row of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// Everything.
    All,
    /// An app.
    App(String),
    /// A forward.
    Forward(String),
}

impl Row {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::All => "all",
            Self::App(name) | Self::Forward(name) => name,
        }
    }
}

/// What the supervisor is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Restart(String),
    Start(String),
    Stop(String),
    Reconnect(String),
    Shutdown,
    /// All apps are killed at once.
    Kill,
}

/// What is to be done outside of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Ask(Ask),
    /// Give this text to the terminal's clipboard.
    Copy(String),
    /// The UI ends; the project goes on.
    Leave,
    /// Draw everything again.
    Redraw,
}

/// Which half of the screen keys are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Focus {
    #[default]
    List,
    Output,
}

/// What lies over the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Over {
    #[default]
    Nothing,
    Help,
    /// Whether to stop everything: how many apps run.
    Quit(usize),
    /// Words are being typed.
    Search,
}

/// How far one log is scrolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the end, whatever comes.
    Following,
    /// The last line that is shown is the one before this number.
    Until(u64),
}

/// Where things are on the screen, as it was drawn last; keys and the mouse depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// How many columns the list takes.
    pub(super) list_width: u16,
    /// How many rows of the list are seen.
    pub(super) list_height: u16,
    /// How many lines of output are seen.
    pub(super) output_height: u16,
}

/// The state of the UI.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) project: ProjectStatus,
    pub(super) leaving: Leaving,
    pub(super) colours: bool,
    pub(super) selected: usize,
    /// The first row of the list that is seen.
    pub(super) top: usize,
    pub(super) focus: Focus,
    pub(super) zoomed: bool,
    pub(super) over: Over,
    pub(super) place: Place,
    /// What is searched for, in lower case.
    pub(super) words: String,
    /// The line of the last hit.
    pub(super) hit: Option<u64>,
    /// What was just done, or why not.
    pub(super) message: Option<String>,
    /// Why everything is being stopped.
    pub(super) stopping: Option<String>,
    pub(super) is_ready: bool,
    pub(super) layout: Layout,
    all: Log,
    logs: HashMap<String, Log>,
    labels: HashMap<String, Arc<str>>,
    interrupted: bool,
}

impl Model {
    pub(super) fn new(project: ProjectStatus, leaving: Leaving, colours: bool) -> Self {
        Self {
            project,
            leaving,
            colours,
            selected: 0,
            top: 0,
            focus: Focus::default(),
            zoomed: false,
            over: Over::default(),
            place: Place::Following,
            words: String::new(),
            hit: None,
            message: None,
            stopping: None,
            is_ready: false,
            layout: Layout::default(),
            all: Log::default(),
            logs: HashMap::new(),
            labels: HashMap::new(),
            interrupted: false,
        }
    }

    /// Whether letters are text at this moment.
    pub(super) fn is_typing(&self) -> bool {
        self.over == Over::Search
    }

    /// The rows of the list.
    pub(super) fn rows(&self) -> Vec<Row> {
        let apps = self.project.apps.iter();
        let forwards = self.project.forwards.iter();
        std::iter::once(Row::All)
            .chain(apps.map(|app| Row::App(app.name.clone())))
            .chain(forwards.map(|forward| Row::Forward(forward.name.clone())))
            .collect()
    }

    /// The row that is selected.
    pub(super) fn row(&self) -> Row {
        self.rows()
            .into_iter()
            .nth(self.selected)
            .unwrap_or(Row::All)
    }

    pub(super) fn app(&self, name: &str) -> Option<&AppStatus> {
        self.project.apps.iter().find(|app| app.name == name)
    }

    pub(super) fn forward(&self, name: &str) -> Option<&ForwardStatus> {
        let forwards = &self.project.forwards;
        forwards.iter().find(|forward| forward.name == name)
    }

    /// Every name that stands before a line.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        let apps = self.project.apps.iter().map(|app| app.name.as_str());
        apps.chain(self.labels.keys().map(String::as_str))
    }

    /// The log of the row that is selected.
    pub(super) fn log(&self) -> Option<&Log> {
        match self.row() {
            Row::All => Some(&self.all),
            row => self.logs.get(row.name()),
        }
    }

    /// Takes what the supervisor told.
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Ready(project) => {
                self.project = project;
                self.is_ready = true;
                self.own(None, "everything was started".to_owned());
            }
            Event::Up { failed } => {
                let without = match failed.as_slice() {
                    [] => String::new(),
                    failed => format!(", but for {}", failed.join(", ")),
                };
                self.own(None, format!("everything is ready{without}"));
            }
            Event::App(app) => {
                self.own(Some(&app.name.clone()), app.to_string());
                let known = self.project.apps.iter_mut();
                match known.into_iter().find(|known| known.name == app.name) {
                    Some(known) => *known = app,
                    None => self.project.apps.push(app),
                }
            }
            Event::Forward(forward) => {
                self.own(Some(&forward.name.clone()), forward.to_string());
                let known = self.project.forwards.iter_mut();
                match known.into_iter().find(|known| known.name == forward.name) {
                    Some(known) => *known = forward,
                    None => self.project.forwards.push(forward),
                }
            }
            Event::Tunnel { forward, tunnel } => self.tunnel(&forward, tunnel),
            Event::Sidecar(_) => {}
            Event::Output { app, output } => self.output(&app, output),
            Event::Notice {
                level,
                subject,
                message,
            } => self.notice(level, subject.as_deref(), &message),
            Event::Reloaded { difference, status } => {
                self.own(None, difference.told());
                self.status(status);
            }
            Event::Stopping { reason } => {
                self.own(None, format!("stopping: {reason}"));
                self.stopping = Some(reason);
            }
        }
    }

    /// Takes a status that was asked for.
    pub(super) fn status(&mut self, status: ProjectStatus) {
        self.project = status;
        self.selected = self.selected.min(self.rows().len().saturating_sub(1));
    }

    /// So many lines were not read, because we were too slow.
    pub(super) fn lagged(&mut self, dropped: u64) {
        let text =
            format!("{dropped} lines were skipped here: they came faster than they are shown");
        self.own(None, text);
    }

    fn tunnel(&mut self, forward: &str, tunnel: TunnelStatus) {
        let via = tunnel.via.as_ref().map(|via| format!(" via {via}"));
        let why = tunnel.why.as_ref().map(|why| format!(": {why}"));
        let (via, why) = (via.unwrap_or_default(), why.unwrap_or_default());
        let text = format!("{}: tunnel {}{via}{why}", tunnel.id, tunnel.phase);
        self.own(Some(forward), text);
        let known = self.project.forwards.iter_mut();
        if let Some(forward) = known.into_iter().find(|known| known.name == forward) {
            forward.tunnels.retain(|known| known.id != tunnel.id);
            forward.tunnels.push(tunnel);
        }
    }

    fn notice(&mut self, level: Level, subject: Option<&str>, message: &str) {
        let word = match level {
            Level::Info => "",
            Level::Warning => "warning: ",
            Level::Error => "error: ",
        };
        let about = subject.map(|name| format!("{name}: ")).unwrap_or_default();
        self.own(subject, format!("{word}{about}{message}"));
    }

    /// A line of the supervisor's own, in the log of everything and in that of whoever it is about.
    fn own(&mut self, subject: Option<&str>, text: String) {
        for line in text.lines() {
            let entry = Entry {
                label: self.label(OWN),
                text: line.into(),
                stream: Stream::Stdout,
                open: false,
            };
            if let Some(subject) = subject
                && (self.app(subject).is_some() || self.forward(subject).is_some())
            {
                self.log_of(subject).push(entry.clone());
            }
            self.all.push(entry);
        }
    }

    fn output(&mut self, label: &str, output: Output) {
        let app = label
            .split_once(':')
            .map_or(label, |(app, _)| app)
            .to_owned();
        let shared = self.label(label);
        let count = output.lines.len();
        for (at, Line(bytes)) in output.lines.into_iter().enumerate() {
            let open = output.partial && at + 1 == count;
            let text: Arc<str> = String::from_utf8_lossy(&bytes).into();
            let entry = Entry {
                label: Arc::clone(&shared),
                text,
                stream: output.stream,
                open,
            };
            for log in [self.logs.entry(app.clone()).or_default(), &mut self.all] {
                put(log, entry.clone());
            }
        }
    }

    fn log_of(&mut self, name: &str) -> &mut Log {
        self.logs.entry(name.to_owned()).or_default()
    }

    fn label(&mut self, label: &str) -> Arc<str> {
        if let Some(shared) = self.labels.get(label) {
            return Arc::clone(shared);
        }
        let shared: Arc<str> = label.into();
        self.labels.insert(label.to_owned(), Arc::clone(&shared));
        shared
    }

    /// Takes what a person wants; returns what is to be done about it.
    pub(super) fn input(&mut self, input: Input) -> Option<Effect> {
        match (&self.over, &input) {
            (_, Input::Redraw) => return Some(Effect::Redraw),
            (_, Input::Interrupt) => return Some(self.interrupt()),
            (Over::Quit(_), Input::Enter | Input::Letter('y' | 'Y')) => {
                self.over = Over::Nothing;
                return Some(Effect::Ask(Ask::Shutdown));
            }
            (Over::Help | Over::Quit(_), _) => {
                self.over = Over::Nothing;
                return None;
            }
            (Over::Search, _) => {
                self.search(&input);
                return None;
            }
            (Over::Nothing, _) => {}
        }
        self.message = None;
        match input {
            Input::Move(by) => self.scroll_focused(by),
            Input::Page(pages) => self.page(pages),
            Input::First => self.jump(false),
            Input::Last => self.jump(true),
            Input::Switch => {
                self.zoomed = false;
                self.focus = match self.focus {
                    Focus::List => Focus::Output,
                    Focus::Output => Focus::List,
                };
            }
            Input::Zoom | Input::Enter => {
                self.zoomed = !self.zoomed;
                self.focus = if self.zoomed {
                    Focus::Output
                } else {
                    Focus::List
                };
            }
            Input::Back => {
                self.words.clear();
                self.hit = None;
                self.zoomed = false;
                self.focus = Focus::List;
                self.place = Place::Following;
            }
            Input::Follow => self.follow(),
            Input::Search => {
                self.words.clear();
                self.hit = None;
                self.over = Over::Search;
            }
            Input::NextHit { backwards } => self.next_hit(backwards),
            Input::Help => self.over = Over::Help,
            Input::Click { column, row } => self.click(column, row),
            Input::Wheel { lines, column } => {
                if column < self.layout.list_width && !self.zoomed {
                    self.select_by(lines.signum());
                } else {
                    self.scroll(lines);
                }
            }
            Input::Restart => return self.restart(),
            Input::StopOrStart => return self.stop_or_start(),
            Input::Copy => return self.copy(),
            Input::Quit => return self.quit(),
            Input::Letter(_) | Input::Erase | Input::Redraw | Input::Interrupt => {}
        }
        None
    }

    fn search(&mut self, input: &Input) {
        match input {
            Input::Letter(letter) => self.words.extend(letter.to_lowercase()),
            Input::Erase => {
                self.words.pop();
            }
            Input::Enter => {
                self.over = Over::Nothing;
                self.next_hit(true);
            }
            Input::Back => {
                self.words.clear();
                self.over = Over::Nothing;
            }
            _ => {}
        }
    }

    fn next_hit(&mut self, backwards: bool) {
        if self.words.is_empty() {
            self.message = Some("nothing is searched for: type / and some words".to_owned());
            return;
        }
        let words = self.words.clone();
        let Some(log) = self.log() else { return };
        let end = log.end();
        let from = self.hit.unwrap_or(match self.place {
            Place::Following => end,
            Place::Until(number) => number,
        });
        if let Some(number) = log.find(&words, from, backwards) {
            self.hit = Some(number);
            // In the middle of the screen, if there is enough below it.
            let below = u64::from(self.layout.output_height / 2);
            self.place = Place::Until((number + 1 + below).min(end));
            self.message = None;
        } else {
            let which = if backwards { "before" } else { "after" };
            self.message = Some(format!("`{words}` does not occur {which} here"));
        }
    }

    fn follow(&mut self) {
        self.place = match self.place {
            Place::Following => Place::Until(self.log().map_or(0, Log::end)),
            Place::Until(_) => Place::Following,
        };
    }

    fn scroll_focused(&mut self, by: i64) {
        match self.focus {
            Focus::List => self.select_by(by),
            Focus::Output => self.scroll(by),
        }
    }

    fn page(&mut self, pages: i64) {
        let height = match self.focus {
            Focus::List => self.layout.list_height,
            Focus::Output => self.layout.output_height,
        };
        self.scroll_focused(pages * i64::from(height.saturating_sub(1).max(1)));
    }

    fn jump(&mut self, last: bool) {
        match (self.focus, last) {
            (Focus::List, false) => self.select(0),
            (Focus::List, true) => self.select(usize::MAX),
            (Focus::Output, true) => self.place = Place::Following,
            (Focus::Output, false) => {
                let first = self.log().map_or(0, Log::first);
                self.place = Place::Until(first + u64::from(self.layout.output_height));
                self.scroll(0);
            }
        }
    }

    fn select_by(&mut self, by: i64) {
        let at = i64::try_from(self.selected)
            .unwrap_or(0)
            .saturating_add(by)
            .max(0);
        self.select(usize::try_from(at).unwrap_or(0));
    }

    fn select(&mut self, at: usize) {
        let at = at.min(self.rows().len().saturating_sub(1));
        if at != self.selected {
            self.selected = at;
            self.place = Place::Following;
            self.hit = None;
        }
        self.show_selected();
    }

    /// Scrolls the list so that the selected row is seen.
    pub(super) fn show_selected(&mut self) {
        let height = usize::from(self.layout.list_height.max(1));
        let most = self.rows().len().saturating_sub(height);
        self.top = self
            .top
            .min(most)
            .min(self.selected)
            .max((self.selected + 1).saturating_sub(height));
    }

    fn scroll(&mut self, by: i64) {
        let Some(log) = self.log() else { return };
        let (first, end) = (log.first(), log.end());
        let height = u64::from(self.layout.output_height);
        let now = match self.place {
            Place::Following => end,
            Place::Until(number) => number,
        };
        let wanted = now.saturating_add_signed(by).max((first + height).min(end));
        self.place = if wanted >= end && by > 0 {
            Place::Following
        } else {
            Place::Until(wanted.min(end))
        };
    }

    fn click(&mut self, column: u16, row: u16) {
        if self.zoomed || column >= self.layout.list_width {
            self.focus = Focus::Output;
            return;
        }
        self.focus = Focus::List;
        // The first line is the heading.
        if (1..=self.layout.list_height).contains(&row) {
            self.select(self.top + usize::from(row) - 1);
        }
    }

    fn restart(&mut self) -> Option<Effect> {
        match self.row() {
            Row::App(name) => {
                self.message = Some(format!("restarting {name}"));
                Some(Effect::Ask(Ask::Restart(name)))
            }
            Row::Forward(name) => {
                self.message = Some(format!("reconnecting {name}"));
                Some(Effect::Ask(Ask::Reconnect(name)))
            }
            Row::All => self.choose_one(),
        }
    }

    fn stop_or_start(&mut self) -> Option<Effect> {
        match self.row() {
            Row::App(name) => {
                let runs = self.app(&name).is_some_and(is_alive);
                Some(Effect::Ask(if runs {
                    self.message = Some(format!("stopping {name}"));
                    Ask::Stop(name)
                } else {
                    self.message = Some(format!("starting {name}"));
                    Ask::Start(name)
                }))
            }
            Row::Forward(_) => {
                self.message = Some("a forward is not stopped alone; r reconnects it".to_owned());
                None
            }
            Row::All => self.choose_one(),
        }
    }

    fn choose_one(&mut self) -> Option<Effect> {
        self.message = Some("choose an app or a forward first".to_owned());
        None
    }

    fn copy(&mut self) -> Option<Effect> {
        let row = self.row();
        let address = match &row {
            Row::All => None,
            Row::App(name) => self.app(name).and_then(|app| {
                let hostname = app.hostname.clone().filter(|_| self.project.names);
                hostname.or_else(|| app.ip.map(|ip| ip.to_string()))
            }),
            Row::Forward(name) => self.forward(name).and_then(|forward| {
                let route = forward.routes.first()?;
                Some(
                    match forward.hostname.as_ref().filter(|_| self.project.names) {
                        Some(hostname) => format!("{hostname}:{}", route.listen.port()),
                        None => route.listen.to_string(),
                    },
                )
            }),
        };
        let Some(address) = address else {
            self.message = Some(format!("{} has no address to copy", row.name()));
            return None;
        };
        self.message = Some(format!("copied {address}"));
        Some(Effect::Copy(address))
    }

    fn quit(&mut self) -> Option<Effect> {
        if self.leaving == Leaving::Detaches {
            return Some(Effect::Leave);
        }
        match self.alive() {
            0 => Some(Effect::Ask(Ask::Shutdown)),
            alive => {
                self.over = Over::Quit(alive);
                None
            }
        }
    }

    /// Ctrl-C: as without a UI, the first asks and the second kills.
    fn interrupt(&mut self) -> Effect {
        if self.leaving == Leaving::Detaches {
            return Effect::Leave;
        }
        if std::mem::replace(&mut self.interrupted, true) || self.stopping.is_some() {
            self.message = Some("killing what is left".to_owned());
            return Effect::Ask(Ask::Kill);
        }
        Effect::Ask(Ask::Shutdown)
    }

    /// How many apps have a process.
    pub(super) fn alive(&self) -> usize {
        self.project.apps.iter().filter(|app| is_alive(app)).count()
    }
}

/// Whether something of it runs, or will.
pub(super) fn is_alive(app: &AppStatus) -> bool {
    app.stage.is_some()
        || matches!(
            app.state.phase,
            Phase::Running | Phase::Stopping | Phase::Waiting
        )
}

/// A line that comes in pieces is put together up to so many bytes.
const LONGEST_BYTES: usize = 64 * 1024;

/// Puts a line into a log, where it may be the rest of one that is there.
fn put(log: &mut Log, entry: Entry) {
    match log.last_of(&entry) {
        Some(last) if last.open && last.text.len() < LONGEST_BYTES => {
            last.text = format!("{}{}", last.text, entry.text).into();
            last.open = entry.open;
        }
        _ => log.push(entry),
    }
}
