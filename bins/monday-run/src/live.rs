//! Real processes: what the state machine decides is done here, with everything that belongs to a command around it
//! (its output, its log file, its probe, its lease).

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use monday_shared::lease::{Lease, MARK_VARIABLE};
use monday_shared::platform::process_tree::Sent;
use monday_shared::protocol::run::{Event, Readiness, Stream};
use monday_shared::rpc::hub::Hub;
use nix::sys::signal::Signal;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::children::{Children, Ended, Left};
use crate::helper::{Helper, Helpers, Inside};
use crate::log_file::Writer;
use crate::output::{self, Sinks, Source};
use crate::probe::{self, Evidence};
use crate::request::Refusal;
use crate::spawn::{Output, SpawnError, Spawned, Surroundings};
use crate::spec::CheckedSpec;
use crate::state::Processes;
use crate::stop::Rest;
use crate::stop_commands;

/// The pause between two looks for what helpers left behind: about what a killed process needs to vanish.
const SWEEP_PAUSE: Duration = Duration::from_millis(2);

/// How often it is looked for; whoever is still there then cannot be killed.
const SWEEPS: u32 = 500;

/// Real processes, and what belongs to them.
#[derive(Debug)]
pub(crate) struct Live {
    children: Children,
    hub: Hub<Event>,
    helpers: Helpers,
    /// The file that names what has to be ended if we cannot.
    lease: Option<PathBuf>,
    /// What all processes carry that we start.
    mark: String,
    /// The readers of the last command's output; those of earlier ones go on by themselves.
    readers: JoinSet<()>,
    switches: output::Switches,
    sinks: Sinks,
    unwanted: bool,
    /// Nobody is listened to any more.
    deaf: CancellationToken,
    log: Option<Writer>,
    probing: Option<AbortHandle>,
    stop_commands: Option<AbortHandle>,
}

impl Live {
    /// Nothing runs yet. `inside` is where the guardian hears from its own tasks.
    ///
    /// # Errors
    /// What the system says when it is asked for orphans.
    pub(crate) fn new(
        hub: Hub<Event>,
        inside: mpsc::UnboundedSender<Inside>,
        lease: Option<PathBuf>,
    ) -> io::Result<Self> {
        Ok(Self {
            children: Children::new()?,
            sinks: Sinks {
                hub: hub.clone(),
                log: None,
                tap: None,
            },
            hub,
            helpers: Helpers::new(inside),
            lease,
            mark: mark(),
            readers: JoinSet::new(),
            switches: output::Switches::default(),
            unwanted: false,
            deaf: CancellationToken::new(),
            log: None,
            probing: None,
            stop_commands: None,
        })
    }

    /// Whether the last command's output has not ended.
    pub(crate) fn output_is_open(&self) -> bool {
        !self.readers.is_empty()
    }

