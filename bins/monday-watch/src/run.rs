//! The life of the executable around the watcher: what is printed, what is run, what ends it, and with which status.

use std::time::{Duration, Instant};

use monday_shared::life::exit::{TIMED_OUT, status_code};
use monday_shared::life::report::{Reporter, Sink};
use monday_shared::life::{Ending, LifeArgs, OutputFormat, Sidecar};
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::watch::{Changed, Event, Served, WatchSpec};
use monday_shared::rpc::hub::{Delivery, Hub, Subscription};

use crate::control::Control;
use crate::error::Error;
use crate::job::{self, Job};
use crate::text::{ReadyFirst, Text, json};
use crate::watcher::Watcher;

/// How long COMMAND may take to end when our parent is gone.
const LIFELINE_GRACE: Duration = Duration::from_secs(1);

/// How long a reader of standard output may stall before it loses lines, if there are others who must not be held up.
const STALLED_READER: Duration = Duration::from_secs(1);

/// What the flags say.
#[derive(Debug)]
pub struct Settings {
    /// What to watch; nothing: wait until a client says so.
    pub spec: Option<WatchSpec>,
    /// What to run.
    pub job: Option<job::Settings>,
    /// Whether it is run at the first change only, and not at the start.
    pub postpone: bool,
    /// Whether the first change is the end.
    pub once: bool,
    /// How long that may take.
    pub timeout: Option<Duration>,
    /// What every executable is told.
    pub life: LifeArgs,
}

/// Watches until somebody ends it, or until the first change, and returns the status to exit with.
///
/// # Errors
/// [`Error`] if something that is needed cannot be had.
pub async fn run(settings: Settings) -> Result<u8, Error> {
    let Settings {
        spec,
        job,
        postpone,
        once,
        timeout,
        life,
    } = settings;
    let mut sidecar = Sidecar::begin(&life, false)?;
    let hub = Hub::new();
    // Both before anything is watched: no change is missed.
    let reporter = report(&hub, &life, job.is_some())?;
    let (_, events) = hub.subscribe(Bulk::Skip);
    let watcher = Watcher::start(hub.clone()).map_err(|source| Error::Io {
        what: "start to watch",
        source,
    })?;
    let job = job.map(|job| Job::new(job, hub.clone())).transpose();
    let job = job.map_err(|source| Error::Io {
        what: "become the parent of orphans",
        source,
    })?;
    let begun = watcher.watch(spec.into_iter().collect()).await?;
    sidecar.serve(Served(Control(watcher.clone())), &hub);
    sidecar.ready(&hub, Event::Ready { watches: begun });
    let mut run = Run {
        is_read: true,
        only_printed: life.control.is_none() && job.is_none(),
        _watcher: watcher,
        sidecar,
        reporter,
        events,
        job,
        once,
        give_up_at: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
    };
    if let Some(job) = run.job.as_mut().filter(|_| !postpone) {
        job.begin();
    }
    let status = run.until_end().await;
    if run.is_read {
        run.reporter.finish().await;
    }
    run.sidecar.finish().await;
    status
}

/// Prints events: on standard output, except for text beside a COMMAND that writes there.
fn report(hub: &Hub<Event>, life: &LifeArgs, has_command: bool) -> Result<Reporter, Error> {
    let patience = if life.control.is_none() {
        Duration::MAX
    } else {
        STALLED_READER
    };
    let (_, subscription) = hub.subscribe_with_patience(Bulk::Lossless, patience);
    let reporter = match (life.output, has_command) {
        (OutputFormat::Json, _) => Reporter::start(subscription, Sink::Stdout, json()),
        (OutputFormat::Text, false) => {
            Reporter::start(subscription, Sink::Stdout, ReadyFirst::new(Text::new("")))
        }
        (OutputFormat::Text, true) => Reporter::start(
            subscription,
            Sink::Stderr,
            ReadyFirst::new(Text::new("monday-watch: ")),
        ),
    };
    reporter.map_err(|source| Error::Io {
        what: "start to print events",
        source,
    })
}

struct Run {
    sidecar: Sidecar,
    /// It watches as long as somebody could ask it.
    _watcher: Watcher,
    reporter: Reporter,
    /// Whether what is printed is still read.
    is_read: bool,
    /// Whether printing is all that is done with what changes.
    only_printed: bool,
    events: Subscription<Event>,
    job: Option<Job>,
    once: bool,
    /// When the first change comes too late.
    give_up_at: Option<Instant>,
}

enum Happened {
    Request(Ending),
    Changed(Changed),
    /// COMMAND ended, with that status.
    Ended(u8),
    TooLate,
    NobodyReads,
}

impl Run {
    async fn until_end(&mut self) -> Result<u8, Error> {
        loop {
            match self.next().await? {
                Happened::Request(ending) => {
                    self.stop(ending).await?;
                    return Ok(ending.exit_code());
                }
                Happened::Changed(changed) => {
                    self.give_up_at = None;
                    match &mut self.job {
                        Some(job) => job.changed(&changed),
                        None if self.once => return Ok(0),
                        None => {}
                    }
                }
                Happened::Ended(status) if self.once => return Ok(status),
                Happened::Ended(_) => {}
                Happened::TooLate => return Ok(TIMED_OUT),
                Happened::NobodyReads => {
                    self.is_read = false;
                    return Ok(0);
                }
            }
        }
    }

    async fn next(&mut self) -> Result<Happened, Error> {
        let Self {
            sidecar,
            reporter,
            only_printed,
            events,
            job,
            give_up_at,
            ..
        } = self;
        loop {
            tokio::select! {
                request = sidecar.next_request() => return Ok(Happened::Request(request?)),
                delivery = events.next() => match delivery {
                    Some(Delivery::Event(event)) => if let Event::Changed(changed) = &event.event {
                        return Ok(Happened::Changed(changed.clone()));
                    }
                    // Nothing that can be dropped was asked for, and what comes is taken at once.
                    Some(Delivery::Past(_) | Delivery::Lagged(_)) | None => {}
                },
                status = next_end(job.as_mut()) => return Ok(Happened::Ended(status)),
                () = at(*give_up_at) => return Ok(Happened::TooLate),
                () = reporter.printed(), if *only_printed => return Ok(Happened::NobodyReads),
            }
        }
    }

    /// Ends COMMAND; a second signal meanwhile kills it.
    async fn stop(&mut self, ending: Ending) -> Result<(), Error> {
        let Some(job) = &mut self.job else {
            return Ok(());
        };
        let mut runs = match ending {
            // The signal is passed on; COMMAND is not in the terminal's group.
            Ending::Signal(signal) => job.close(Some(signal), None),
            Ending::ParentGone => job.close(None, Some(LIFELINE_GRACE)),
            Ending::Shutdown | Ending::Command(_) => job.close(None, None),
        };
        while runs {
            tokio::select! {
                _ = job.next_end() => runs = false,
                again = self.sidecar.next_request() => {
                    let at_most = match again? {
                        Ending::Signal(_) => Duration::ZERO,
                        _ => LIFELINE_GRACE,
                    };
                    runs = job.close(None, Some(at_most));
                }
            }
        }
        Ok(())
    }
}

async fn next_end(job: Option<&mut Job>) -> u8 {
    match job {
        Some(job) => status_code(job.next_end().await),
        None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
