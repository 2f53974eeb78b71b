//! The terminal and the socket around the model: what comes in, what is drawn and when, and that the terminal is as it
//! was afterwards.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use monday_shared::duration::Span;
use monday_shared::protocol::common::{Bulk, History, Shutdown, Subscribe};
use monday_shared::protocol::supervisor::{
    Event, ProjectStatus, Reconnect, Restart, Start, Status, Stop,
};
use monday_shared::rpc::client::{Client, ClientError, Events, Received};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, DisableMouseCapture, EnableMouseCapture};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::keyboard::Keyboard;
use super::keys::{Input, meaning};
use super::model::{Ask, Effect, Model, Row};
use super::{Leaving, screen};
use crate::view::console::colour;

/// How often the screen is drawn at most: faster than eyes follow, slow enough for SSH.
const FRAME: Duration = Duration::from_millis(50);

/// How long events may be taken in within one frame. What comes faster stays in the supervisor's queue and is skipped
/// there, with a count, so that a flood costs a tenth of one processor and no more.
const BUDGET: Duration = Duration::from_millis(4);

/// How many lines of each app are shown of before.
const LINES_BEFORE: usize = 500;

/// How often a forward that is looked at is asked about.
const TRAFFIC: Duration = Duration::from_secs(1);

/// How the UI ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The person left.
    Person,
    /// The project ended.
    Project,
    /// A signal came, of that number.
    Signal(i32),
}

/// Why there is no UI.
#[derive(Debug, thiserror::Error)]
pub enum UiError {
    /// The supervisor cannot be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The terminal cannot be used.
    #[error("cannot use the terminal: {0}; `--plain` shows lines instead")]
    Terminal(#[from] io::Error),
    /// Its status is of another version.
    #[error(
        "the supervisor's status cannot be understood: {0}; use executables of one version of monday together"
    )]
    Status(#[from] serde_json::Error),
}

/// Shows the project behind that socket until the person leaves or the project ends.
///
/// # Errors
/// [`UiError`]; the terminal is as it was then, too.
pub async fn run(socket: &Path, leaving: Leaving) -> Result<Left, UiError> {
    let wanted = Subscribe {
        bulk: Bulk::Lossy,
        history: Some(History {
            lines: Some(LINES_BEFORE),
            since: None,
        }),
        of: None,
    };
    let (client, reply, events) = Client::subscribe_as::<Event>(socket, &wanted).await?;
    let project: ProjectStatus = serde_json::from_value(reply.status)?;
    let model = Model::new(project, leaving, colour(&io::stdout()));
    let screen = Screen::open()?;
    let (asked, answers) = mpsc::channel(16);
    let mut driver = Driver {
        model,
        client,
        events,
        keys: Keyboard::start(),
        screen,
        asked,
        answers,
        is_dirty: true,
        looked: None,
    };
    let left = driver.run(leaving).await;
    driver.keys.stop();
    drop(driver.screen);
    left
}

/// The terminal in the state that the UI needs; dropping it brings back the one before.
struct Screen(Terminal<CrosstermBackend<io::Stdout>>);

impl Screen {
    fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        let opened = execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match opened {
            Ok(terminal) => {
                restore_on_panic();
                Ok(Self(terminal))
            }
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Brings the terminal back. Nothing can be done about a terminal that is gone.
fn restore() {
    let _ = execute!(
        io::stdout(),
        DisableMouseCapture,
        LeaveAlternateScreen,
        ratatui::crossterm::cursor::Show
    );
    let _ = disable_raw_mode();
}

/// A panic anywhere in the process is shown on the terminal as it was.
fn restore_on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
    });
}

/// What comes back from the supervisor, for the person.
enum Answer {
    Refused(String),
    Status(ProjectStatus),
}

struct Driver {
    model: Model,
    client: Client,
    events: Events<Event>,
    keys: Keyboard,
    screen: Screen,
    asked: mpsc::Sender<Answer>,
    answers: mpsc::Receiver<Answer>,
    is_dirty: bool,
    looked: Option<Instant>,
}

impl Driver {
    async fn run(&mut self, leaving: Leaving) -> Result<Left, UiError> {
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut signals = Signals::new(leaving)?;
        let mut budget = BUDGET;
        loop {
            let has_budget = !budget.is_zero();
            tokio::select! {
                biased;
                number = signals.next() => return Ok(Left::Signal(number)),
                _ = frames.tick() => {
                    budget = BUDGET;
                    self.look_at_traffic();
                    self.draw()?;
                }
                event = self.keys.next() => {
                    let Some(event) = event else {
                        let gone = io::Error::new(io::ErrorKind::BrokenPipe, "it is gone");
                        return Err(gone.into());
                    };
                    if let Some(left) = self.key(&event)? {
                        return Ok(left);
                    }
                }
                Some(answer) = self.answers.recv() => self.answer(answer),
                received = self.events.next(), if has_budget => {
                    let begun = Instant::now();
                    match received {
                        Some(received) => self.received(received),
                        None => return Ok(Left::Project),
                    }
                    budget = budget.saturating_sub(begun.elapsed().max(COST_OF_AN_EVENT));
                }
            }
        }
    }

