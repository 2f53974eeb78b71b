//! A process beside this one that puts clusters back if this one is killed.
//!
//! It is the same executable, in a session of its own, at the other end of a pipe: when that ends, however that came,
//! this process is gone. What it has left is in the journal.

use std::io::{self, Read as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use monday_shared::life::LifeArgs;
use monday_shared::life::exit;
use monday_shared::protocol::fwd::WATCHER_VARIABLE;
use tokio::time::{Instant, sleep};

use super::Surroundings;
use super::journal::{Entry, Journal, Process};
use super::restore::undo_entry;
use crate::error::Error;

/// The subcommand that is one.
pub(crate) const SUBCOMMAND: &str = "remote-watcher";

/// How long a supervisor that lives may take to start us again.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked whether somebody goes on with it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long it is tried to put something back while the API server does not answer.
const RESTORE_WITHIN: Duration = Duration::from_secs(60);

/// How soon another one is started when one was killed.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What a watcher is told.
#[derive(Clone, Debug, Args)]
pub struct WatcherArgs {
    /// Whose sessions it watches over
    #[arg(long)]
    parent: Process,

    /// Who starts that process again
    #[arg(long)]
    supervisor: Option<Process>,

    #[command(flatten)]
    pub(crate) life: LifeArgs,
}

/// Whether there is one.
static KEPT: Mutex<bool> = Mutex::new(false);

/// Sees to it that there is one for as long as this process lives.
///
/// # Errors
/// It cannot be started.
pub(super) fn keep(surroundings: &Surroundings) -> io::Result<()> {
    // Nothing panics while it is held.
    let mut kept = KEPT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if *kept {
        return Ok(());
    }
    let supervisor = surroundings.supervisor;
    let (mut child, mut pipe) = start(supervisor)?;
    thread::Builder::new()
        .name("watcher".to_owned())
        .stack_size(64 * 1024)
        .spawn(move || {
            loop {
                let ended = child.wait();
                tracing::warn!(?ended, "the process that puts clusters back if this one is killed has ended; another one is started");
                drop(pipe);
                (child, pipe) = loop {
                    thread::sleep(AGAIN_AFTER);
                    match start(supervisor) {
                        Ok(started) => break started,
                        Err(error) => tracing::error!(%error, "it cannot be started"),
                    }
                };
            }
        })?;
    *kept = true;
    Ok(())
}

/// Starts one; it lives as long as the pipe is open.
fn start(supervisor: Option<Process>) -> io::Result<(Child, Option<ChildStdin>)> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(SUBCOMMAND)
        .args(["--parent", &Process::own().to_string()])
        .env(WATCHER_VARIABLE, "1")
        // The pipe that ends with this process; nothing is ever written to it.
        .stdin(Stdio::piped())
        // Whoever reads what we write must not wait for this one.
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(supervisor) = supervisor {
        command.args(["--supervisor", &supervisor.to_string()]);
    }
    let mut child = command.spawn()?;
    // Waiting for a child closes what it still has.
    let pipe = child.stdin.take();
    Ok((child, pipe))
}

/// Waits until the parent is gone, and puts back what it has left.
///
/// # Errors
/// [`Error::Failed`]: there is no journal.
pub async fn run(args: WatcherArgs) -> Result<u8, Error> {
    // Out of reach of the terminal's signals; they are blocked, as in every executable, until here.
    let _ = nix::unistd::setsid();
    // Nothing on this machine shall be kept busy by it.
    let _ = std::env::set_current_dir("/");
    let mut nothing = Vec::new();
    let _ = io::stdin().lock().read_to_end(&mut nothing);
    let journal = Journal::own().map_err(|error| Error::Failed {
        id: SUBCOMMAND.to_owned(),
        why: error.to_string(),
    })?;
    let left: Vec<Entry> = journal
        .all()
        .into_iter()
        .filter(|entry| entry.holder == args.parent)
        .collect();
    let done = join_all(
        left.iter()
            .map(|entry| settle(&journal, entry, args.supervisor)),
    )
    .await;
    Ok(if done.into_iter().all(|done| done) {
        0
    } else {
        exit::FAILED
    })
}

/// Puts a session back unless somebody goes on with it; whether nothing is left to be done.
async fn settle(journal: &Journal, entry: &Entry, supervisor: Option<Process>) -> bool {
    let began = Instant::now();
    loop {
        match journal.read(&entry.id) {
            Some(now) if now.holder == entry.holder => {}
            _ => return true,
        }
        let awaited = supervisor.is_some_and(Process::exists) && began.elapsed() < TAKE_OVER_WITHIN;
        if !awaited && let Ok(_lock) = journal.lock(&entry.id) {
            let left = journal.read(&entry.id);
            if left.is_none_or(|now| now.holder != entry.holder) {
                return true;
            }
            return match undo_entry(entry, RESTORE_WITHIN).await {
                Ok(_) => {
                    journal.remove(&entry.id);
                    true
                }
                Err(why) => {
                    tracing::warn!(object = %entry.object, why, "it could not be put back");
                    false
                }
            };
        }
        sleep(LOOK_EVERY).await;
    }
}
