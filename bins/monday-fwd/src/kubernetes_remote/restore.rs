//! `monday-fwd restore`, and what every start does: what processes that died have left in clusters is put back.

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use monday_shared::life::LifeArgs;
use monday_shared::life::exit;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::journal::{Entry, Journal, JournalError, Process};
use super::objects::{Kind, Name, Objects};
use super::patch::marks::{self, Marks, REMOTE};
use super::preflight::name_of;
use super::undo::{Undone, undo_until};
use super::{who, wish};
use crate::error::Error;
use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::kubeconfig::Wish;

/// How long it is tried to put one object back.
const RESTORE_WITHIN: Duration = Duration::from_secs(20);

/// How long a start may wait for that: the API server may be away.
const START_WITHIN: Duration = Duration::from_secs(8);

const NOTES: &str = "\
What a session has changed is noted in ~/.local/state/monday/remote (XDG_STATE_HOME) and, for whoever comes from another
machine, on the object itself: it is found by the label monday.internal/remote. Sessions that somebody has are left alone.
The status is 0 when nothing is left to be put back.";

/// Puts back what sessions of kubernetes-remote have left in clusters
#[derive(Clone, Debug, Args)]
#[command(after_help = NOTES)]
pub struct RestoreArgs {
    /// Every session that nobody else has: yours that still run, and other people's that are over
    #[arg(long)]
    all: bool,

    /// Look for them in this context, if not the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Look for them in this namespace, if not in all
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,

    /// The configuration of the cluster
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) life: LifeArgs,
}

/// What became of one session.
struct Outcome {
    text: String,
    failed: bool,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Puts back what there is to be put back and returns the exit status.
///
/// # Errors
/// None: what cannot be put back is said.
pub async fn run(args: RestoreArgs) -> Result<u8, Error> {
    let journal = Journal::own().map_err(failed)?;
    let mut outcomes = Vec::new();
    let mut seen = Vec::new();
    for entry in journal.all() {
        if args.context.is_some() && entry.context != args.context {
            continue;
        }
        if args
            .namespace
            .as_ref()
            .is_some_and(|namespace| *namespace != entry.namespace)
        {
            continue;
        }
        seen.push(entry.id.clone());
        let is_awaited = entry.supervisor.is_some_and(Process::exists);
        if !args.all && (entry.holder.exists() || is_awaited) {
            let text = format!(
                "{} in namespace {}: process {} of this machine has it, it is left alone (--all: not even then)",
                entry.object,
                entry.namespace,
                entry.holder.pid()
            );
            outcomes.push(Outcome {
                text,
                failed: false,
            });
            continue;
        }
        outcomes.push(put_back(&journal, &entry, RESTORE_WITHIN, args.all).await);
    }
    outcomes.extend(labelled(&args, &journal, &seen).await);
    let mut status = 0;
    for outcome in &outcomes {
        if outcome.failed {
            status = exit::FAILED;
            let _ = writeln!(std::io::stderr(), "monday-fwd: {outcome}");
        } else {
            let _ = writeln!(std::io::stdout(), "{outcome}");
        }
    }
    if outcomes.is_empty() {
        let _ = writeln!(std::io::stdout(), "there is nothing to be put back");
    }
    Ok(status)
}

fn failed(error: impl fmt::Display) -> Error {
    Error::Failed {
        id: "restore".to_owned(),
        why: error.to_string(),
    }
}

/// Puts back what is noted of processes that died, unless somebody is about to go on with it. Says what became of it.
pub(crate) async fn sweep(supervisor: Option<Process>) -> Vec<String> {
    let Ok(journal) = Journal::own() else {
        return Vec::new();
    };
    let is_left = |entry: &Entry| {
        let awaited = entry
            .supervisor
            .is_some_and(|it| it.exists() || Some(it) == supervisor);
        !entry.holder.exists() && !awaited
    };
    let left: Vec<Entry> = journal.all().into_iter().filter(is_left).collect();
    let until = Instant::now() + START_WITHIN;
    let mut said = Vec::new();
    for entry in left {
        let within = until.saturating_duration_since(Instant::now());
        let putting = put_back(&journal, &entry, within, false);
        said.push(match timeout(within, putting).await {
            Ok(outcome) => outcome.to_string(),
            Err(_) => format!(
                "{} in namespace {} is still changed by a session of before, and the API server {} does not answer; `monday-fwd restore` tries it again",
                entry.object, entry.namespace, entry.server
            ),
        });
    }
    said
}

/// Puts one entry of the journal back. `even_held`: though its process lives.
async fn put_back(journal: &Journal, entry: &Entry, within: Duration, even_held: bool) -> Outcome {
    let what = format!("{} in namespace {}", entry.object, entry.namespace);
    let outcome = |text: String, failed| Outcome {
        text: format!("{what}: {text}"),
        failed,
    };
    let lock = match journal.lock(&entry.id) {
        Ok(lock) => Some(lock),
        Err(JournalError::Held { .. }) if even_held => None,
        Err(JournalError::Held { pid }) => {
            return outcome(format!("process {pid} is putting it back"), false);
        }
        Err(error) => return outcome(error.to_string(), true),
    };
    let done = undo_entry(entry, within).await;
    let outcome = match done {
        Ok(undone) => {
            journal.remove(&entry.id);
            outcome(said(undone).to_owned(), false)
        }
        Err(why) => outcome(
            format!("could not be put back: {why}; `monday-fwd restore` tries it again"),
            true,
        ),
    };
    drop(lock);
    outcome
}

fn said(undone: Undone) -> &'static str {
    match undone {
        Undone::Restored => "put back, it is as it was before the session",
        Undone::KeptTheirs => {
            "what was ours is gone, and what somebody else has deployed meanwhile stays"
        }
        Undone::Nothing => "there was nothing of the session left",
    }
}

