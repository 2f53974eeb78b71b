//! `--log-dir`: a file for each app, and one for what monday itself says: what a CI job keeps.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use monday_shared::life::report::Format as _;
use monday_shared::protocol::common::Bulk;
use monday_shared::protocol::message::Stamped;
use monday_shared::protocol::supervisor::{Event, Level};
use monday_shared::rpc::hub::{Delivery, Subscription};
use monday_shared::socket::runtime_dir::file_name;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::lines::Lines;
use crate::state::State;

/// The file of what monday itself says.
const OWN: &str = "monday-supervisor";

/// How many events wait for the disk before apps do.
const EVENTS_AHEAD: usize = 64;

/// Writes the files until [`LogDir::finish`].
#[derive(Debug)]
pub struct LogDir {
    stop: CancellationToken,
    written: tokio::sync::oneshot::Receiver<()>,
}

impl LogDir {
    /// Makes the folder and begins to write. Files of an earlier run are replaced.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn start(folder: &Path, state: &State) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (events, to_write) = mpsc::channel(EVENTS_AHEAD);
        let (done, written) = tokio::sync::oneshot::channel();
        let files = Files {
            folder: folder.to_owned(),
            open: HashMap::new(),
            own: Lines::new([], false),
            state: state.clone(),
            has_failed: false,
        };
        std::thread::Builder::new()
            .name("log-dir".to_owned())
            .spawn(move || {
                files.write(to_write);
                // Whoever waited may have gone.
                let _ = done.send(());
            })?;
        let stop = CancellationToken::new();
        // A file loses nothing: a slow disk pushes back on apps.
        let (_, subscription) = state.hub().subscribe(Bulk::Lossless);
        tokio::spawn(pass_on(subscription, events, stop.clone()));
        Ok(Self { stop, written })
    }

    /// Writes what was told until now, and ends.
    pub async fn finish(self) {
        self.stop.cancel();
        let _ = self.written.await;
    }
}

async fn pass_on(
    mut subscription: Subscription<Event>,
    events: mpsc::Sender<Arc<Stamped<Event>>>,
    stop: CancellationToken,
) {
    loop {
        let delivery = tokio::select! {
            biased;
            delivery = subscription.next() => delivery,
            () = stop.cancelled() => subscription.try_next(),
        };
        match delivery {
            Some(Delivery::Event(event)) => {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            Some(_) => {}
            None => return,
        }
    }
}

struct Files {
    folder: PathBuf,
    open: HashMap<String, BufWriter<File>>,
    own: Lines,
    state: State,
    has_failed: bool,
}

impl Files {
    fn write(mut self, mut events: mpsc::Receiver<Arc<Stamped<Event>>>) {
        while let Some(event) = events.blocking_recv() {
            self.event(&event.event);
            if events.is_empty() {
                self.flush();
            }
        }
        self.flush();
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Output { app, output } => {
                let mut text = Vec::new();
                let count = output.lines.len();
                for (at, line) in output.lines.iter().enumerate() {
                    text.extend_from_slice(&line.0);
                    if !output.partial || at + 1 < count {
                        text.push(b'\n');
                    }
                }
                self.append(app, &text);
            }
            other => {
                let mut text = Vec::new();
                self.own.event(other, &mut text);
                self.append(OWN, &text);
            }
        }
    }

    fn append(&mut self, label: &str, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let outcome = self.file(label).and_then(|file| file.write_all(text));
        self.check(label, outcome);
    }

    fn file(&mut self, label: &str) -> io::Result<&mut BufWriter<File>> {
        if !self.open.contains_key(label) {
            // `api:build` becomes `api.build.log`.
            let name = file_name(&label.replace(':', "."));
            let file = File::create(self.folder.join(format!("{name}.log")))?;
            self.open.insert(label.to_owned(), BufWriter::new(file));
        }
        self.open
            .get_mut(label)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn flush(&mut self) {
        let flushed: Vec<(String, io::Result<()>)> = self
            .open
            .iter_mut()
            .map(|(label, file)| (label.clone(), file.flush()))
            .collect();
        for (label, outcome) in flushed {
            self.check(&label, outcome);
        }
    }

    /// The first failure is told; a full disk stays full for a while.
    fn check(&mut self, label: &str, outcome: io::Result<()>) {
        if let Err(error) = outcome
            && !std::mem::replace(&mut self.has_failed, true)
        {
            let message = format!(
                "cannot write the log of {label} into {}: {error}; the project goes on",
                self.folder.display()
            );
            self.state.notice(Level::Error, None, message);
        }
    }
}
