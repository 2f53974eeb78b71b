//! Waits until apps and forwards are as somebody needs them.

use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::run::Phase;
use monday_shared::protocol::supervisor::{AppStatus, ProjectStatus, Until, Wait};
use tokio::task::JoinSet;

use super::names;
use crate::config::project::{Condition, Dependency};
use crate::session::Session;
use crate::wiring::progress;

/// Waits, and returns how everything is then.
///
/// # Errors
/// [`ErrorKind::Timeout`] when the time is over, or an app was not ready in its own time; [`ErrorKind::Failed`] when one
/// will never be as it should. Either says which in `names`.
pub(crate) async fn wait(session: &Session, params: Wait) -> Result<ProjectStatus, RpcError> {
    let mut known = session.app_names();
    known.extend(session.forward_names());
    let names = names::chosen(&params.names, known, "app or forward")?;
    let condition = match params.until {
        Until::Started => Condition::Started,
        Until::Ready => Condition::Ready,
        Until::Completed => Condition::Completed,
    };
    let all = all_of(session, &names, condition);
    let waited = match params.timeout {
        None => all.await,
        Some(timeout) => match tokio::time::timeout(timeout.0, all).await {
            Ok(waited) => waited,
            Err(_) => return Err(late(session, &names, condition, &timeout.to_string()).await),
        },
    };
    session.state().settled().await;
    match waited {
        Ok(()) => Ok(session.state().status().await),
        Err((name, why)) => Err(failed(session, name, &why).await),
    }
}

/// Waits until all are so at the same time; the first that will never be so, or is no longer, ends it.
async fn all_of(
    session: &Session,
    names: &[String],
    condition: Condition,
) -> Result<(), (String, String)> {
    let failure = one_fails(session, names, condition);
    tokio::pin!(failure);
    loop {
        tokio::select! {
            // What has failed counts for more than that others are ready.
            biased;
            failed = &mut failure => return Err(failed),
            reached = each_of(session, names, condition) => reached?,
        }
        // One that was ready may have ended while another one was waited for.
        if names.iter().all(|name| session.board().is(name, condition)) {
            return Ok(());
        }
    }
}

/// Waits until one of them has failed; returns which, and why.
async fn one_fails(session: &Session, names: &[String], condition: Condition) -> (String, String) {
    let mut waiting = JoinSet::new();
    for name in names {
        let board = session.board().clone();
        let dependency = Dependency {
            name: name.clone(),
            condition,
        };
        waiting.spawn(async move {
            let why = board.failed(&dependency).await;
            (dependency.name, why)
        });
    }
    match waiting.join_next().await {
        Some(Ok(failed)) => failed,
        // None of them is there, or a task of ours panicked, which it does not.
        _ => std::future::pending().await,
    }
}

/// Waits until each was so once.
async fn each_of(
    session: &Session,
    names: &[String],
    condition: Condition,
) -> Result<(), (String, String)> {
    let mut waiting = JoinSet::new();
    for name in names {
        let board = session.board().clone();
        let dependency = Dependency {
            name: name.clone(),
            condition,
        };
        waiting.spawn(async move {
            let waited = board.reached(&dependency).await;
            waited.map_err(|why| (dependency.name, why))
        });
    }
    while let Some(done) = waiting.join_next().await {
        // A task of ours does not panic.
        if let Ok(waited) = done {
            waited?;
        }
    }
    Ok(())
}

async fn failed(session: &Session, name: String, why: &str) -> RpcError {
    let apps = session.state().status().await.apps;
    let late = apps.iter().any(|app| app.name == name && was_late(app));
    let kind = if late {
        ErrorKind::Timeout
    } else {
        ErrorKind::Failed
    };
    // What did not even start says so itself.
    let why = why.strip_prefix("failed: ").unwrap_or(why);
    RpcError::new(kind, format!("{name} has failed: {why}")).with("names", vec![name])
}

/// Whether it failed because it was not ready in the time that it has itself.
fn was_late(app: &AppStatus) -> bool {
    app.state.phase == Phase::Failed && app.state.ready == Some(false)
}

async fn late(
    session: &Session,
    names: &[String],
    condition: Condition,
    timeout: &str,
) -> RpcError {
    session.state().settled().await;
    let status = session.state().status().await;
    let missing: Vec<String> = names
        .iter()
        .filter(|name| !session.board().is(name, condition))
        .cloned()
        .collect();
    let described: Vec<String> = missing.iter().map(|name| how(&status, name)).collect();
    let message = format!(
        "not {} within {timeout}: {}",
        progress::word(condition),
        described.join("; ")
    );
    RpcError::new(ErrorKind::Timeout, message).with("names", missing)
}

/// How one of them is.
fn how(status: &ProjectStatus, name: &str) -> String {
    if let Some(app) = status.apps.iter().find(|app| app.name == name) {
        return app.to_string();
    }
    let forward = status.forwards.iter().find(|forward| forward.name == name);
    match forward.and_then(|forward| forward.error.as_ref()) {
        Some(error) => format!("{name}: {error}"),
        None => format!("{name}: not open yet"),
    }
}
