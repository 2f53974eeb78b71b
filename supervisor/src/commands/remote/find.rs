//! Which of the projects that run is meant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use monday_shared::protocol::supervisor::{ProjectStatus, Status};
use monday_shared::rpc::client::{Client, ClientError};
use monday_shared::socket::SocketError;
use monday_shared::socket::runtime_dir::{RuntimeDirError, runtime_dir};

use super::TargetArgs;
use crate::config::suggest::nearest;

/// How long a supervisor may take to say which project it runs. One that is stopped (SIGSTOP) never does.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why no project was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// None runs at all.
    #[error("no project is running; start one with `monday-supervisor run PROJECT`")]
    NoneRuns,
    /// That one does not run.
    #[error("no project `{name}` is running{}; running: {}", meant(.near.as_deref()), .running.join(", "))]
    NotThatOne {
        /// What was asked for.
        name: String,
        /// What was meant, perhaps.
        near: Option<String>,
        /// Those that run.
        running: Vec<String>,
    },
    /// More than one runs, and none was named.
    #[error("{} projects are running: say which one is meant: {}", .running.len(), .running.join(", "))]
    WhichOne {
        /// Those that run.
        running: Vec<String>,
    },
    /// One of them does not answer.
    #[error("the supervisor behind {} does not answer: it hangs or was stopped (SIGSTOP)", .0.display())]
    Silent(PathBuf),
    /// The socket that was named cannot be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The runtime folder cannot be used.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
}

fn meant(near: Option<&str>) -> String {
    near.map(|near| format!(", did you mean `{near}`?"))
        .unwrap_or_default()
}

/// A project that runs.
#[derive(Debug)]
pub struct Running {
    /// How it is.
    pub status: ProjectStatus,
    /// A connection to its supervisor.
    pub client: Client,
}

/// What a command is about.
#[derive(Debug)]
pub struct Found {
    /// How the project was when it was found.
    pub status: ProjectStatus,
    /// A connection to its supervisor.
    pub client: Client,
    /// The words after the project's name.
    pub names: Vec<String>,
}

/// Finds the project that is meant.
///
/// # Errors
/// [`FindError`] if none is, or not clearly one.
pub async fn find(target: &TargetArgs) -> Result<Found, FindError> {
    let mut words = target.words.clone();
    let running = match &target.reach.control {
        Some(socket) => vec![reach(socket).await?],
        None => all().await?,
    };
    let names: Vec<String> = running
        .iter()
        .map(|running| running.status.project.clone())
        .collect();
    let chosen = choose(&names, words.first().map(String::as_str))?;
    if chosen.named {
        words.remove(0);
    }
    let mut running = running;
    let Running { status, client } = running.swap_remove(chosen.at);
    Ok(Found {
        status,
        client,
        names: words,
    })
}

/// Which of the running projects is meant, and whether the first word was its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chosen {
    at: usize,
    named: bool,
}

fn choose(running: &[String], first: Option<&str>) -> Result<Chosen, FindError> {
    if let Some(at) = first.and_then(|first| running.iter().position(|name| name == first)) {
        return Ok(Chosen { at, named: true });
    }
    match (running.len(), first) {
        (0, _) => Err(FindError::NoneRuns),
        (1, _) => Ok(Chosen {
            at: 0,
            named: false,
        }),
        (_, Some(name)) => Err(FindError::NotThatOne {
            name: name.to_owned(),
            near: nearest(name, running.iter().map(String::as_str)).map(str::to_owned),
            running: running.to_vec(),
        }),
        (_, None) => Err(FindError::WhichOne {
            running: running.to_vec(),
        }),
    }
}

/// All projects of this user that run, by name.
///
/// # Errors
/// The runtime folder cannot be used, or a supervisor does not answer.
pub async fn all() -> Result<Vec<Running>, FindError> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(runtime_dir()?) else {
        return Ok(found);
    };
    for entry in entries.flatten() {
        let socket = entry.path().join("supervisor.sock");
        if !socket.exists() {
            continue;
        }
        match reach(&socket).await {
            Ok(running) => found.push(running),
            // One that a dead process left, or that ends this very moment.
            Err(FindError::Client(
                ClientError::Connect(SocketError::NotRunning { .. }) | ClientError::Lost { .. },
            )) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by(|one, other| one.status.project.cmp(&other.status.project));
    Ok(found)
}

async fn reach(socket: &Path) -> Result<Running, FindError> {
    let asked = async {
        let client = Client::connect(socket).await?;
        let status = client.call(&Status::default()).await?;
        Ok(Running { status, client })
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(reached) => reached,
        Err(_) => Err(FindError::Silent(socket.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(running: &[&str], first: Option<&str>) -> Result<(usize, bool), String> {
        let running: Vec<String> = running.iter().map(|&name| name.to_owned()).collect();
        choose(&running, first)
            .map(|chosen| (chosen.at, chosen.named))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_word_is_the_project_if_one_of_that_name_runs() {
        assert_eq!(chosen(&["a", "b"], Some("b")), Ok((1, true)));
        assert_eq!(chosen(&["a"], Some("a")), Ok((0, true)));
        assert_eq!(chosen(&["a"], Some("api")), Ok((0, false)));
        assert_eq!(chosen(&["a"], None), Ok((0, false)));
    }

    #[test]
    fn what_is_not_clear_is_refused_with_what_there_is() {
        assert!(
            chosen(&[], Some("a"))
                .unwrap_err()
                .contains("no project is running")
        );
        assert_eq!(
            chosen(&["shop", "blog"], Some("shpo")).unwrap_err(),
            "no project `shpo` is running, did you mean `shop`?; running: shop, blog"
        );
        assert_eq!(
            chosen(&["shop", "blog"], None).unwrap_err(),
            "2 projects are running: say which one is meant: shop, blog"
        );
    }
}