    /// Waits until one of the streams has ended; never, if none is open. Dropping the future loses nothing.
    pub(crate) async fn output_ended(&mut self) {
        if self.readers.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Nobody takes output any more.
    pub(crate) fn close_output(&mut self) {
        self.unwanted = true;
        self.switches.unwanted.cancel();
    }

    /// Starts a program beside the command.
    ///
    /// # Errors
    /// Why it cannot be started, in words.
    pub(crate) fn start_helper(
        &mut self,
        spec: &CheckedSpec,
        output: Output,
    ) -> Result<Helper, String> {
        let surroundings = self.surroundings();
        let started = self.children.spawn_helper(spec, &surroundings, output);
        let (spawned, exit) = started.map_err(|error| error.to_string())?;
        Ok(Helper {
            pid: spawned.pid,
            output: [spawned.stdout, spawned.stderr],
            exit,
        })
    }

    /// Kills a helper if it is alive.
    pub(crate) fn kill_helper(&self, pid: u32) {
        self.children.kill_helper(pid);
    }

    /// Whether helpers run.
    pub(crate) fn has_helpers(&self) -> bool {
        self.children.has_helpers()
    }

    /// Ends what helpers left behind, and waits until the log file is written.
    pub(crate) async fn finish(&mut self) {
        for _ in 0..SWEEPS {
            self.children.reap();
            if self.children.left().alive.is_empty() {
                break;
            }
            self.children.kill();
            tokio::time::sleep(SWEEP_PAUSE).await;
        }
        self.deaf.cancel();
        self.sinks.log = None;
        if let Some(log) = self.log.take() {
            log.finish().await;
        }
    }

    fn surroundings(&self) -> Surroundings {
        let above = std::env::var(MARK_VARIABLE).map(|marks| format!(":{marks}"));
        let marks = format!("{}{}", self.mark, above.unwrap_or_default());
        Surroundings {
            env: vec![(MARK_VARIABLE, marks)],
        }
    }

    fn stop_probing(&mut self) {
        if let Some(probing) = self.probing.take() {
            probing.abort();
        }
    }

    /// Opens the log file, or goes on with the one that is open.
    fn open_log(&mut self, spec: &CheckedSpec) -> Result<(), SpawnError> {
        if self.log.as_ref().map(|log| &log.file) == spec.log_file() {
            return Ok(());
        }
        self.log = match spec.log_file() {
            None => None,
            Some(file) => {
                Some(
                    Writer::start(file.clone()).map_err(|source| SpawnError::LogFile {
                        program: spec.program().to_owned(),
                        path: file.path.clone(),
                        source,
                    })?,
                )
            }
        };
        Ok(())
    }

    fn write_lease(&self, lease: &Lease) {
        if let Some(path) = &self.lease
            && let Err(error) = lease.write(path)
        {
            tracing::warn!(
                "{error}; if monday-run is killed, nobody will know what it left behind"
            );
        }
    }

    fn drop_lease(&self) {
        if let Some(path) = &self.lease {
            // A file that stays names nobody who is alive.
            let _ = std::fs::remove_file(path);
        }
    }

    fn read_output(&mut self, generation: u64, spawned: Spawned) {
        self.readers.detach_all();
        let streams = [
            (Stream::Stdout, spawned.stdout),
            (Stream::Stderr, spawned.stderr),
        ];
        for (stream, fd) in streams {
            let Some(fd) = fd else { continue };
            let source = Source { generation, stream };
            let reading = output::forward(fd, source, self.sinks.clone(), self.switches.clone());
            self.readers.spawn(async move {
                if let Err(error) = reading.await {
                    tracing::warn!(%error, "cannot read the command's {stream:?} any further");
                }
            });
        }
    }

    fn probe(
        &mut self,
        generation: u64,
        spec: &Arc<CheckedSpec>,
        readiness: Readiness,
        mut evidence: Evidence,
    ) {
        let helpers = self.helpers.clone();
        let spec = Arc::clone(spec);
        let task = tokio::spawn(async move {
            let ready = probe::until_ready(&spec, &readiness, &mut evidence).await;
            helpers.tell(Inside::Probed(generation, ready));
            evidence.ignore().await;
        });
        self.probing = Some(task.abort_handle());
    }
}

/// A text that nobody else has.
fn mark() -> String {
    // Two states that the operating system seeded: 128 bits.
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", random(), random())
}

impl Processes for Live {
    fn spawn(&mut self, generation: u64, spec: &Arc<CheckedSpec>) -> Result<u32, SpawnError> {
        self.open_log(spec)?;
        let mut surroundings = self.surroundings();
        let (evidence, tap) = Evidence::prepare(spec, generation, self.helpers.clone())?;
        surroundings.env.extend(evidence.variable());
        self.write_lease(&Lease::before_start(&self.mark));
        let spawned = self.children.spawn(spec, &surroundings).inspect_err(|_| {
            self.drop_lease();
        })?;
        let pid = spawned.pid;
        self.write_lease(&Lease::of(&self.mark, pid));
        self.sinks = Sinks {
            hub: self.hub.clone(),
            log: self.log.as_ref().map(Writer::log),
            tap,
        };
        self.switches = output::Switches {
            kept: spec.keep_children().then(|| self.deaf.clone()),
            ..output::Switches::default()
        };
        if self.unwanted {
            self.switches.unwanted.cancel();
        }
        self.read_output(generation, spawned);
        self.stop_probing();
        if let Some(readiness) = spec.ready().cloned() {
            self.probe(generation, spec, readiness, evidence);
        }
        Ok(pid)
    }

    fn reap(&mut self) -> Vec<Ended> {
        self.children.reap()
    }

    fn signal_group(&self, signal: Signal) -> Result<(), Refusal> {
        delivered(signal, self.children.signal_group(signal))
    }

    fn ask_group(&mut self, signal: Signal) -> Result<(), Refusal> {
        self.stop_probing();
        let asked = self.children.ask_group(signal);
        delivered(signal, asked)
    }

    fn ask_rest(&self, signal: Signal) {
        self.children.ask_rest(signal);
    }

    fn look(&self) -> Rest {
        self.rest(self.children.left())
    }

    fn kill(&self) -> Rest {
        self.rest(self.children.kill())
    }

    fn run_stop_commands(&mut self, generation: u64, spec: &Arc<CheckedSpec>) {
        self.stop_probing();
        let task = tokio::spawn(stop_commands::run(
            Arc::clone(spec),
            generation,
            self.helpers.clone(),
            self.sinks.clone(),
            self.switches.clone(),
        ));
        self.stop_commands = Some(task.abort_handle());
    }

    fn end_stop_commands(&mut self) {
        if let Some(task) = self.stop_commands.take() {
            task.abort();
        }
    }

    fn keep(&mut self) {
        self.children.keep_group();
    }

    fn over(&mut self, everybody: bool) {
        self.stop_probing();
        self.end_stop_commands();
        self.switches.over.cancel();
        if everybody {
            self.drop_lease();
        }
    }
}

impl Live {
    fn rest(&self, left: Left) -> Rest {
        let is_of_group = |process: &&_| self.children.is_of_group(process);
        Rest {
            of_group: left.alive.iter().filter(is_of_group).count(),
            alive: left.alive,
            denied: left.denied,
        }
    }
}

fn delivered(signal: Signal, sent: io::Result<Sent>) -> Result<(), Refusal> {
    let refusal = |why: String| Refusal::Signal { signal, why };
    match sent {
        Ok(Sent::Delivered) => Ok(()),
        Ok(Sent::Gone) => Err(refusal("it has ended".to_owned())),
        Ok(Sent::Denied) => Err(refusal("it belongs to another user".to_owned())),
        Err(error) => Err(refusal(error.to_string())),
    }
}
