//! Finds out whether the command is ready: tries until it is, or until it has failed too often or for too long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use monday_shared::protocol::run::{Exit, Probe, Readiness};

use crate::helper::Helpers;
use crate::spawn::Output;
use crate::spec::CheckedSpec;

mod evidence;
pub(crate) mod http;
mod schedule;
pub(crate) mod tcp;

pub(crate) use evidence::Evidence;
use schedule::Schedule;

/// After this long it is said why it is not ready yet, once: a name that nobody knows, or a wrong port, will not do by waiting.
const TELL_AFTER: Duration = Duration::from_secs(10);

/// Returns when the command is ready.
///
/// # Errors
/// Why it does not count as ready any more, in words.
pub(crate) async fn until_ready(
    spec: &Arc<CheckedSpec>,
    readiness: &Readiness,
    evidence: &mut Evidence,
) -> Result<(), String> {
    let mut last = None;
    let trying = until_success(spec, readiness, evidence, &mut last);
    let Some(within) = readiness.within else {
        return trying.await;
    };
    match tokio::time::timeout(within.0, trying).await {
        Ok(ready) => ready,
        Err(_) => Err(match last {
            Some(why) => format!("it was not ready within {within}: {why}"),
            None => format!("it was not ready within {within}"),
        }),
    }
}

async fn until_success(
    spec: &Arc<CheckedSpec>,
    readiness: &Readiness,
    evidence: &mut Evidence,
    last: &mut Option<String>,
) -> Result<(), String> {
    match &readiness.probe {
        Probe::Log(pattern) => {
            *last = Some(format!("no line of its output matched `{pattern}`"));
            evidence.matched.cancelled().await;
            return Ok(());
        }
        Probe::Notify => {
            *last = Some("it did not send READY=1 to $NOTIFY_SOCKET".to_owned());
            return match &mut evidence.notify {
                Some(socket) => socket.ready().await,
                None => Err("its notification socket could not be made".to_owned()),
            };
        }
        Probe::Http(_) | Probe::Tcp(_) | Probe::Exec(_) => {}
    }
    let began = Instant::now();
    let mut is_told = false;
    let mut schedule = Schedule::new(readiness, began);
    tokio::time::sleep(readiness.initial_delay.0).await;
    loop {
        let tried = tokio::time::timeout(
            readiness.timeout.0,
            once(&readiness.probe, spec, &evidence.helpers),
        );
        let why = match tried.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {}", readiness.timeout),
        };
        let pause = schedule.failed(Instant::now());
        let Some(pause) = pause else {
            return Err(format!(
                "it was not ready after {} tries: {why}",
                schedule.tries()
            ));
        };
        if !is_told && began.elapsed() >= TELL_AFTER {
            is_told = true;
            tracing::warn!("not ready yet, and tried again: {why}");
        }
        *last = Some(why);
        tokio::time::sleep(pause).await;
    }
}

/// Tries once.
async fn once(probe: &Probe, spec: &Arc<CheckedSpec>, helpers: &Helpers) -> Result<(), String> {
    match probe {
        Probe::Tcp(address) => tcp::connect(address, spec.hosts_file()).await.map(drop),
        Probe::Http(url) if url.starts_with("https:") => {
            // A program that everybody has, rather than a second TLS library in a guardian of two megabytes.
            let words = ["curl", "-sfk", "-o", "/dev/null", url].map(str::to_owned);
            execute(&words, spec, helpers).await
        }
        Probe::Http(url) => http::get(url, spec.hosts_file()).await,
        Probe::Exec(words) => execute(words, spec, helpers).await,
        Probe::Log(_) | Probe::Notify => Ok(()),
    }
}

async fn execute(
    words: &[String],
    spec: &Arc<CheckedSpec>,
    helpers: &Helpers,
) -> Result<(), String> {
    let mut running = helpers.start(spec, words, Output::Nowhere).await?;
    match running.wait().await {
        Some(Exit::Code(0)) => Ok(()),
        Some(exit) => Err(format!("`{}`: {exit}", words.join(" "))),
        None => Err("monday-run is about to end".to_owned()),
    }
}