/// Puts back what an entry says.
///
/// # Errors
/// Why not.
pub(super) async fn undo_entry(entry: &Entry, within: Duration) -> Result<Undone, String> {
    let wish = Wish {
        kubeconfig: entry.kubeconfig.clone().or(wish(&entry.spec).kubeconfig),
        context: entry.context.clone(),
    };
    let cluster = Arc::new(Cluster::new(wish));
    let objects = Objects::of(cluster, Some(&entry.namespace))
        .await
        .map_err(|error| error.to_string())?;
    if objects.place.server != entry.server {
        return Err(format!(
            "it is in the cluster of {}, and the configuration leads to {} now",
            entry.server, objects.place.server
        ));
    }
    let until = Instant::now() + within;
    undo_until(&objects, &entry.object, Some(&entry.id), until)
        .await
        .map_err(|error| error.to_string())
}

/// What is found by its label: for sessions of other machines, and where the journal is lost.
async fn labelled(args: &RestoreArgs, journal: &Journal, seen: &[String]) -> Vec<Outcome> {
    let complaint = |text: String| vec![Outcome { text, failed: true }];
    let cluster = Arc::new(Cluster::new(Wish {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
    }));
    let objects = match Objects::of(cluster, args.namespace.as_deref()).await {
        Ok(objects) => objects,
        // Without a cluster there is only the journal.
        Err(error) if args.context.is_none() && args.kubeconfig.is_none() => {
            tracing::info!(%error, "no cluster is looked through");
            return Vec::new();
        }
        Err(error) => return complaint(error.to_string()),
    };
    let mut outcomes = Vec::new();
    for kind in Kind::ALL {
        let everywhere = match args.namespace {
            None => objects.list_everywhere(kind, REMOTE).await.ok(),
            Some(_) => None,
        };
        let list = match everywhere {
            Some(list) => Ok(list),
            // Who may not look everywhere may do so in the own namespace.
            None => objects.list(kind, Some(REMOTE)).await,
        };
        let list = match list {
            Ok(list) => list,
            // Services are changed by one mode only.
            Err(fault) if fault.code() == 403 && kind == Kind::Service => continue,
            Err(fault) => {
                let what = format!("cannot look for what was left in {}", kind.resource());
                return complaint(fault.explained(&what, "list", kind.resource(), &objects.place));
            }
        };
        for object in &list {
            if let Some(outcome) = found(object, kind, &objects, args, journal, seen).await {
                outcomes.push(outcome);
            }
        }
    }
    outcomes
}

async fn found(
    object: &Value,
    kind: Kind,
    objects: &Objects,
    args: &RestoreArgs,
    journal: &Journal,
    seen: &[String],
) -> Option<Outcome> {
    let marks = marks::read(object)?;
    let id = &marks.holder.id;
    if seen.contains(id) {
        return None;
    }
    let namespace = object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str);
    let mut objects = objects.clone();
    namespace
        .unwrap_or_default()
        .clone_into(&mut objects.namespace);
    objects.place.namespace.clone_from(&objects.namespace);
    let name = Name {
        kind,
        name: name_of(object).to_owned(),
    };
    let what = format!("{name} in namespace {}", objects.namespace);
    if !is_over(&marks, args.all) {
        return Some(Outcome {
            text: format!("{what}: {} has it, it is left alone", marks.holder),
            failed: false,
        });
    }
    let until = Instant::now() + RESTORE_WITHIN;
    let session = (!id.is_empty()).then_some(id.as_str());
    Some(match undo_until(&objects, &name, session, until).await {
        Ok(undone) => {
            journal.remove(id);
            Outcome {
                text: format!("{what}: {}", said(undone)),
                failed: false,
            }
        }
        Err(error) => Outcome {
            text: format!("{what}: could not be put back: {error}"),
            failed: true,
        },
    })
}

/// May it be put back?
fn is_over(marks: &Marks, all: bool) -> bool {
    let own = who::is_own(&marks.holder);
    if all {
        return own || marks.expired;
    }
    own && (marks.expired || who::is_gone(&marks.holder))
}