    fn received(&mut self, received: Received<Event>) {
        match received {
            Received::Event(event) | Received::Past { event, .. } => self.model.event(event),
            Received::Lagged(dropped) => self.model.lagged(dropped),
        }
        self.is_dirty = true;
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Refused(why) => self.model.message = Some(why),
            Answer::Status(status) => self.model.status(status),
        }
        self.is_dirty = true;
    }

    fn key(&mut self, event: &event::Event) -> Result<Option<Left>, UiError> {
        let Some(input) = meaning(event, self.model.is_typing()) else {
            return Ok(None);
        };
        if matches!(input, Input::Redraw) {
            self.screen.0.autoresize()?;
        }
        self.is_dirty = true;
        match self.model.input(input) {
            Some(Effect::Leave) => return Ok(Some(Left::Person)),
            Some(Effect::Redraw) => self.screen.0.clear()?,
            Some(Effect::Copy(text)) => copy(&text)?,
            Some(Effect::Ask(ask)) => self.ask(ask),
            None => {}
        }
        Ok(None)
    }

    /// Asks the supervisor, and goes on meanwhile.
    fn ask(&self, ask: Ask) {
        let (client, asked) = (self.client.clone(), self.asked.clone());
        tokio::spawn(async move {
            let one = |name: String| vec![name];
            let answered = match ask {
                Ask::Restart(name) => client.call(&Restart { names: one(name) }).await.map(drop),
                Ask::Start(name) => client.call(&Start { names: one(name) }).await.map(drop),
                Ask::Stop(name) => {
                    let stop = Stop {
                        names: one(name),
                        timeout: None,
                    };
                    client.call(&stop).await.map(drop)
                }
                Ask::Reconnect(name) => {
                    client.call(&Reconnect { names: one(name) }).await.map(drop)
                }
                Ask::Shutdown => client.call(&Shutdown {}).await.map(drop),
                Ask::Kill => {
                    let kill = Stop {
                        names: Vec::new(),
                        timeout: Some(Span::default()),
                    };
                    client.call(&kill).await.map(drop)
                }
            };
            if let Err(error) = answered {
                // The UI may have ended.
                let _ = asked.send(Answer::Refused(error.to_string())).await;
            }
        });
    }

    /// What goes through a forward is asked for as long as it is looked at.
    fn look_at_traffic(&mut self) {
        let is_due = self.looked.is_none_or(|looked| looked.elapsed() >= TRAFFIC);
        if !is_due || !matches!(self.model.row(), Row::Forward(_)) {
            return;
        }
        self.looked = Some(Instant::now());
        let (client, asked) = (self.client.clone(), self.asked.clone());
        tokio::spawn(async move {
            let wanted = Status {
                traffic: true,
                ..Status::default()
            };
            if let Ok(status) = client.call(&wanted).await {
                // The UI may have ended.
                let _ = asked.send(Answer::Status(status)).await;
            }
        });
    }

    fn draw(&mut self) -> Result<(), UiError> {
        if !std::mem::take(&mut self.is_dirty) {
            return Ok(());
        }
        let model = &mut self.model;
        self.screen.0.draw(|frame| {
            model.layout = screen::layout(model, frame.area());
            model.show_selected();
            screen::draw(model, frame);
        })?;
        Ok(())
    }
}

/// What an event costs besides being taken in: it was read and parsed before.
const COST_OF_AN_EVENT: Duration = Duration::from_micros(20);

/// Gives the text to the clipboard of the terminal, over SSH as well (OSC 52 of xterm's control sequences).
fn copy(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "\u{1b}]52;c;{}\u{7}", BASE64.encode(text))?;
    stdout.flush()
}

/// The signals that end a UI which only looks; where it belongs to the supervisor, that one has them.
struct Signals(Vec<(i32, tokio::signal::unix::Signal)>);

impl Signals {
    fn new(leaving: Leaving) -> io::Result<Self> {
        let kinds = match leaving {
            Leaving::Stops => Vec::new(),
            Leaving::Detaches => vec![
                SignalKind::terminate(),
                SignalKind::hangup(),
                SignalKind::interrupt(),
            ],
        };
        let streams = kinds
            .into_iter()
            .map(|kind| Ok((kind.as_raw_value(), signal(kind)?)));
        streams.collect::<io::Result<_>>().map(Self)
    }

    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        std::future::poll_fn(|context| {
            for (number, stream) in &mut self.0 {
                if stream.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
